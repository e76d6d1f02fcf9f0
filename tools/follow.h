/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * follow.h - one sync after the other, so that a replica is never far behind its source
 *
 * The engine of mirrorctl sync --follow: no argv, no output.  From one checkpoint to the next
 * it is the interval, or as long as a sync takes, if that is more.
 *
 * The first sync may fail as any other, and that ends it.  From then on it goes on with those two,
 * source and replica, until a signal asks to stop: whatever a sync fails of, it is tried again,
 * first soon and then less often.  A destination whose filesystem is not mounted, and a source
 * whose mirrorfs isn't, are such a failure, and never something new to begin with.
 *
 * Not thread safe.
 */
#ifndef TOOLS_FOLLOW_H
#define TOOLS_FOLLOW_H

#include "bitmapfile/error.h"
#include "tools/sync.h"

struct follow_options {
	const struct sync_options *sync; /* mounted and pair are follow's own */
	uint64_t interval_ms;		 /* above 0 */
	/*
	 * Told of each sync that succeeded; away_seconds: for how long none had before it, 0: that
	 * one did.  A negative errno ends it.
	 */
	int (*synced)(void *arg, const struct sync_result *result, double away_seconds);
	/* Told of a sync that failed, and of those after it only where the reason is new. */
	void (*interrupted)(void *arg, const struct bmf_error *why);
	void *arg;
};

/*
 * -ECANCELED: a signal asked to stop; the replica is at one checkpoint, or leads to one, as after
 * a sync (sync.h).  Other negative errnos: the first sync failed, and err and *ret, which has to be
 * destroyed, say why; or the error of synced(), err without a text.  *ret_begun: the first sync was
 * complete.
 */
int follow_run(const char *source, const char *dest, const struct follow_options *options,
	       bool *ret_begun, struct sync_result *ret, struct bmf_error *err);

/* Until the next attempt, after so many that have failed in a row (1: the first). */
uint64_t follow_pause_ms(uint64_t interval_ms, unsigned int nfailed);

/*
 * What was told of since the last sync that succeeded.  Two reasons are the same where they differ
 * in numbers only, as in how much room there is; of a new one there is news up to so many times, as
 * two may take turns for days.
 */
#define FOLLOW_REASONS_MAX 8

struct follow_told {
	size_t n;
	char reasons[FOLLOW_REASONS_MAX][sizeof(((struct bmf_error *)NULL)->text)];
};

/* Is it to be told?  Then it is noted as told. */
bool follow_is_news(struct follow_told *told, const struct bmf_error *why);

#endif
