/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.h - brings ranges of an image to where they are wanted: data as data, holes as holes
 *
 * Memory is one buffer, whatever the size of the files.  Not thread safe.
 */
#ifndef TOOLS_COPY_H
#define TOOLS_COPY_H

#include "tools/digester.h"
#include "tools/source_image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_BUFFER ((size_t)1 << 20)

struct copy;

/* Where it is wanted.  Each returns 0, or fills a struct copy's failure and returns -errno. */
struct copy_sink {
	/* At most COPY_BUFFER bytes.  NULL: they needn't even be read. */
	int (*data)(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset);
	/* [offset, end) reads as zeros; counts in copy->zeroed what wasn't that yet. */
	int (*zeros)(struct copy *copy, uint64_t offset, uint64_t end);
};

/*
 * Writes to dest_fd, O_RDWR: holes are punched where the filesystem can.  Nothing is durable
 * before the caller's fsync.
 */
extern const struct copy_sink copy_to_file;

/* Only counts.  dest_fd, if it is not -1, is what would be written to. */
extern const struct copy_sink copy_to_nowhere;

struct copy {
	struct source_image *source; /* read in ascending order, and released: */
	bool again;		     /*   not yet, as it will be read again */
	const struct copy_sink *sink;
	void *sink_arg; /* for a sink of the caller's */
	int dest_fd;
	void *buffer; /* COPY_BUFFER bytes; the caller's */

	/* Given all of it too, of an image of that size; NULL: nobody wants digests. */
	struct digester *digester;
	uint64_t size;

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
 * Hands [offset, offset + nbytes) of source to the sink, in ascending order, without a gap.  What
 * the source has no data for (a hole, or beyond its end) is zeros.  0; -ECANCELED when a signal
 * asked to stop; or a negative errno, told in verb, at_source and offset.
 */
int copy_range(struct copy *copy, uint64_t offset, uint64_t nbytes);

/* For sinks: notes what failed, and returns code. */
int copy_failed(struct copy *copy, int code, const char *verb, bool at_source, uint64_t offset);

#endif
