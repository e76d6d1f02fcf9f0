/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cached.h - what of a file is in the page cache, asked for many pages at a time */
#ifndef TOOLS_CACHED_H
#define TOOLS_CACHED_H

#include <stdbool.h>
#include <stdint.h>

#define CACHED_WINDOW (UINT64_C(64) << 20)
#define CACHED_PAGE_MIN 4096

/* {0}: nobody has been asked yet. */
struct cached {
	uint64_t first, end; /* bytes: the window that is known */
	unsigned char pages[CACHED_WINDOW / CACHED_PAGE_MIN];
};

/*
 * Was all of [offset, offset + nbytes) in the cache when it was asked?  A hint.  "Yes" also where
 * the kernel doesn't tell, as of a file that is somebody else's.
 */
bool cached_has(struct cached *cached, int fd, uint64_t offset, uint64_t nbytes);

#endif
