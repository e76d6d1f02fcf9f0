/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pace.c - how fast this process may read and write what images hold */
#include "config.h"

#include "tools/monotonic.h"
#include "tools/pace.h"
#include "tools/stop.h"
#include "tools/throttle.h"

#include <time.h>

/* A signal that comes just before a sleep doesn't cut it short: it isn't long. */
#define SLEEP_NS 50000000

/* Of a second: what may be under way at a time. */
#define MOMENTS 4

static struct throttle reading, writing;

void pace_set_limit(uint64_t bytes_a_second)
{
	int64_t now = monotonic_ns();

	throttle_begin(&reading, bytes_a_second, now);
	throttle_begin(&writing, bytes_a_second, now);
}

static void wait_for_turn(struct throttle *throttle, uint64_t nbytes)
{
	int64_t begin, left;

	if (throttle->rate == 0)
		return;
	begin = throttle_take(throttle, nbytes, monotonic_ns());
	while (!stop_signal() && (left = begin - monotonic_ns()) > 0) {
		struct timespec time = { .tv_nsec = left < SLEEP_NS ? left : SLEEP_NS };

		nanosleep(&time, NULL);
	}
}

void pace_read(uint64_t nbytes)
{
	wait_for_turn(&reading, nbytes);
}

void pace_write(uint64_t nbytes)
{
	wait_for_turn(&writing, nbytes);
}

size_t pace_pieces(size_t n, size_t piece_nbytes)
{
	uint64_t moment = reading.rate / MOMENTS / piece_nbytes;

	if (reading.rate == 0 || moment >= n)
		return n;
	return moment > 0 ? (size_t)moment : 1;
}
