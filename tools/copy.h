/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h - brings ranges of an image to where they are wanted: data as data, holes as holes
 *
 * Data is read, and where the sink allows it written, in many pieces at a time (struct copy_ring),
 * by io_uring or else by threads.  All else happens on the caller's thread, piece by piece in
 * ascending order: sinks that want it so, digests, holes, progress.
 *
 * Memory is the ring's buffers, whatever the size of the files.  Not thread safe.
 */
#ifndef TOOLS_COPY_H
#define TOOLS_COPY_H

#include "tools/cached.h"
#include "tools/digester.h"
#include "tools/direct.h"
#include "tools/source_image.h"

#include "bitmapfile/bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is read or written at a time: enough for a disk, and little enough for many at once. */
#define COPY_PIECE ((size_t)256 << 10)

struct copy;

/* Pieces that are under way. */
struct copy_ring;

/*
 * Of nthreads, at most COPY_THREADS_MAX, or as many requests as they would have on their way; 0: as
 * many as disks like.  With 1 there are none: all is done by the caller.  0 or -ENOMEM.
 */
#define COPY_THREADS_MAX 64
int copy_ring_new(unsigned int nthreads, struct copy_ring **ret);
void copy_ring_free(struct copy_ring *ring); /* NULL is allowed */

/* Where it is wanted. */
struct copy_sink {
	/*
	 * At most COPY_PIECE bytes.  0 or a negative errno.  side_by_side: may be called by several
	 * threads at a time, in any order.  NULL: they needn't even be read.
	 */
	int (*data)(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset);
	bool side_by_side;
	bool to_dest;	  /* it is a direct_write() to copy->dest, and may be done so */
	const char *verb; /* what data does, for a message */
	/*
	 * [offset, end) reads as zeros; counts in copy->zeroed what wasn't that yet.  0, or fills a
	 * struct copy's failure and returns -errno.
	 */
	int (*zeros)(struct copy *copy, uint64_t offset, uint64_t end);
};

/*
 * Writes to copy->dest: holes are punched where the filesystem can.  Nothing is durable
 * before the caller's fsync.
 */
extern const struct copy_sink copy_to_file;

/* The same to a file that is new, all of it a hole.  Counted is what old_fd has data for. */
extern const struct copy_sink copy_to_new;

/* Only reads: for the digester. */
extern const struct copy_sink copy_to_digester;

/* Only counts, against old_fd. */
extern const struct copy_sink copy_to_nowhere;

struct copy {
	struct copy_ring *ring;	     /* the caller's */
	struct source_image *source; /* read in ascending order, and released: */
	bool again;		     /*   not yet, as it will be read again, out of the cache */
	const struct copy_sink *sink;
	void *sink_arg;	    /* for a sink of the caller's */
	struct direct dest; /* O_RDWR */
	int old_fd;	    /* what the replica has of it; -1: nothing */

	/* Given all of it too, of an image of that size; NULL: nobody wants digests. */
	struct digester *digester;
	uint64_t size;

	/*
	 * Gets the blocks that the disk can't give, which are zeros to the sink and the digester.
	 * NULL: that fails.
	 */
	struct bmf_bits *unreadable;
	unsigned int block_shift; /* for that */

	/* Told of every step forward in a range; may be NULL. */
	void (*tick)(void *arg, uint64_t nbytes);
	void *tick_arg;

	uint64_t copied, zeroed; /* bytes; only ever grow */

	/* Of the failure, if there was one. */
	const char *verb; /* "read", "write", ... */
	bool at_source;
	bool of_rest;	 /* copy_blocks_and_rest: it is one of rest, which says at_source */
	uint64_t offset; /* of the piece */

	struct cached cached;		 /* of source */
	atomic_uint_least64_t unflushed; /* bytes written since writeback was last started */
};

/*
 * Hands [offset, offset + nbytes) of source to the sink, in ascending order, without a gap.  What
 * the source has no data for (a hole, or beyond its end) is zeros.  0; -ECANCELED when a signal
 * asked to stop; or a negative errno, told in verb, at_source and offset.  What lies beyond that
 * may have been handed over too.
 */
int copy_range(struct copy *copy, uint64_t offset, uint64_t nbytes);

/* The same with each run of blocks that is set, up to copy->size, one after the other. */
int copy_blocks(struct copy *copy, const struct bmf_bits *bits, unsigned int block_shift,
		uint64_t first_block, uint64_t end_block);

/*
 * The same, and what lies between those blocks is handed to rest's sink, of rest's source, in one
 * ascending order.  Both must have the same ring.  A failure is told in copy, also one of rest.
 */
int copy_blocks_and_rest(struct copy *copy, struct copy *rest, const struct bmf_bits *bits,
			 unsigned int block_shift);

/*
 * Hands bytes that are in memory to the sink, by way of the ring.  They are written in any order,
 * so none may overlap before the next copy_drain.  buf may be used for something else at once.
 * Errors as those of copy_range, of earlier pieces too; copied and digester aren't concerned.
 */
int copy_put(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset);

/* Waits for what is under way.  0, or the first error of it. */
int copy_drain(struct copy *copy);

/* For sinks: notes what failed, and returns code. */
int copy_failed(struct copy *copy, int code, const char *verb, bool at_source, uint64_t offset);

#endif
