/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compare.h - compares the content of two files, as far as either has data */
#ifndef TOOLS_COMPARE_H
#define TOOLS_COMPARE_H

#include "bitmapfile/bits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct compare {
	int a_fd, b_fd;				  /* O_RDONLY */
	size_t block;				  /* bytes: differing blocks are counted */
	void (*tick)(void *arg, uint64_t nbytes); /* told of every step; may be NULL */
	void *tick_arg;

	const struct bmf_bits *only; /* those blocks; NULL: all */

	uint64_t compared;     /* bytes */
	uint64_t blocks;       /* that differ */
	uint64_t first_offset; /* of the first byte that differs, if blocks > 0 */

	bool failed_at_b; /* of the failure, if there was one */
	uint64_t failed_offset;
};

/*
 * Compares [0, size) of both.  buffers: two of `block` bytes.  0, -ECANCELED when a
 * signal asked to stop, or a negative errno.
 */
int compare_files(struct compare *compare, uint64_t size, void *buffers[2]);

#endif
