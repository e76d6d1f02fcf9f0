/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_sync.c - mirrorctl sync: calls the engine and says what it did */
#include "config.h"

#include "tools/cmd_sync.h"
#include "tools/command.h"
#include "tools/fail.h"
#include "tools/full.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/stop.h"
#include "tools/sync.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A guest may be frozen still: that is said at once, whatever else is printed. */
static void on_alert(void *arg, const char *text)
{
	(void)arg;
	output_error("%s", text);
}

void cmd_sync_add_full_copies(json_t *array, const struct sync_result *result)
{
	for (size_t i = 0; i < result->nfull; i++) {
		json_t *copy = json_object();

		json_put_name(copy, "path", result->full[i].path);
		json_put_text(copy, "reason", full_word(result->full[i].reason));
		json_put_text(copy, "text", full_text(result->full[i].reason));
		json_put_bool(copy, "expected", full_expected(result->full[i].reason));
		json_put_bool(copy, "by_digest", result->full[i].by_digest);
		if (result->full[i].by_digest && !result->dry_run)
			json_put_number(copy, "bytes_differing", result->full[i].bytes);
		json_array_append_new(array, copy);
	}
}

void cmd_sync_add_warnings(json_t *array, const struct sync_result *result)
{
	for (size_t i = 0; i < result->nwarnings; i++)
		json_array_append_new(array, json_text(result->warnings[i]));
}

json_t *cmd_sync_json(const struct sync_result *result)
{
	json_t *document = json_object(), *full_copies = json_array(), *warnings = json_array();

	cmd_sync_add_full_copies(full_copies, result);
	cmd_sync_add_warnings(warnings, result);
	json_put_checkpoint(document, "checkpoint", result->checkpoint, &result->checkpoint_uuid);
	json_put_checkpoint(document, "from_checkpoint", result->from, &result->from_uuid);
	if (result->seeded)
		json_put_number(document, "images_believed", result->seeds);
	else
		json_object_set_new(document, "images_believed", json_null());
	json_put_number(document, "images_total", result->images);
	json_put_number(document, "images_changed", result->images_changed);
	json_put_number(document, "names_changed", result->names_changed);
	json_put_number(document, "names_removed", result->names_removed);
	json_put_number(document, "bytes_total", result->bytes_total);
	json_put_number(document, "bytes_scanned", result->bytes_scanned);
	json_put_number(document, "bytes_copied", result->bytes_copied);
	json_put_number(document, "bytes_zeroed", result->bytes_zeroed);
	json_put_number(document, "armed_bytes", result->armed_bytes);
	json_put_number(document, "crash_bytes", result->crash_bytes);
	json_object_set_new(document, "full_copies", full_copies);
	json_object_set_new(document, "gate_ms", json_real((double)result->gate_ns / 1e6));
	json_object_set_new(document, "names_ms", json_real((double)result->names_ns / 1e6));
	json_object_set_new(document, "frozen_ms", json_real((double)result->frozen_ns / 1e6));
	json_object_set_new(document, "seconds", json_real(result->seconds));
	json_put_bool(document, "dry_run", result->dry_run);
	json_object_set_new(document, "warnings", warnings);
	return document;
}

static void print_full_copy(const struct sync_full_copy *copy, bool dry_run, FILE *out)
{
	char name[TEXT_NAME], differed[TEXT_BYTES];

	text_quote(copy->path, name, sizeof(name));
	if (!copy->by_digest)
		fprintf(out, "%s in full: '%s': %s\n", dry_run ? "would copy" : "copied", name,
			full_text(copy->reason));
	else if (dry_run)
		fprintf(out, "would compare by digest: '%s': %s\n", name, full_text(copy->reason));
	else
		fprintf(out, "compared by digest: '%s': %s; %s differed\n", name,
			full_text(copy->reason), text_bytes(copy->bytes, differed));
}

void cmd_sync_print_full_copies(const struct sync_result *result, FILE *out)
{
	uint64_t fresh = 0;

	for (size_t i = 0; i < result->nfull; i++) {
		const struct sync_full_copy *copy = &result->full[i];

		fresh += full_is_new(copy->reason);
		if (!full_is_new(copy->reason))
			print_full_copy(copy, result->dry_run, out);
	}
	if (fresh > 0)
		fprintf(out, "%llu image%s %s new to the replica\n", (unsigned long long)fresh,
			fresh == 1 ? "" : "s",
			result->dry_run ? "would be"
			: fresh == 1	? "was"
					: "were");
}

/* Everyday ones are what a replica is for; those of a directory that was adopted, or not included
 * any more, may be news. */
static void print_removals(const struct sync_result *result, bool filtered)
{
	char name[TEXT_NAME];

	if (result->names_removed > 0 &&
	    (result->dry_run || result->adopted || result->seeded || filtered))
		printf("%s %llu name%s that the source hasn't%s, such as '%s'\n",
		       result->dry_run ? "would remove" : "removed",
		       (unsigned long long)result->names_removed,
		       result->names_removed == 1 ? "" : "s",
		       filtered ? ", or that aren't included" : "",
		       text_quote(result->first_removed ? result->first_removed : "?", name,
				  sizeof(name)));
}

static void print_warnings(const struct sync_result *result)
{
	for (size_t i = 0; i < result->nwarnings; i++)
		output_error("warning: %s", result->warnings[i]);
}

static int print_text(const struct sync_result *result, bool filtered)
{
	char copied[TEXT_BYTES], total[TEXT_BYTES], zeroed[TEXT_BYTES], percent[TEXT_PERCENT];
	char seconds[TEXT_DURATION];
	bool dry = result->dry_run;

	printf("%scheckpoint %llu: %llu of %llu images changed, %s %s of %s (%s), %s %s, %s\n",
	       dry ? "dry run, " : "", (unsigned long long)result->checkpoint,
	       (unsigned long long)result->images_changed, (unsigned long long)result->images,
	       dry ? "would copy" : "copied", text_bytes(result->bytes_copied, copied),
	       text_bytes(result->bytes_total, total),
	       text_percent(result->bytes_copied, result->bytes_total, percent),
	       dry ? "would zero" : "zeroed", text_bytes(result->bytes_zeroed, zeroed),
	       text_duration(result->seconds, seconds));
	if (result->seeded)
		printf("%s a copy of checkpoint %llu, with %llu image%s\n",
		       dry ? "would take it for" : "took it for", (unsigned long long)result->from,
		       (unsigned long long)result->seeds, result->seeds == 1 ? "" : "s");
	cmd_sync_print_full_copies(result, stdout);
	print_removals(result, filtered);
	if (result->crash_bytes > 0)
		printf("%s looked at only because mirrorfs crashed: %s\n", dry ? "would be" : "was",
		       text_bytes(result->crash_bytes, copied));
	print_warnings(result);
	return output_finish();
}

static int report(const struct sync_result *result, const struct options *options)
{
	int r = 0;

	if (options->given & OPTION_JSON)
		r = json_print(cmd_sync_json(result));
	else if (!(options->given & OPTION_QUIET))
		r = print_text(result, options->given & (OPTION_INCLUDE | OPTION_EXCLUDE));
	if (r < 0) {
		output_error("write to standard output: %s; the sync itself is done",
			     fail_reason(r));
		return EXIT_FAILURE;
	}
	if (result->hook_failed)
		return EXIT_FAILURE;
	return sync_result_is_full(result) ? EXIT_FULL_COPY : EXIT_SUCCESS;
}

int cmd_sync_fail(const char *dest, int r, const struct sync_result *result,
		  const struct bmf_error *err)
{
	char name[TEXT_NAME];

	if (r == -ECANCELED && stop_signal()) {
		output_error("sync to '%s': stopped by a signal; the next sync makes it good",
			     text_quote(dest, name, sizeof(name)));
		return EXIT_SIGNAL + stop_signal();
	}
	output_error("%s", err->text);
	return result->refused		 ? EXIT_USAGE
	       : result->snapshot_broken ? EXIT_SNAPSHOT_BROKEN
					 : EXIT_FAILURE;
}

#define INTERVAL_DEFAULT "30s"
#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS (24 * 3600 * 1000)

/* What can't go together.  0, or -EINVAL, and that is said. */
static int check_follow(const struct command *command, const struct options *options)
{
	bool follows = options->given & OPTION_FOLLOW;
	const char *clash = NULL;

	if (follows && (options->given & OPTION_DRY_RUN))
		clash = "--follow and --dry-run don't go together";
	else if (!follows && (options->given & OPTION_INTERVAL))
		clash = "--interval goes with --follow";
	if (!clash)
		return 0;
	output_error("%s: %s; see mirrorctl help %s", command->name, clash, command->name);
	return -EINVAL;
}

/* 0; or -EINVAL, and that is said.  filter is what *ret has of it. */
static int read_options(const struct command *command, const struct options *options,
			struct filter *filter, struct sync_options *ret, uint64_t *ret_interval_ms)
{
	int r = command_filter(command, options, filter);

	*ret = (struct sync_options){ .dry_run = options->given & OPTION_DRY_RUN,
				      .in_place = options->given & OPTION_IN_PLACE,
				      .keeps = options->given & OPTION_KEEP,
				      .since = options->since,
				      .filter = filter_is_empty(filter) ? NULL : filter,
				      .pre_hook = options->pre_hook,
				      .post_hook = options->post_hook,
				      .alert = on_alert };
	if (r == 0)
		r = check_follow(command, options);
	if (r == 0)
		r = command_duration(command, "interval",
				     options->interval ? options->interval : INTERVAL_DEFAULT,
				     INTERVAL_MIN_MS, INTERVAL_MAX_MS, ret_interval_ms);
	if (r == 0 && ret->keeps)
		r = command_number(command, "keep", options->keep, 0, UINT64_MAX, &ret->keep);
	return r < 0 ? r : command_threads(command, options, &ret->threads);
}

static int sync_one(char *const args[], const struct options *options,
		    const struct sync_options *sync_options)
{
	struct sync_result result;
	struct bmf_error err;
	int r, status;

	r = sync_run(args[0], args[1], sync_options, &result, &err);
	progress_clear();
	status = r < 0 ? cmd_sync_fail(args[1], r, &result, &err) : report(&result, options);
	sync_result_destroy(&result);
	return status;
}

int cmd_sync(const struct command *command, char *const args[], const struct options *options)
{
	struct sync_options sync_options;
	struct filter filter = { 0 };
	uint64_t interval_ms;
	int status = EXIT_USAGE;

	if (read_options(command, options, &filter, &sync_options, &interval_ms) == 0) {
		stop_catch();
		status = options->given & OPTION_FOLLOW
				 ? cmd_sync_follow(args, options, &sync_options, interval_ms)
				 : sync_one(args, options, &sync_options);
	}
	filter_destroy(&filter);
	return status;
}
