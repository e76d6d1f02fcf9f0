/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy_ring.h - the pieces of a copy that are under way: begun in order, carried out side by side,
 * finished in order
 *
 * Internal to copy*.c.  Calling sequence: copy_ring_next, which finishes the oldest piece if all
 * are under way; fill it in; copy_ring_start.  Not thread safe: the caller of copy_range.
 */
#ifndef TOOLS_COPY_RING_H
#define TOOLS_COPY_RING_H

#include "tools/copy.h"
#include "tools/workers.h"

enum copy_kind {
	COPY_BEGIN, /* a range, at offset */
	COPY_DATA,  /* to be read */
	COPY_BYTES, /* in the buffer */
	COPY_ZEROS,
	COPY_SKIPPED, /* data that nobody wants to see */
	COPY_END,     /* of the range */
};

struct copy_piece {
	struct work work;
	struct copy *copy;
	enum copy_kind kind;
	uint64_t offset, nbytes;
	void *buffer; /* COPY_PIECE bytes, aligned */
	/* Of data, when it is done: how much of it there was, or what failed. */
	size_t got;
	int code;
	const char *verb;
	bool at_source;
};

/* A piece that isn't under way; its buffer is only there if with_buffer.  0 or a negative errno. */
int copy_ring_next(struct copy_ring *ring, bool with_buffer, struct copy_piece **ret);

/* run: by a thread, some time before finish; NULL: there is nothing to do before that. */
void copy_ring_start(struct copy_ring *ring, void (*run)(struct work *work));

/* Finishes all that is under way.  0, or the first error, after which nothing more is finished. */
int copy_ring_drain(struct copy_ring *ring);

/* copy.c: by the caller's thread, in order. */
int copy_finish(struct copy_piece *piece);

#endif
