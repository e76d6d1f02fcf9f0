/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h - brings ranges of one file to another: data as data, holes as holes
 *
 * Memory is one buffer, whatever the size of the files.  Nothing is durable before the
 * caller's fsync.  Not thread safe.
 */
#ifndef TOOLS_COPY_H
#define TOOLS_COPY_H

#include "tools/source_image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_BUFFER ((size_t)1 << 20)

struct copy {
	struct source_image *source; /* read in ascending order, and released */
	int dest_fd;		     /* O_RDWR; in a dry run readable, or -1: there is none */
	void *buffer;		     /* COPY_BUFFER bytes; the caller's */
	bool dry_run;		     /* only count */

	/* Told of every step forward in a range; may be NULL. */
	void (*tick)(void *arg, uint64_t nbytes);
	void *tick_arg;

	uint64_t copied, zeroed; /* bytes; only ever grow */

	/* Of the failure, if there was one. */
	const char *verb; /* "read", "write", ... */
	bool at_source;
	uint64_t offset;

	uint64_t unflushed; /* bytes written since writeback was last started */
};

/*
 * Makes [offset, offset + nbytes) of dest what it is in source.  What the source has
 * no data for (a hole, or beyond its end) reads as zeros in dest afterwards and, where
 * the filesystem can, takes no space.  dest must be at least that long.  0;
 * -ECANCELED when a signal asked to stop; or a negative errno, told in verb,
 * at_source and offset.
 */
int copy_range(struct copy *copy, uint64_t offset, uint64_t nbytes);

#endif
