/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status_table.c - a status for people: a head, replicas, checkpoints, images, warnings
 *
 * What is looked for most often is at both ends: the head says how many warnings there are, which
 * come last, after the sum of the images.
 */
#include "config.h"

#include "tools/checkpoints_show.h"
#include "tools/full.h"
#include "tools/seal_show.h"
#include "tools/status_images.h"
#include "tools/status_show.h"
#include "tools/status_warnings.h"
#include "tools/table.h"
#include "tools/text.h"

#include <errno.h>
#include <stdlib.h>

#define IMAGES_MIN 3 /* that are shown where rows are limited, at least */
#define SAME_MAX 5   /* images with one and the same warning that have a line each */

/* ---- replicas and checkpoints ---- */

static void add_replica(struct table *table, const struct status *status, size_t i)
{
	const struct replicas_item *item = &status->replicas.items[i];
	const struct bmf_cursor *cursor = item->cursor;
	int64_t lag = replicas_lag(item, status->time_ns);
	char age[TEXT_AGE], dirty[TEXT_BYTES], percent[TEXT_PERCENT], when[TEXT_TIME];
	char name[TEXT_NAME], begun[80] = "";

	table_cellf(table, "[%zu]", i + 1);
	if (cursor->at)
		table_cellf(table, "%llu", (unsigned long long)cursor->at);
	else
		table_cell(table, "none");
	table_cell(table, lag < 0 ? "-" : text_age((uint64_t)lag, age));
	table_cell(table, cursor->time_ns ? text_time(cursor->time_ns, when) : "never");
	table_cell(table, text_bytes(item->dirty, dirty));
	table_cell(table, text_percent(item->dirty, status_bytes(status), percent));
	if (cursor->pending)
		snprintf(begun, sizeof(begun), " (a sync to checkpoint %llu was begun)",
			 (unsigned long long)cursor->pending);
	table_cellf(table, "%s%s",
		    text_quote(*cursor->label ? cursor->label : "?", name, sizeof(name)), begun);
}

static int print_replicas(const struct status *status, FILE *out)
{
	struct table *table = table_new();
	int r;

	table_column(table, "REPLICA", TABLE_LEFT);
	table_column(table, "CHECKPOINT", TABLE_RIGHT);
	table_column(table, "LAG", TABLE_RIGHT);
	table_column(table, "LAST SYNC", TABLE_LEFT);
	table_column(table, "DIRTY", TABLE_RIGHT);
	table_column(table, "%", TABLE_RIGHT);
	table_column(table, "WHERE", TABLE_LEFT);
	for (size_t i = 0; i < status->replicas.n; i++)
		add_replica(table, status, i);
	fputc('\n', out);
	if (status->replicas.n == 0)
		fputs("no replica; mirrorctl sync makes one\n", out);
	r = table_print(table, out);
	table_free(table);
	return r;
}

static int print_checkpoints(const struct status *status, FILE *out)
{
	char uuid[BMF_UUID_TEXT], when[TEXT_TIME], name[TEXT_NAME];
	struct table *table = table_new();
	int r;

	table_column(table, "CHECKPOINT", TABLE_RIGHT);
	table_column(table, "MADE", TABLE_LEFT);
	table_column(table, "UUID", TABLE_LEFT);
	table_column(table, "NAME", TABLE_LEFT);
	for (size_t i = 0; i < status->state->ncheckpoints; i++) {
		const struct bmf_checkpoint *checkpoint = &status->state->checkpoints[i];

		table_cellf(table, "%llu", (unsigned long long)checkpoint->number);
		table_cell(table, text_time(checkpoint->time_ns, when));
		table_cell(table, bmf_uuid_format(&checkpoint->uuid, uuid));
		table_cell(table, checkpoint->name
					  ? text_quote(checkpoint->name, name, sizeof(name))
					  : "-");
	}
	if (status->state->ncheckpoints > 0)
		fputc('\n', out);
	r = table_print(table, out);
	table_free(table);
	return r;
}

/* ---- warnings ---- */

/* Many images that have the same trouble are one line: a lost state directory is no 1,000 lines. */
static void print_image_warning(const struct status_image *image, size_t n_same, bool first,
				FILE *out)
{
	const char *what = full_text(image->reason);
	char name[TEXT_NAME], files[TEXT_FILES];

	if (n_same <= SAME_MAX)
		fprintf(out, "warning: '%s': %s; the next sync goes through all of it\n",
			text_quote(image->path, name, sizeof(name)), what);
	else if (first)
		fprintf(out, "warning: %s; the next sync goes through all of them\n",
			text_files(what, n_same, image->path, files));
}

static size_t index_of(const struct status_image *image)
{
	return image->reason <= BMF_REASON_LAST ? image->reason : BMF_REASON_NONE;
}

static void print_warnings(const struct status_warnings *warnings, FILE *out)
{
	size_t counts[BMF_REASON_LAST + 1] = { 0 };
	bool said[BMF_REASON_LAST + 1] = { false };
	char name[TEXT_NAME];

	if (warnings->n > 0)
		fputc('\n', out);
	for (size_t i = 0; i < warnings->n; i++)
		if (warnings->items[i].image)
			counts[index_of(warnings->items[i].image)]++;
	for (size_t i = 0; i < warnings->n; i++) {
		const struct status_warning *warning = &warnings->items[i];

		if (warning->image) {
			size_t at = index_of(warning->image);

			print_image_warning(warning->image, counts[at], !said[at], out);
			said[at] = true;
		} else {
			fprintf(out, "warning: replica '%s': %s\n",
				text_quote(warning->replica->label, name, sizeof(name)),
				warning->text);
		}
	}
}

/* ---- a source ---- */

/* What is to be shown, and where. */
struct shown {
	const struct status *status;
	const char *path;
	const struct status_warnings *warnings;
	struct status_room room;
};

static void print_head(const struct shown *shown, FILE *out)
{
	const struct status *status = shown->status;
	char uuid[BMF_UUID_TEXT], block[TEXT_BYTES], total[TEXT_BYTES], name[TEXT_NAME];

	fprintf(out, "source '%s' (%s)\n", text_quote(shown->path, name, sizeof(name)),
		bmf_uuid_format(&status->state->source, uuid));
	if (status->mounted)
		fprintf(out, "mounted%s (pid %d)", status->read_only ? " read-only" : "",
			status->pid);
	else
		fputs("not mounted", out);
	fprintf(out, ", generation %llu, block size %s, %zu image%s, %s",
		(unsigned long long)status->state->generation,
		text_bytes(UINT64_C(1) << status->state->block_shift, block), status->nimages,
		status->nimages == 1 ? "" : "s", text_bytes(status_bytes(status), total));
	if (shown->warnings->n > 0)
		fprintf(out, ", %zu warning%s", shown->warnings->n,
			shown->warnings->n == 1 ? "" : "s");
	fputc('\n', out);
	seal_show_text(status, out);
}

static int print_above(const struct shown *shown, FILE *out)
{
	int r;

	print_head(shown, out);
	r = print_replicas(shown->status, out);
	if (r == 0 && shown->room.rows == 0)
		r = print_checkpoints(shown->status, out);
	return r;
}

static int print_below(const struct shown *shown, FILE *out)
{
	print_warnings(shown->warnings, out);
	return 0;
}

/* What print prints; NULL: no memory.  The caller frees it. */
static char *as_text(const struct shown *shown, int (*print)(const struct shown *shown, FILE *out))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return NULL;
	r = print(shown, out);
	if (fclose(out) == 0 && r == 0)
		return text;
	free(text);
	return NULL;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		if (*text == '\n')
			n++;
	return n;
}

/* How many images fit between the text above and that below; 0: all. */
static size_t images_that_fit(unsigned int rows, const char *above, const char *below)
{
	size_t taken = count_lines(above) + count_lines(below) + STATUS_IMAGES_LINES;

	if (rows == 0)
		return 0;
	return taken + IMAGES_MIN < rows ? rows - taken : IMAGES_MIN;
}

/* What is above and below the images is made first: they get the lines that are left. */
static int print_source(const struct shown *shown, FILE *out)
{
	char *above = as_text(shown, print_above), *below = as_text(shown, print_below);
	int r = -ENOMEM;

	if (above && below) {
		fputs(above, out);
		r = status_images_print(shown->status,
					images_that_fit(shown->room.rows, above, below),
					shown->room.columns, out);
		fputs(below, out);
	}
	free(above);
	free(below);
	return r;
}

/* ---- a replica ---- */

static void print_complete(const struct status *status, FILE *out)
{
	const struct manifest *manifest = &status->manifest;
	char uuid[BMF_UUID_TEXT], when[TEXT_TIME], total[TEXT_BYTES], age[TEXT_AGE];
	int64_t ago_ns = status->time_ns - manifest->time_ns;
	uint64_t bytes = 0;

	for (size_t i = 0; i < manifest->nimages; i++)
		bytes += manifest->images[i].stamp.size;
	fprintf(out, "complete at checkpoint %llu (%s) since %s, %s ago; %zu image%s, %s\n",
		(unsigned long long)manifest->checkpoint,
		bmf_uuid_format(&manifest->checkpoint_uuid, uuid),
		text_time(manifest->time_ns, when),
		text_age(ago_ns > 0 ? (uint64_t)(ago_ns / 1000000000) : 0, age), manifest->nimages,
		manifest->nimages == 1 ? "" : "s", text_bytes(bytes, total));
}

static void print_where_it_is(const struct status *status, const char *path, FILE *out)
{
	const struct manifest *manifest = &status->manifest;
	char when[TEXT_TIME], name[TEXT_NAME];

	text_time(manifest->time_ns, when);
	if (manifest_is_adopted(manifest))
		fprintf(out, "adopted at %s: the next sync compares it with its source\n", when);
	else if (status->to_recover)
		fprintf(out,
			"on its way from checkpoint %llu: an update of it was interrupted; to "
			"finish that: mirrorctl recover '%s'\n",
			(unsigned long long)manifest->checkpoint,
			text_quote(path, name, sizeof(name)));
	else if (manifest->complete)
		print_complete(status, out);
	else
		fprintf(out, "incomplete: %s %s hasn't ended; the next one makes it good\n",
			manifest_is_seeded(manifest) ? "the first sync, that began at"
						     : "a sync that began at",
			when);
}

static int print_replica(const struct status *status, const char *path, FILE *out)
{
	const struct manifest *manifest = &status->manifest;
	char uuid[BMF_UUID_TEXT], source[BMF_UUID_TEXT], name[TEXT_NAME];
	bool adopted = manifest_is_adopted(manifest);

	fprintf(out, "replica '%s' (%s) of %s%s\n", text_quote(path, name, sizeof(name)),
		bmf_uuid_format(&manifest->replica, uuid), adopted ? "any source" : "source ",
		adopted ? "" : bmf_uuid_format(&manifest->source, source));
	print_where_it_is(status, path, out);
	if (status->kept.n > 0)
		fputc('\n', out);
	return checkpoints_show(&status->kept, out);
}

int status_table_print(const struct status *status, const char *path, struct status_room room,
		       FILE *out)
{
	struct status_warnings warnings;
	struct shown shown = {
		.status = status, .path = path, .warnings = &warnings, .room = room
	};
	char name[TEXT_NAME];
	int r = status_warnings_find(status, path, &warnings);

	if (r < 0)
		return r;
	if (!status->is_source && !status->is_replica)
		fprintf(out, "'%s' is %s\n", text_quote(path, name, sizeof(name)),
			status->read_only
				? "mounted from a read-only filesystem that has no state of a "
				  "source: nothing is tracked"
				: "neither a source nor a replica: it has never been mounted or "
				  "synced");
	if (status->is_replica)
		r = print_replica(status, path, out);
	if (status->is_source && status->is_replica)
		fputc('\n', out);
	if (status->in_use.code)
		fprintf(out, "\nwhat it is as a source isn't shown: %s\n", status->in_use.text);
	if (r == 0 && status->is_source)
		r = print_source(&shown, out);
	status_warnings_destroy(&warnings);
	return r;
}
