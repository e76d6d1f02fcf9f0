/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lock_wait.h - how long this process waits for a lock that another one holds
 *
 * Process-wide, as stop.h: a verb sets it once, and whoever meets a lock asks.
 *
 *   struct lock_wait wait = { 0 };
 *
 *   do
 *       r = take the lock;
 *   while (r == -EBUSY && lock_wait_again(&wait));
 *   lock_wait_end(&wait);
 *
 * Not thread safe.
 */
#ifndef TOOLS_LOCK_WAIT_H
#define TOOLS_LOCK_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* 0, as when it isn't set: not at all. */
void lock_wait_set_limit(uint64_t seconds);

/* One lock that is waited for; all zero to begin with. */
struct lock_wait {
	bool begun;
	int64_t until_ns;
};

/*
 * Sleeps for a moment, and true: try again.  false: the time is over, or a signal asks to stop.
 * Who looks on is told (progress.h) that a lock is waited for.
 */
bool lock_wait_again(struct lock_wait *wait);

/* For messages about a lock that was not to be had, after what holds it: the way out. */
const char *lock_wait_way_out(void);
void lock_wait_end(const struct lock_wait *wait);

#endif
