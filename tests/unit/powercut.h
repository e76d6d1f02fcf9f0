/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * powercut.h - a source on a simulated disk, its guests, its replica, and the oracle
 *
 * A struct world is one life of a source: guests change images by the daemon's own write
 * path, the keeper keeps, syncs bring a replica up to date.  The model knows what the
 * replica holds of each image, and what guests were told is durable.
 *
 * powercut_check() takes a disk that a power cut left and asks the real recovery code what it
 * believes of each image.  It ends the test unless
 *
 *   - the state is there, and knows the checkpoint that the replica is at;
 *   - every block that differs from what the replica holds has its bit set (I1);
 *   - every image that the replica has, has a history that reaches back to there,
 *     unless a reason to the contrary is known to the model (I4);
 *   - no bit is set far from where anybody wrote;
 *   - blocks that were not written since an fsync that succeeded are as they were then.
 *
 * To add a protocol: a step in test_powercut.c that carries it out, and if it promises
 * something of its own, a line in powercut_check().
 */
#ifndef TESTS_UNIT_POWERCUT_H
#define TESTS_UNIT_POWERCUT_H

#include "bitmapfile/source.h"
#include "fs/fs.h"
#include "tests/unit/rng.h"
#include "tests/unit/simdisk.h"

#define BLOCK 4096u
#define BLOCKS 48u
#define BLOCK_SHIFT 12
#define REGION_SHIFT 13
#define REGIONS (BLOCKS * BLOCK >> REGION_SHIFT)
#define SLOTS 4	   /* names that images can have */
#define RECORDS 48 /* files that are remembered at a time */

/* What is known of a file, by its handle: names come and go. */
struct record {
	uint64_t handle;
	bool on_replica;    /* the replica has it, with content[] */
	struct bmf_uuid id; /* of what is on the replica, or being copied */
	bool unlinked;	    /* by its last name, durably or not */
	bool failed;	    /* an fsync of it failed, */
	uint64_t failed_in; /* in that life */
	bool behind;	    /* changed past the daemon since the replica got it */
	uint64_t content[BLOCKS], next[BLOCKS]; /* digests; next: of what is being copied */
	bool copied;				/* next[] counts when the sync arrives */
	bool acked[BLOCKS];			/* not written since an fsync that succeeded, */
	uint64_t promised[BLOCKS];		/* when it was this */
	uint64_t touch_keep[REGIONS], touch_sync[REGIONS]; /* when a region was last written to */
};

/* An image that a guest has open. */
struct guest {
	int fd; /* -1: closed */
	struct bmf_tracker *tracker;
	uint64_t handle;
};

struct counters {
	_Atomic uint64_t lives, changes, keeps, syncs, cut_points, states, again, blocks, needless,
		full;
};

#define STORY 60 /* lines that are remembered */

struct world {
	struct simdisk *disk;
	int root;
	struct mfs fs;
	struct rng rng;	    /* of the main thread */
	struct rng cut_rng; /* of the hook: the disk's lock */
	unsigned int depth;
	uint64_t life;	 /* its number among all, also nested ones */
	bool begun;	 /* the state has been durable once */
	bool concurrent; /* several threads: what is needless can't be told */
	bool damaged;	 /* sectors turned into garbage: more may be dirty than was written */
	bool sick;	 /* an fsync failed in this life */
	struct guest guests[SLOTS];
	void (*explain)(const struct world *w); /* says what was being tried, on a failure */
	const uint8_t *fates;			/* of the cut that is being tried */

	/* All below: the disk's lock. */
	uint64_t at; /* the replica's checkpoint; 0: none */
	struct bmf_uuid at_uuid;
	uint64_t nkeeps, nsyncs, at_keeps, at_syncs;
	struct record records[RECORDS];
	char story[STORY][80]; /* what happened last, for people */
	unsigned int nstory;
	struct counters *counters;
};

/* Adds a line to the story; takes the disk's lock. */
void powercut_tell(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* powercut_guest.c: what guests do; each with numbers from rng, to one of the slots */
void powercut_guest(struct world *w, unsigned int slot, struct rng *rng);
void powercut_guests_close(struct world *w);
/* While nothing is mounted: somebody writes to an image, or copies one with its id. */
void powercut_behind(struct world *w);
struct record *powercut_record(struct world *w, uint64_t handle, bool make);
/* What the replica has under that id, or NULL; with the disk locked. */
const struct record *powercut_replica(const struct world *w, const struct bmf_uuid *id);
const char *powercut_slot(unsigned int slot);
/* Digests of an image's blocks as fd shows them; absent ones are as zeros. */
void powercut_read(const struct bmf_io *io, int fd, uint64_t ret[BLOCKS]);

/* powercut_sync.c: what mirrorctl sync does, up to a moment that rng chooses, or to the end */
void powercut_sync(struct world *w);

/* powercut_check.c: what the next one to open that disk will believe */
void powercut_check(struct world *w, struct simdisk *after);

#endif
