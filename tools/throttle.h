/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * throttle.h - so many bytes a second, and no more
 *
 * A bucket that fills at the rate.  What is taken may begin as soon as the bucket isn't in debt, so
 * that a piece of any size gets its turn, and puts it into debt by what it is larger than what was
 * in there.  Of a pause no more than THROTTLE_BURST_NS is made up for.  So in any time T no more
 * begins than rate * (T + THROTTLE_BURST_NS), and one piece.
 *
 * Pure: the caller has the clock (monotonic, in nanoseconds), and sleeps.  Not thread safe.
 */
#ifndef TOOLS_THROTTLE_H
#define TOOLS_THROTTLE_H

#include <stdint.h>

#define THROTTLE_BURST_NS INT64_C(100000000)

struct throttle {
	uint64_t rate;	 /* bytes a second; 0: no limit */
	int64_t even_ns; /* when the bucket is out of debt */
};

void throttle_begin(struct throttle *throttle, uint64_t rate, int64_t now_ns);

/* Takes nbytes.  When they may begin: now_ns, or later. */
int64_t throttle_take(struct throttle *throttle, uint64_t nbytes, int64_t now_ns);

#endif
