/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lock_wait.c - how long this process waits for a lock that another one holds
 *
 * By trying again: the kernel can't wait for such a lock with a limit, and a signal that comes just
 * before it begins to wait would be missed.
 */
#include "config.h"

#include "tools/lock_wait.h"
#include "tools/monotonic.h"
#include "tools/progress.h"
#include "tools/stop.h"

#include <time.h>

#define PAUSE_NS 100000000

/* A hundred years will do, and can be added to. */
#define SECONDS_MAX (UINT64_C(100) * 365 * 86400)

static uint64_t limit;

void lock_wait_set_limit(uint64_t seconds)
{
	limit = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
}

const char *lock_wait_way_out(void)
{
	return limit > 0 ? "that took longer than --lock-timeout gave it: give it more, or look "
			   "what it does"
			 : "wait for it, as --lock-timeout does";
}

bool lock_wait_again(struct lock_wait *wait)
{
	struct timespec pause = { .tv_nsec = PAUSE_NS };
	int64_t left;

	if (limit == 0 || stop_signal())
		return false;
	if (!wait->begun) {
		wait->begun = true;
		wait->until_ns = monotonic_ns() + (int64_t)limit * 1000000000;
		progress_enter(PROGRESS_WAITING);
	}
	left = wait->until_ns - monotonic_ns();
	if (left < PAUSE_NS)
		pause.tv_nsec = left > 0 ? left : 0;
	/* cut short by a signal */
	if (left > 0)
		nanosleep(&pause, NULL);
	return left > 0 && !stop_signal();
}

void lock_wait_end(const struct lock_wait *wait)
{
	if (wait->begun)
		progress_enter(PROGRESS_OPENING);
}
