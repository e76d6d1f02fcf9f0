/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simdisk.h - a filesystem in memory that knows what a power cut may leave of it
 *
 * It is an io table.  Programs see what they wrote; beside that it keeps what is durable, and
 * a log of the operations that are not yet:
 *
 *   struct simdisk *disk = simdisk_new();
 *   ... work with &disk->io, simdisk_root(disk) ...
 *   uint8_t fates[simdisk_pending(disk)];
 *   ... choose what becomes of each pending operation ...
 *   struct simdisk *after = simdisk_after_cut(disk, fates, seed);
 *   ... the real recovery code works with &after->io ...
 *
 * What makes an operation durable is what POSIX promises, and no more:
 *
 *   fsync of a file		its data, size, xattrs and times, but not its name
 *   fdatasync			its data and size
 *   pwrite_dsync		the bytes written, and the size that they need
 *   fsync of a directory	creation, renaming and removal of its names
 *
 * Until then every operation survives a cut or not, independently of all others, but
 * for these: a rename is atomic, and of a file's times either the durable or the newest are
 * found.  A write may be torn: any of its 512-byte sectors survive, and one that does
 * not may turn into garbage.
 *
 * hook, when set, is called (with the disk locked) before each operation that changes
 * something or makes it durable, and in pwrite_dsync between the two: the moments at which a
 * cut makes a difference.  It may look at the disk, and call simdisk_after_cut().
 *
 * Thread safe, as long as hook is.  Nothing fails but what is told to; running out of memory
 * ends the program.
 */
#ifndef TESTS_UNIT_SIMDISK_H
#define TESTS_UNIT_SIMDISK_H

#include "bitmapfile/io.h"

#include <pthread.h>

#define SIMDISK_SECTOR 512

/* What a cut makes of a pending operation. */
enum simdisk_fate {
	SIMDISK_LOST,
	SIMDISK_KEPT,
	SIMDISK_TORN,	 /* of a write: any sectors are kept; of others: kept */
	SIMDISK_GARBAGE, /* as torn, and what isn't kept may be garbage */
};

struct simdisk_inode;
struct simdisk_op;
struct simdisk_file;

struct simdisk {
	struct bmf_io io;
	pthread_mutex_t lock;
	void (*hook)(struct simdisk *disk, void *arg);
	void *hook_arg;

	/* All below: lock. */
	uint64_t calls;	  /* of the hook, or that would have been */
	int64_t clock_ns; /* moves on by itself, a little with each operation */
	uint64_t handles; /* given out so far; never the same twice */
	bool off;	  /* every operation fails with -EIO, and does nothing */
	uint64_t sick;	  /* handle of a file whose next fsync fails and loses what is pending */
	struct simdisk_inode **inodes; /* by number; NULL is free */
	size_t ninodes;
	struct simdisk_op *ops; /* pending ones, oldest first */
	size_t nops, ops_capacity;
	struct simdisk_file *files; /* by descriptor */
	size_t nfiles;
};

/* An empty directory, durable.  Freed with all that is on it. */
struct simdisk *simdisk_new(void);
void simdisk_free(struct simdisk *disk);

/* A descriptor of the root directory, to be closed. */
int simdisk_root(struct simdisk *disk);

/* With the disk locked, or only one thread: */
size_t simdisk_pending(const struct simdisk *disk);
/* What the pending operation number i is, for people: valid until the next call. */
const char *simdisk_describe(const struct simdisk *disk, size_t i);
struct simdisk *simdisk_after_cut(const struct simdisk *disk, const uint8_t *fates, uint64_t seed);
/* What tells a file from all others there ever were; 0 for a descriptor that isn't open. */
uint64_t simdisk_handle(const struct simdisk *disk, int fd);
/* Drops what only the cache shows, after an fsync that failed: takes the lock. */
void simdisk_evict(struct simdisk *disk, int fd);
/* Descriptors that are open. */
size_t simdisk_open_fds(const struct simdisk *disk);

#endif
