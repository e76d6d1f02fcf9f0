/* SPDX-License-Identifier: GPL-2.0-or-later */
/* monotonic.h - a clock that nobody sets: for how long something takes */
#ifndef TOOLS_MONOTONIC_H
#define TOOLS_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
