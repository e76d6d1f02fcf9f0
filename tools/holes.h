/* SPDX-License-Identifier: GPL-2.0-or-later */
/* holes.h - where a file has data, and where it has holes */
#ifndef TOOLS_HOLES_H
#define TOOLS_HOLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The next range of data (as opposed to holes) of the file at or after offset, cut at
 * end.  1, 0 when there is none, or a negative errno.  Where the filesystem can't tell,
 * everything is data.
 */
int holes_next_data(int fd, uint64_t offset, uint64_t end, uint64_t *ret_first, uint64_t *ret_end);

/*
 * Likewise the next range that either of two files has data in, in whole blocks: offset is a
 * multiple of `block`, and so are both ends, but for size.  Of an error *ret_at_b says which file.
 */
int holes_next_data_of_two(int a_fd, int b_fd, size_t block, uint64_t offset, uint64_t size,
			   uint64_t *ret_first, uint64_t *ret_end, bool *ret_at_b);

#endif
