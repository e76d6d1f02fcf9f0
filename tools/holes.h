/* SPDX-License-Identifier: GPL-2.0-or-later */
/* holes.h - where a file has data, and where it has holes */
#ifndef TOOLS_HOLES_H
#define TOOLS_HOLES_H

#include <stdint.h>

/*
 * The next range of data (as opposed to holes) of the file at or after offset, cut at
 * end.  1, 0 when there is none, or a negative errno.  Where the filesystem can't tell,
 * everything is data.
 */
int holes_next_data(int fd, uint64_t offset, uint64_t end, uint64_t *ret_first, uint64_t *ret_end);

#endif
