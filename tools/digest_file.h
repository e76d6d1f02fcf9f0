/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest_file.h - gives a digester a file, or ranges of it, data as data, holes as holes
 *
 * It is read past the page cache, many pieces at a time (copy.h), and keeps its time of access
 * where that is allowed.  Not thread safe.
 */
#ifndef TOOLS_DIGEST_FILE_H
#define TOOLS_DIGEST_FILE_H

#include "tools/copy.h"

struct digest_file {
	int fd;			/* O_RDONLY will do; borrowed */
	uint64_t size;		/* of the image, in bytes: what the file lacks of it is zeros */
	struct copy_ring *ring; /* borrowed: one serves many files; NULL: one of its own */
	/* Gets the blocks that the disk can't give, which are zeros to digester.  NULL: that fails.
	 */
	struct bmf_bits *unreadable;
	unsigned int block_shift; /* for that, and for digest_file_blocks() */

	/* Told of every step forward; may be NULL. */
	void (*tick)(void *arg, uint64_t nbytes);
	void *tick_arg;

	/* Of a failure. */
	bool at_file; /* the file could not be read, at: */
	uint64_t failed_offset;
};

/*
 * 0: digester has had all of it, and was finished; what somebody cuts off at this moment is zeros.
 * -ECANCELED: a signal asked to stop.  Or another negative errno, also of what takes the digests.
 */
int digest_file(struct digest_file *file, struct digester *digester);

/* The same of a range that begins and ends with a block, or at the end of the image. */
int digest_file_range(struct digest_file *file, struct digester *digester, uint64_t offset,
		      uint64_t nbytes);

/* The same of each run of blocks that is set in [first_block, end_block), one after the other. */
int digest_file_blocks(struct digest_file *file, struct digester *digester,
		       const struct bmf_bits *bits, uint64_t first_block, uint64_t end_block);

#endif
