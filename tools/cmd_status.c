/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_status.c - mirrorctl status: shows what is known of a source or a replica */
#include "config.h"

#include "tools/checkpoints_show.h"
#include "tools/command.h"
#include "tools/fail.h"
#include "tools/full.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/replicas_json.h"
#include "tools/status.h"
#include "tools/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Is it worth a warning that the image isn't tracked?  A new one never is. */
static bool is_trouble(const struct status_image *image)
{
	return image->reason != BMF_REASON_NONE && image->reason != BMF_REASON_NEW &&
	       image->reason != BMF_REASON_COPIED;
}

/* ---- a replica that was given up, perhaps ---- */

struct away {
	const struct replicas_item *item; /* NULL: none */
	unsigned int days;
	char text[TEXT_NAME + 256];
};

static struct away find_away(const struct status *status, const char *path)
{
	char uuid[BMF_UUID_TEXT], bytes[TEXT_BYTES], name[TEXT_NAME];
	struct away away = { 0 };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; i < status->replicas.n && !away.item; i++) {
		const struct replicas_item *item = &status->replicas.items[i];

		away.days =
			replicas_days_away(item, now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
		if (away.days == 0)
			continue;
		away.item = item;
		snprintf(away.text, sizeof(away.text),
			 "not seen for %u days, and %s of bitmaps are kept only for it; if it was "
			 "given up: mirrorctl replica forget '%s' %s",
			 away.days, text_bytes(item->held_nbytes, bytes),
			 text_quote(path, name, sizeof(name)),
			 bmf_uuid_format(&item->cursor->replica, uuid));
	}
	return away;
}

/* ---- JSON ---- */

static json_t *image_json(const struct status *status, const struct status_image *image)
{
	json_t *object = json_object(), *dirty = json_array();

	json_put_name(object, "path", image->path);
	json_put_number(object, "size", image->size);
	json_put_bool(object, "tracked", image->reason == BMF_REASON_NONE);
	if (image->reason != BMF_REASON_NONE)
		json_put_text(object, "reason", bmf_reason_word(image->reason));
	json_put_number(object, "armed_regions", image->armed_regions);
	json_put_number(object, "armed_bytes", image->armed_bytes);
	json_put_number(object, "crash_bytes", image->crash_bytes);
	for (size_t i = 0; i < status->state->ncursors; i++)
		json_array_append_new(dirty, json_integer((json_int_t)image->dirty[i]));
	json_object_set_new(object, "dirty_bytes", dirty);
	return object;
}

static json_t *checkpoints_json(const struct bmf_state *state)
{
	json_t *array = json_array();

	for (size_t i = 0; i < state->ncheckpoints; i++) {
		const struct bmf_checkpoint *checkpoint = &state->checkpoints[i];
		json_t *object = json_object();

		json_put_number(object, "number", checkpoint->number);
		json_put_uuid(object, "uuid", &checkpoint->uuid);
		json_put_time(object, "time", checkpoint->time_ns);
		if (checkpoint->name)
			json_put_name(object, "name", checkpoint->name);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *source_json(const struct status *status)
{
	json_t *object = json_object(), *images = json_array();

	json_put_uuid(object, "uuid", &status->state->source);
	json_put_bool(object, "mounted", status->mounted);
	if (status->mounted)
		json_put_number(object, "pid", (uint64_t)status->pid);
	json_put_number(object, "generation", status->state->generation);
	json_put_number(object, "block_size", UINT64_C(1) << status->state->block_shift);
	for (size_t i = 0; i < status->nimages; i++)
		json_array_append_new(images, image_json(status, &status->images[i]));
	json_object_set_new(object, "images", images);
	json_object_set_new(object, "checkpoints", checkpoints_json(status->state));
	json_object_set_new(object, "replicas", replicas_json(&status->replicas));
	return object;
}

static json_t *replica_json(const struct status *status)
{
	const struct manifest *manifest = &status->manifest;
	json_t *object = json_object(), *images = json_array();

	json_put_uuid(object, "uuid", &manifest->replica);
	if (manifest_is_adopted(manifest))
		json_object_set_new(object, "source", json_null());
	else
		json_put_uuid(object, "source", &manifest->source);
	json_put_checkpoint(object, "checkpoint", manifest->checkpoint, &manifest->checkpoint_uuid);
	json_put_bool(object, "complete", manifest->complete && !status->to_recover);
	json_put_bool(object, "to_recover", status->to_recover);
	json_put_time(object, "last_sync", manifest->time_ns);
	for (size_t i = 0; i < manifest->nimages; i++) {
		json_t *image = json_object();

		json_put_name(image, "path", manifest->images[i].path);
		json_put_number(image, "size", manifest->images[i].stamp.size);
		json_array_append_new(images, image);
	}
	json_object_set_new(object, "images", images);
	json_object_set_new(object, "kept", checkpoints_show_json(&status->kept));
	return object;
}

static void add_away_json(json_t *array, const struct status *status, const char *path)
{
	struct away away = find_away(status, path);
	json_t *object;

	if (!away.item)
		return;
	object = json_object();
	json_put_uuid(object, "replica", &away.item->cursor->replica);
	json_put_name(object, "label", away.item->cursor->label);
	json_put_text(object, "reason", "replica-away");
	json_object_set_new(object, "text", json_text(away.text));
	json_array_append_new(array, object);
}

static json_t *warnings_json(const struct status *status, const char *path)
{
	json_t *array = json_array();

	for (size_t i = 0; i < status->nimages; i++) {
		json_t *object;

		if (!is_trouble(&status->images[i]))
			continue;
		object = json_object();
		json_put_name(object, "path", status->images[i].path);
		json_put_text(object, "reason", bmf_reason_word(status->images[i].reason));
		json_put_text(object, "text", bmf_reason_text(status->images[i].reason));
		json_array_append_new(array, object);
	}
	add_away_json(array, status, path);
	return array;
}

static int print_json(const struct status *status, const char *path)
{
	json_t *document = json_object();

	json_object_set_new(document, "source",
			    status->is_source ? source_json(status) : json_null());
	json_object_set_new(document, "replica",
			    status->is_replica ? replica_json(status) : json_null());
	json_object_set_new(document, "warnings", warnings_json(status, path));
	return json_print(document);
}

/* ---- text ---- */

static void print_images(const struct status *status)
{
	char name[TEXT_NAME], size[TEXT_BYTES], armed[TEXT_BYTES], dirty[TEXT_BYTES];
	const struct bmf_state *state = status->state;

	printf("\n%10s  %10s", "SIZE", "ARMED");
	for (size_t i = 0; i < state->ncursors; i++)
		printf("  DIRTY[%zu]%*s", i + 1, i < 9 ? 1 : 0, "");
	puts("  IMAGE");
	for (size_t i = 0; i < status->nimages; i++) {
		const struct status_image *image = &status->images[i];

		printf("%10s  %10s", text_bytes(image->size, size),
		       text_bytes(image->armed_bytes, armed));
		for (size_t k = 0; k < state->ncursors; k++)
			printf("  %10s", text_bytes(image->dirty[k], dirty));
		printf("  %s\n", text_quote(image->path, name, sizeof(name)));
	}
}

static void print_replicas(const struct status *status)
{
	char name[TEXT_NAME], dirty[TEXT_BYTES], when[TEXT_TIME];

	for (size_t i = 0; i < status->state->ncursors; i++) {
		const struct bmf_cursor *cursor = &status->state->cursors[i];

		printf("  [%zu] %s: ", i + 1,
		       text_quote(cursor->label ? cursor->label : "?", name, sizeof(name)));
		if (cursor->at)
			printf("at checkpoint %llu since %s, ", (unsigned long long)cursor->at,
			       text_time(cursor->time_ns, when));
		else
			printf("never complete, ");
		if (cursor->pending)
			printf("a sync to checkpoint %llu was begun, ",
			       (unsigned long long)cursor->pending);
		printf("%s dirty\n", text_bytes(status->replicas.items[i].dirty, dirty));
	}
}

static void print_source(const struct status *status)
{
	char uuid[BMF_UUID_TEXT], bytes[TEXT_BYTES], when[TEXT_TIME], name[TEXT_NAME];
	const struct bmf_state *state = status->state;

	printf("source %s, ", bmf_uuid_format(&state->source, uuid));
	if (status->mounted)
		printf("mounted (pid %d)", status->pid);
	else
		printf("not mounted");
	printf(", generation %llu, block size %s\n", (unsigned long long)state->generation,
	       text_bytes(UINT64_C(1) << state->block_shift, bytes));
	print_images(status);
	puts("\ncheckpoints:");
	for (size_t i = 0; i < state->ncheckpoints; i++)
		printf("  %llu  %s  %s%s%s\n", (unsigned long long)state->checkpoints[i].number,
		       bmf_uuid_format(&state->checkpoints[i].uuid, uuid),
		       text_time(state->checkpoints[i].time_ns, when),
		       state->checkpoints[i].name ? "  " : "",
		       state->checkpoints[i].name
			       ? text_quote(state->checkpoints[i].name, name, sizeof(name))
			       : "");
	puts("\nreplicas:");
	print_replicas(status);
}

static void print_replica(const struct status *status, const char *path)
{
	const struct manifest *manifest = &status->manifest;
	char uuid[BMF_UUID_TEXT], source[BMF_UUID_TEXT], when[TEXT_TIME], total[TEXT_BYTES];
	char name[TEXT_NAME];
	uint64_t bytes = 0;

	for (size_t i = 0; i < manifest->nimages; i++)
		bytes += manifest->images[i].stamp.size;
	printf("replica %s of %s%s\n", bmf_uuid_format(&manifest->replica, uuid),
	       manifest_is_adopted(manifest) ? "any source" : "source ",
	       manifest_is_adopted(manifest) ? "" : bmf_uuid_format(&manifest->source, source));
	if (manifest_is_adopted(manifest))
		printf("adopted at %s: the next sync compares it with its source\n",
		       text_time(manifest->time_ns, when));
	else if (status->to_recover)
		printf("on its way from checkpoint %llu: an update of it was interrupted; to "
		       "finish "
		       "that: mirrorctl recover '%s'\n",
		       (unsigned long long)manifest->checkpoint,
		       text_quote(path, name, sizeof(name)));
	else if (manifest->complete)
		printf("complete at checkpoint %llu (%s) since %s, %zu images, %s\n",
		       (unsigned long long)manifest->checkpoint,
		       bmf_uuid_format(&manifest->checkpoint_uuid, uuid),
		       text_time(manifest->time_ns, when), manifest->nimages,
		       text_bytes(bytes, total));
	else
		printf("incomplete: a sync that began at %s hasn't ended; the next one makes it "
		       "good\n",
		       text_time(manifest->time_ns, when));
	checkpoints_show(&status->kept);
}

static void print_away(const struct status *status, const char *path)
{
	struct away away = find_away(status, path);
	char name[TEXT_NAME];

	if (away.item)
		printf("warning: replica '%s': %s\n",
		       text_quote(away.item->cursor->label, name, sizeof(name)), away.text);
}

static void print_warnings(const struct status *status, const char *path)
{
	char name[TEXT_NAME];

	for (size_t i = 0; i < status->nimages; i++)
		if (is_trouble(&status->images[i]))
			printf("warning: '%s': %s; the next sync goes through all of it\n",
			       text_quote(status->images[i].path, name, sizeof(name)),
			       full_text(status->images[i].reason));
	print_away(status, path);
}

static int print_text(const struct status *status, const char *path)
{
	char name[TEXT_NAME];

	if (!status->is_source && !status->is_replica)
		printf("'%s' is neither a source nor a replica: it has never been mounted or "
		       "synced\n",
		       text_quote(path, name, sizeof(name)));
	if (status->is_source)
		print_source(status);
	if (status->is_source && status->is_replica)
		puts("");
	if (status->is_replica)
		print_replica(status, path);
	print_warnings(status, path);
	return output_finish();
}

int cmd_status(const struct command *command, char *const args[], const struct options *options)
{
	struct status status;
	struct bmf_error err = { 0 };
	int r = status_read(args[0], &status, &err);

	(void)command;
	if (r < 0) {
		output_error("%s", err.code ? err.text : fail_reason(r));
		return EXIT_FAILURE;
	}
	r = options->given & OPTION_JSON ? print_json(&status, args[0])
					 : print_text(&status, args[0]);
	status_destroy(&status);
	if (r < 0) {
		output_error("write to standard output: %s", fail_reason(r));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
