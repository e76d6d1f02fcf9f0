/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deadline.h - a moment of CLOCK_MONOTONIC until which something may take
 *
 * For pthread_cond_timedwait() on a condition of that clock, see mfs_deadline_cond_init().
 */
#ifndef FS_DEADLINE_H
#define FS_DEADLINE_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

static inline struct timespec mfs_deadline(unsigned int timeout_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return until;
}

static inline bool mfs_deadline_passed(const struct timespec *until)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > until->tv_sec ||
	       (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

/* With default attributes but the clock this can't fail on Linux. */
static inline void mfs_deadline_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

#endif
