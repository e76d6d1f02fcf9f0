/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read_ahead.h - a file from some place to its end, many pieces of it at a time, given in order
 *
 * Past the page cache, but for what is in it, where that can be (direct.h).  Not thread safe.
 */
#ifndef TOOLS_READ_AHEAD_H
#define TOOLS_READ_AHEAD_H

#include <stdint.h>
#include <sys/types.h>

struct read_ahead;

/* fd: borrowed; offset: a multiple of DIRECT_ALIGN.  0 or a negative errno. */
int read_ahead_new(int fd, uint64_t offset, struct read_ahead **ret);
void read_ahead_free(struct read_ahead *ahead); /* NULL is allowed */

/*
 * The next bytes, which are there until the next call: how many, 0 at the end of the file; or an
 * error of pread, after which nothing comes that lies behind it.
 */
ssize_t read_ahead_next(struct read_ahead *ahead, const void **ret);

#endif
