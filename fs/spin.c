/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spin.c - a short wait that keeps the processor, where it has paid */
#include "config.h"

#include "fs/spin.h"

#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>

/* About twice of what it takes to be woken on another processor. */
#define SPIN_NS 20000

bool mfs_spin_is_due(struct mfs_spin *spin)
{
	if (spin->nskipped >= spin->nskip)
		return true;
	spin->nskipped++;
	return false;
}

void mfs_spin_tell(struct mfs_spin *spin, bool was_found)
{
	spin->nskipped = 0;
	if (was_found)
		spin->nskip = 0;
	else if (spin->nskip < MFS_SPIN_SKIP_MAX)
		spin->nskip = spin->nskip * 2 + 1;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void mfs_spin(struct mfs_spin *spin, int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int64_t now, end;
	bool found;

	if (!mfs_spin_is_due(spin))
		return;
	end = now_ns() + SPIN_NS;
	do {
		found = poll(&pollfd, 1, 0) == 1;
		if (!found)
			sched_yield();
		now = now_ns();
	} while (!found && now < end);
	/* Late: somebody else had the processor, and a sleeper would have been woken sooner. */
	mfs_spin_tell(spin, found && now < end);
}
