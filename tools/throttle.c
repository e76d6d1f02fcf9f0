/* SPDX-License-Identifier: GPL-2.0-or-later */
/* throttle.c - so many bytes a second, and no more */
#include "config.h"

#include "tools/throttle.h"

/* A year: longer than anybody waits, and short enough to be added to. */
#define LONGEST_NS (INT64_C(365) * 86400 * 1000000000)

void throttle_begin(struct throttle *throttle, uint64_t rate, int64_t now_ns)
{
	*throttle = (struct throttle){ .rate = rate, .even_ns = now_ns };
}

static int64_t cost_ns(const struct throttle *throttle, uint64_t nbytes)
{
	double ns = (double)nbytes * 1e9 / (double)throttle->rate;

	return ns < (double)LONGEST_NS ? (int64_t)ns : LONGEST_NS;
}

int64_t throttle_take(struct throttle *throttle, uint64_t nbytes, int64_t now_ns)
{
	int64_t begin;

	if (throttle->rate == 0)
		return now_ns;
	if (throttle->even_ns < now_ns - THROTTLE_BURST_NS)
		throttle->even_ns = now_ns - THROTTLE_BURST_NS;
	begin = throttle->even_ns > now_ns ? throttle->even_ns : now_ns;
	if (begin - now_ns < LONGEST_NS)
		throttle->even_ns += cost_ns(throttle, nbytes);
	return begin;
}
