/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buffer.h - page-aligned memory of the calling thread
 *
 * What O_DIRECT transfers need, without an allocation per request.  The memory
 * stays the thread's until it ends, and is overwritten by its next call.
 */
#ifndef FS_BUFFER_H
#define FS_BUFFER_H

#include <stddef.h>

/* At least nbytes, aligned to a page; NULL when there is no memory. */
void *mfs_buffer(size_t nbytes);

#endif
