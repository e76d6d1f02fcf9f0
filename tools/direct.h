/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * direct.h - reads and writes a file past the page cache, where that can be
 *
 * What is copied once is not wanted in the cache, where it takes the place of what is; and filling
 * the cache costs more than the disk does.
 *
 * A pair of descriptors of one file: a usual one, which is the caller's, and one with O_DIRECT.
 * Where the filesystem has no such, or refuses (alignment; a file of a kind that can't), the usual
 * one does it all.  Reads and writes may run on several threads at a time.
 *
 * Durability: as with any write, nothing is before fsync of the usual descriptor.
 */
#ifndef TOOLS_DIRECT_H
#define TOOLS_DIRECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DIRECT_ALIGN ((size_t)4096) /* of memory, offsets and lengths; enough for any disk */

struct direct {
	int fd;		/* borrowed; -1: none */
	int direct_fd;	/* -1: none */
	atomic_int off; /* it was refused once */
};

/* flags: O_RDONLY or O_RDWR, and O_NOATIME.  A failure means that the usual one is used. */
void direct_open(struct direct *direct, int fd, int flags);

/* To be read, and its times of access not changed, where that is allowed. */
void direct_open_quietly(struct direct *direct, int fd);

/* Only the usual one: for what is best in the cache. */
void direct_open_cached(struct direct *direct, int fd);

/* Closes its own one. */
void direct_close(struct direct *direct);

/* Does the usual one do it all? */
bool direct_is_cached(const struct direct *direct);

/*
 * buf: aligned, with room up to the next multiple of DIRECT_ALIGN.  The bytes read, fewer than
 * nbytes only at the end of the file; or a negative errno.
 */
ssize_t direct_read(struct direct *direct, void *buf, size_t nbytes, uint64_t offset);

/* All of it: 0 or a negative errno, after which any part may have been written. */
int direct_write(struct direct *direct, const void *buf, size_t nbytes, uint64_t offset);

/* Of what is shorter than nbytes only the last part: from done on, by the usual one.  Likewise. */
int direct_write_tail(struct direct *direct, const void *buf, size_t nbytes, uint64_t offset,
		      size_t done);

/*
 * For who has reads and writes of their own: the descriptor with O_DIRECT that goes with that
 * memory and place, or -1; how much a read asks for; and whether r says that it was refused, and
 * shall be done by the usual one, from now on.  (Some filesystems let a file be opened so, and then
 * refuse.)
 */
int direct_fd_for(const struct direct *direct, const void *buf, uint64_t offset);
bool direct_is_refused(struct direct *direct, ssize_t r);

static inline size_t direct_whole(size_t nbytes)
{
	return (nbytes + DIRECT_ALIGN - 1) & ~(DIRECT_ALIGN - 1);
}

/* Memory for it: nbytes, a multiple of DIRECT_ALIGN; free() it.  NULL: there is none. */
void *direct_buffer(size_t nbytes);

#endif
