/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_switchover.c - mirrorctl switchover: calls the engine and says what it did */
#include "config.h"

#include "fs/control.h"
#include "tools/cmd_sync.h"
#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/stop.h"
#include "tools/switchover.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_DEFAULT "30s"
#define TIMEOUT_MIN_MS 100

/*
 * What the syncs had to tell, of all of them (I4).  Kept until changes are let go: a terminal that
 * takes nothing would hold up guests.
 */
struct told {
	bool full;
	char *text; /* lines of stdout */
	size_t nbytes;
	FILE *out; /* to text */
	json_t *full_copies, *warnings;
};

static int told_begin(struct told *told)
{
	*told = (struct told){ .full_copies = json_array(), .warnings = json_array() };
	told->out = open_memstream(&told->text, &told->nbytes);
	return told->out ? 0 : -ENOMEM;
}

static void told_end(struct told *told)
{
	if (told->out)
		fclose(told->out);
	free(told->text);
	json_decref(told->full_copies);
	json_decref(told->warnings);
}

static void on_synced(void *arg, const struct sync_result *result)
{
	struct told *told = arg;

	cmd_sync_add_full_copies(told->full_copies, result);
	cmd_sync_add_warnings(told->warnings, result);
	if (!sync_result_is_full(result))
		return;
	told->full = true;
	cmd_sync_print_full_copies(result, told->out);
}

static int print_json(const struct switchover_result *result, const struct told *told)
{
	json_t *document = json_object();

	json_put_bool(document, "sealed", true);
	json_put_checkpoint(document, "checkpoint", result->checkpoint, &result->checkpoint_uuid);
	json_put_uuid(document, "source", &result->pair.source);
	json_put_uuid(document, "replica", &result->pair.replica);
	json_put_bool(document, "mounted", result->mounted);
	json_put_number(document, "syncs", result->nsyncs);
	json_object_set_new(document, "held_ms", json_real(result->held_seconds * 1e3));
	json_object_set(document, "full_copies", told->full_copies);
	json_object_set(document, "warnings", told->warnings);
	return json_print(document);
}

static int print_text(char *const args[], const struct switchover_result *result)
{
	char source[TEXT_NAME], dest[TEXT_NAME], held[TEXT_DURATION];

	text_quote(args[0], source, sizeof(source));
	text_quote(args[1], dest, sizeof(dest));
	printf("switched over: '%s' is at checkpoint %llu, and '%s' was not written to after that, "
	       "and is read-only now\n",
	       dest, (unsigned long long)result->checkpoint, source);
	if (result->mounted)
		printf("writes had been held for %s\n", text_duration(result->held_seconds, held));
	return output_finish();
}

/* Of a switchover that failed too. */
static void print_told(const struct told *told)
{
	const json_t *warning;
	size_t i;

	json_array_foreach(told->warnings, i, warning)
		output_error("warning: %s", json_string_value(warning));
	if (told->out && fflush(told->out) == 0)
		fputs(told->text, stdout);
}

static int print_undone(const char *source, const struct options *options)
{
	json_t *document;
	char name[TEXT_NAME];

	if (options->given & OPTION_JSON) {
		document = json_object();
		json_put_bool(document, "sealed", false);
		return json_print(document);
	}
	if (options->given & OPTION_QUIET)
		return 0;
	printf("undone: '%s' can be written to again\n", text_quote(source, name, sizeof(name)));
	return output_finish();
}

/* r of the output: the deed is done. */
static int finish(int r)
{
	if (r < 0)
		output_error("write to standard output: %s; all the rest is done", fail_reason(r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int report(char *const args[], const struct options *options,
		  const struct switchover_result *result, const struct told *told)
{
	int r = 0;

	if (options->given & OPTION_JSON)
		r = finish(print_json(result, told));
	else if (!(options->given & OPTION_QUIET))
		r = finish(print_text(args, result));
	return r == EXIT_SUCCESS && told->full ? EXIT_FULL_COPY : r;
}

static int switch_over(char *const args[], const struct options *options,
		       const struct switchover_options *given)
{
	struct switchover_options switchover_options = *given;
	struct switchover_result result;
	struct bmf_error err = { 0 };
	struct told told;
	int r = told_begin(&told), status;

	switchover_options.arg = &told;
	if (r == 0)
		r = switchover_run(args[0], args[1], &switchover_options, &result, &err);
	if (!(options->given & (OPTION_JSON | OPTION_QUIET)))
		print_told(&told);
	status = r < 0 ? output_failure("switch over", args[0], "guests go on from there",
					EXIT_FAILURE, r, &err)
		       : report(args, options, &result, &told);
	told_end(&told);
	return status;
}

static int undo(const char *source, const struct options *options)
{
	struct bmf_error err = { 0 };
	int r = switchover_undo(source, &err);

	if (r < 0)
		return output_failure("undo switchover of", source, NULL, EXIT_FAILURE, r, &err);
	return finish(print_undone(source, options));
}

int cmd_switchover(const struct command *command, char *const args[], const struct options *options)
{
	struct sync_options sync_options = { 0 };
	struct switchover_options switchover_options = { .sync = &sync_options,
							 .synced = on_synced };
	bool undoes = options->given & OPTION_UNDO;

	if (undoes != !args[1]) {
		output_error("%s: %s; see mirrorctl help %s", command->name,
			     undoes ? "--undo takes SOURCE alone" : "DEST is missing",
			     command->name);
		return EXIT_USAGE;
	}
	if (command_duration(command, "timeout",
			     options->timeout ? options->timeout : TIMEOUT_DEFAULT, TIMEOUT_MIN_MS,
			     MFS_HOLD_MAX_MS, &switchover_options.timeout_ms) < 0 ||
	    command_threads(command, options, &sync_options.threads) < 0)
		return EXIT_USAGE;
	stop_catch();
	return undoes ? undo(args[0], options) : switch_over(args, options, &switchover_options);
}
