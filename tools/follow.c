/* SPDX-License-Identifier: GPL-2.0-or-later */
/* follow.c - one sync after the other, so that a replica is never far behind its source */
#include "config.h"

#include "tools/follow.h"
#include "tools/monotonic.h"
#include "tools/progress.h"
#include "tools/stop.h"

#include <errno.h>
#include <stdio.h>

/* Between attempts: the first pause, and the longest; neither is more than the interval asks for.
 */
#define PAUSE_FIRST_MS 1000
#define PAUSE_LONGEST_MS 60000

struct follow {
	const struct follow_options *options;
	struct sync_pair pair;
	bool begun;
	unsigned int nfailed;	/* in a row */
	uint64_t failing_since; /* milliseconds of the clock; if nfailed > 0 */
	struct follow_told told;
};

static uint64_t now_ms(void)
{
	return (uint64_t)(monotonic_ns() / 1000000);
}

uint64_t follow_pause_ms(uint64_t interval_ms, unsigned int nfailed)
{
	uint64_t longest = interval_ms < PAUSE_LONGEST_MS ? interval_ms : PAUSE_LONGEST_MS;
	uint64_t pause = PAUSE_FIRST_MS;

	for (unsigned int i = 1; i < nfailed && pause < longest; i++)
		pause *= 2;
	return pause < longest ? pause : longest;
}

static bool is_of_number(char c)
{
	return (c >= '0' && c <= '9') || c == '.';
}

static bool is_same_reason(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (is_of_number(*a))
			a++;
		while (is_of_number(*b))
			b++;
		if (*a != *b)
			return false;
		if (!*a)
			return true;
	}
}

bool follow_is_news(struct follow_told *told, const struct bmf_error *why)
{
	for (size_t i = 0; i < told->n; i++)
		if (is_same_reason(told->reasons[i], why->text))
			return false;
	if (told->n == FOLLOW_REASONS_MAX)
		return false;
	snprintf(told->reasons[told->n++], sizeof(told->reasons[0]), "%s", why->text);
	return true;
}

static int note_success(struct follow *f, const struct sync_result *result)
{
	double away = f->nfailed > 0 ? (double)(now_ms() - f->failing_since) / 1e3 : 0;

	f->begun = true;
	f->pair = result->pair;
	f->nfailed = 0;
	f->told.n = 0;
	return f->options->synced(f->options->arg, result, away);
}

static void note_failure(struct follow *f, uint64_t began, const struct bmf_error *why)
{
	if (f->nfailed++ == 0)
		f->failing_since = began;
	if (follow_is_news(&f->told, why))
		f->options->interrupted(f->options->arg, why);
}

/* The next sync, and the pause after it.  0: to go on. */
static int follow_once(struct follow *f, const char *source, const char *dest,
		       struct sync_result *ret, struct bmf_error *err)
{
	struct sync_options options = *f->options->sync;
	uint64_t began = now_ms(), passed, pause = f->options->interval_ms;
	int r;

	options.mounted = true;
	options.pair = f->begun ? &f->pair : NULL;
	if (f->begun)
		progress_enter(PROGRESS_OPENING);
	r = sync_run(source, dest, &options, ret, err);
	if (r == 0) {
		r = note_success(f, ret);
	} else if (f->begun && !stop_signal()) {
		note_failure(f, began, err);
		pause = follow_pause_ms(pause, f->nfailed);
		began = now_ms();
		r = 0;
	}
	if (r < 0)
		return stop_signal() ? -ECANCELED : r;
	sync_result_destroy(ret);
	progress_enter(PROGRESS_RESTING);
	passed = now_ms() - began;
	if (passed < pause)
		stop_wait(pause - passed);
	return stop_signal() ? -ECANCELED : 0;
}

int follow_run(const char *source, const char *dest, const struct follow_options *options,
	       bool *ret_begun, struct sync_result *ret, struct bmf_error *err)
{
	struct follow f = { .options = options };
	int r;

	*ret = (struct sync_result){ 0 };
	*err = (struct bmf_error){ 0 };
	do {
		r = follow_once(&f, source, dest, ret, err);
	} while (r == 0);
	*ret_begun = f.begun;
	return r;
}
