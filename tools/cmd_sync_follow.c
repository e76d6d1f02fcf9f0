/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd_sync_follow.c - mirrorctl sync --follow: what it says
 *
 * One that goes on for weeks says what is news, and not each time what was said before.
 */
#include "config.h"

#include "tools/cmd_sync.h"
#include "tools/fail.h"
#include "tools/follow.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct following {
	const struct options *options;
	const char *dest;
	uint64_t interval_ms;
	bool begun;
	uint64_t checkpoint;
	char **warnings; /* of the sync before */
	size_t nwarnings;
};

static void say(const struct following *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct following *f, const char *format, ...)
{
	char name[TEXT_NAME], text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	output_error("follow '%s': %s", text_quote(f->dest, name, sizeof(name)), text);
}

static bool was_warned(const struct following *f, const char *text)
{
	for (size_t i = 0; i < f->nwarnings; i++)
		if (strcmp(f->warnings[i], text) == 0)
			return true;
	return false;
}

static void forget_warnings(struct following *f)
{
	for (size_t i = 0; i < f->nwarnings; i++)
		free(f->warnings[i]);
	free(f->warnings);
	f->warnings = NULL;
	f->nwarnings = 0;
}

static void print_new_warnings(struct following *f, const struct sync_result *result)
{
	char **warnings = calloc(result->nwarnings + 1, sizeof(*warnings));
	size_t n = 0;

	for (size_t i = 0; i < result->nwarnings; i++) {
		if (!was_warned(f, result->warnings[i]))
			output_error("warning: %s", result->warnings[i]);
		if (warnings && (warnings[n] = strdup(result->warnings[i])))
			n++;
	}
	forget_warnings(f);
	f->warnings = warnings;
	f->nwarnings = n;
}

static int on_synced(void *arg, const struct sync_result *result, double away_seconds)
{
	struct following *f = arg;
	bool quiet = f->options->given & OPTION_QUIET;
	char duration[TEXT_DURATION];
	int r = 0;

	progress_clear();
	if (!quiet && !f->begun)
		say(f, "at checkpoint %llu, and from now on one every %s",
		    (unsigned long long)result->checkpoint,
		    text_duration((double)f->interval_ms / 1e3, duration));
	else if (!quiet && away_seconds > 0)
		say(f, "goes on after %s: at checkpoint %llu",
		    text_duration(away_seconds, duration), (unsigned long long)result->checkpoint);
	f->begun = true;
	f->checkpoint = result->checkpoint;
	if (f->options->given & OPTION_JSON) {
		r = json_print_line(cmd_sync_json(result));
	} else if (!quiet) {
		print_new_warnings(f, result);
		if (sync_result_is_full(result)) { /* each time (I4) */
			printf("checkpoint %llu:\n", (unsigned long long)result->checkpoint);
			cmd_sync_print_full_copies(result, stdout);
		}
		r = output_finish();
	}
	if (r < 0)
		output_error("write to standard output: %s", fail_reason(r));
	return r;
}

static void on_interrupted(void *arg, const struct bmf_error *why)
{
	struct following *f = arg;
	char name[TEXT_NAME];

	output_error("follow '%s': %s; trying again until it works",
		     text_quote(f->dest, name, sizeof(name)), why->text);
}

/* A signal is how it ends: no failure, once it has begun. */
int cmd_sync_follow(char *const args[], const struct options *options,
		    const struct sync_options *sync_options, uint64_t interval_ms)
{
	struct following f = { .options = options, .dest = args[1], .interval_ms = interval_ms };
	const struct follow_options follow_options = { .sync = sync_options,
						       .interval_ms = interval_ms,
						       .synced = on_synced,
						       .interrupted = on_interrupted,
						       .arg = &f };
	struct sync_result result;
	struct bmf_error err;
	bool begun;
	int r, status;

	r = follow_run(args[0], args[1], &follow_options, &begun, &result, &err);
	if (!begun) {
		status = cmd_sync_fail(args[1], r, &result, &err);
	} else if (r != -ECANCELED) {
		status = EXIT_FAILURE; /* what on_synced() has said */
	} else {
		status = EXIT_SUCCESS;
		if (!(options->given & OPTION_QUIET))
			say(&f, "ended by a signal, at checkpoint %llu",
			    (unsigned long long)f.checkpoint);
	}
	sync_result_destroy(&result);
	forget_warnings(&f);
	return status;
}
