/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rate.h - how fast something has been going of late
 *
 * Pure: the caller has the clock (monotonic, in nanoseconds).  Not thread safe.
 */
#ifndef TOOLS_RATE_H
#define TOOLS_RATE_H

#include <stdint.h>

/* What is older than all of it doesn't count any more: RATE_SLOTS times RATE_STEP_NS. */
#define RATE_SLOTS 16
#define RATE_STEP_NS INT64_C(500000000)

struct rate {
	struct rate_sample {
		int64_t ns;
		uint64_t done;
	} samples[RATE_SLOTS]; /* a ring; one a step at most */
	unsigned int n, oldest;
};

/* Begins at now, with nothing done. */
void rate_begin(struct rate *rate, int64_t now_ns);

/* done: so far; it only grows. */
void rate_note(struct rate *rate, int64_t now_ns, uint64_t done);

/* Units a second up to now: also while nothing goes on it gets less. */
double rate_get(const struct rate *rate, int64_t now_ns, uint64_t done);

#endif
