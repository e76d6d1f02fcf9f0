/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * workers.h - threads that carry out pieces of work side by side
 *
 * For what waits for disks: how many there are is how many reads or writes are on their way at
 * a time.  They are started one by one as there is work for them, and block all signals.
 *
 * Thread safety: start and wait are the owner's, one thread.  What it wrote before start is seen by
 * run, and what that wrote is seen after wait.
 */
#ifndef TOOLS_WORKERS_H
#define TOOLS_WORKERS_H

#include <stdbool.h>

struct workers;

/* Embedded in whatever describes the piece; the caller's, and untouched between start and wait. */
struct work {
	void (*run)(struct work *work);
	/* workers.c */
	struct work *next;
	bool done;
};

/* n: threads at most; with 0 or 1 there are none, and wait does it all.  0 or -ENOMEM. */
int workers_new(unsigned int n, struct workers **ret);

/* Nothing that was started may be left to wait for.  NULL is allowed. */
void workers_free(struct workers *workers);

/* work->run will be called, by any thread. */
void workers_start(struct workers *workers, struct work *work);

/* Returns when run has returned.  What no thread has begun with is done by the caller. */
void workers_wait(struct workers *workers, struct work *work);

#endif
