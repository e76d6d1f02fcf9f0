/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compare.h - compares the content of two files, byte by byte, as far as either has data */
#ifndef TOOLS_COMPARE_H
#define TOOLS_COMPARE_H

#include "tools/copy.h"

#include "bitmapfile/bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct compare {
	int a_fd, b_fd;		/* O_RDONLY; borrowed */
	struct copy_ring *ring; /* borrowed: reads both, many pieces at a time */
	size_t block;		/* bytes, at least DIRECT_ALIGN: differing blocks are counted */
	void (*tick)(void *arg, uint64_t nbytes); /* told of every step; may be NULL */
	void *tick_arg;

	const struct bmf_bits *only; /* those blocks; NULL: all */

	uint64_t compared;     /* bytes */
	uint64_t blocks;       /* that differ */
	uint64_t first_offset; /* of the first byte that differs, if blocks > 0 */

	bool failed_at_b;	/* of the failure, if there was one */
	uint64_t failed_offset; /* of the piece */
};

/*
 * Compares [0, size) of both; what is missing at the end of either is zeros.  0, -ECANCELED when a
 * signal asked to stop, -ENOMEM, or an error of reading one of them.
 */
int compare_files(struct compare *compare, uint64_t size);

#endif
