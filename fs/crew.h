/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crew.h - how many threads are to receive requests: the rule, without the threads
 *
 * Where requests come one at a time, one thread that receives them is best: often the next one is
 * there when it comes back, so that it need not be woken.  Of several that wait the kernel wakes
 * the one that has slept longest, for each request another.  Where requests are short, but never
 * stop coming, two or three are best.  Where they block, on a disk, a lock or a gate, as many are
 * needed as there are requests.
 *
 * What tells one from the other the threads count for a sample of their requests: was there a
 * next one already, and were there voluntary context switches while this one was carried out?
 * Somebody looks at these counters, and at who is waiting, from time to time while there is
 * something to see.  Not thread safe.
 */
#ifndef FS_CREW_H
#define FS_CREW_H

#include <stdbool.h>
#include <stdint.h>

#define MFS_CREW_MIN 1
#define MFS_CREW_BUSY_MAX 3 /* where nothing blocks */
#define MFS_CREW_MAX 64

/* What is seen at one look.  Counters only grow. */
struct mfs_crew_look {
	/* Not in it: threads that are known to wait for something else, and have stood back. */
	unsigned int nworkers;
	unsigned int nwaiting; /* of them, for a request */
	bool is_queued;	       /* a request is there that nobody has received */
	uint64_t nrequests;    /* received */
	uint64_t nsampled;     /* of these */
	uint64_t nblocked;     /* of the sampled: blocked while they were carried out */
	uint64_t nqueued;      /* of the sampled: there was a next one, and nobody waiting for it */
	uint64_t nhelped;      /* threads started in place of one that stood back */
};

struct mfs_crew {
	unsigned int wanted; /* threads: what it is all about */
	unsigned int
		interval_ms; /* until the next look; 0: none, until there is something to see */
	struct mfs_crew_look last;  /* at the look before */
	struct mfs_crew_look begin; /* at the one with which the window began */
	unsigned int window_ms;	    /* since then */
	unsigned int nwaiting_min;  /* likewise */
	unsigned int quiet_ms;	    /* without requests */
	unsigned int nstuck;	    /* looks in a row without any progress */
};

/* MFS_CREW_MIN are wanted, and nobody looks. */
void mfs_crew_init(struct mfs_crew *crew);

/* Nobody looks yet, and there is something to see: begins to. */
void mfs_crew_begin(struct mfs_crew *crew, const struct mfs_crew_look *look);

/* About interval_ms have passed. */
void mfs_crew_look(struct mfs_crew *crew, const struct mfs_crew_look *look);

#endif
