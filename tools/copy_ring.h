/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy_ring.h - the pieces of a copy that are under way: begun in order, carried out side by side,
 * finished in order
 *
 * Internal to copy*.c, and to who reads files in an order of its own (copy_ring_read).  Calling
 * sequence: copy_ring_next, which finishes the oldest piece if all are under way; fill it in;
 * copy_ring_start.  Not thread safe: the caller of copy_range.
 */
#ifndef TOOLS_COPY_RING_H
#define TOOLS_COPY_RING_H

#include "tools/copy.h"
#include "tools/workers.h"

enum copy_kind {
	COPY_DATA,  /* to be read */
	COPY_BYTES, /* in the buffer */
	COPY_ZEROS,
	COPY_SKIPPED, /* data that nobody wants to see */
};

enum copy_stage { COPY_READING, COPY_WRITING, COPY_DONE };

struct copy_piece {
	struct work work;
	struct copy *copy;
	enum copy_kind kind;
	uint64_t offset, nbytes;
	bool begins, ends; /* the range that it is of */
	void *buffer;	   /* COPY_PIECE bytes, aligned; NULL: it needs none */
	bool carry_out;
	bool cached; /* is read by way of the page cache */
	/* copy_uring.c */
	enum copy_stage stage;
	size_t asked; /* of the kernel; as much is written, where the rest comes late */
	bool late;    /* the page cache gets it, or the end of it, when its turn has come */
	/* Of data, when it is done: how much of it there was, or what failed. */
	size_t got;
	int code;
	const char *verb;
	bool at_source;
};

/*
 * A piece that isn't under way; its buffer is only there if with_buffer, and anybody's again with
 * the next one that gets one after it has been finished.  0 or a negative errno.
 */
int copy_ring_next(struct copy_ring *ring, bool with_buffer, struct copy_piece **ret);

/* carry_out: copy_carry_out some time before copy_finish, and not before its turn (pace.h). */
void copy_ring_start(struct copy_ring *ring, bool carry_out);

/*
 * Both, with data that is to be read and handed to copy's sink, by who has no range of copy.c's.  0
 * or a negative errno, of earlier pieces too.
 */
int copy_ring_read(struct copy *copy, uint64_t offset, size_t nbytes);

bool copy_ring_is_full(const struct copy_ring *ring);

/* Finishes the oldest piece, if there is one.  0, or what came of it; then nothing is under way. */
int copy_ring_finish(struct copy_ring *ring);

/* Finishes all that is under way.  0, or the first error, after which nothing more is finished. */
int copy_ring_drain(struct copy_ring *ring);

/* copy.c: reads and writes a piece, as far as that may be done side by side. */
void copy_carry_out(struct copy_piece *piece);

/* Is that to be read by way of the page cache? */
bool copy_is_cached(struct copy *copy, uint64_t offset, uint64_t nbytes);

/* In steps, for who reads and writes otherwise.  Is it to be written now? */
bool copy_has_read(struct copy_piece *piece, ssize_t got);
void copy_write(struct copy_piece *piece);
void copy_has_written(struct copy_piece *piece, int r);

/* By the caller's thread, in order. */
int copy_finish(struct copy_piece *piece);

#endif
