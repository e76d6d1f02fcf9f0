/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * preserve.h - old blocks that snapshots need: SOURCE/.mirrorfs/preserve/
 *
 * A guest that is about to overwrite a block hands its old content over here, and goes on:
 * the block is in memory at once, and a thread of this module writes it to a file of its
 * image, at its own offset.  So the guest waits only where the storage is slower than
 * guests overwrite, and then for no longer than the time limit (I3).  The files are sparse,
 * have no names once they are open, and are never fsynced: snapshots don't outlive the daemon.
 *
 * Thread safe.  Lock order: preserve->lock is innermost.
 */
#ifndef FS_PRESERVE_H
#define FS_PRESERVE_H

#include "bitmapfile/io.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct mfs_preserve;

struct mfs_preserve_options {
	uint64_t limit_nbytes; /* of all that is preserved at a time; 0: only by free space */
	/*
	 * A block that was put could not be written: owner is what mfs_preserved_open() was
	 * given, error the disk's.  Called by the module's thread, without its locks held; it
	 * must not close the file.
	 */
	void (*failed)(void *owner, int error);
};

/*
 * Makes the directory, or empties it: what is there was left by a daemon that was killed.
 * dir_fd is that of the state directory; borrowed.  0 or -errno.
 */
int mfs_preserve_open(const struct bmf_io *io, int dir_fd,
		      const struct mfs_preserve_options *options, struct mfs_preserve **ret);
/*
 * All preserved images have been closed.  A thread that hangs in its disk is left behind after two
 * seconds.  NULL is allowed.
 */
void mfs_preserve_close(struct mfs_preserve *preserve);

/* The old blocks of one image at one snapshot. */
struct mfs_preserved;

/* Touches no disk before the first put.  0 or -ENOMEM. */
int mfs_preserved_open(struct mfs_preserve *preserve, void *owner, struct mfs_preserved **ret);

/*
 * Gives space and memory back.  Returns at once: what is being written just then is let go of
 * by the module's thread.  failed() is not called any more when it returns.  NULL is allowed.
 */
void mfs_preserved_close(struct mfs_preserved *file);

/*
 * Keeps nbytes at offset; each offset is put once, and read with the same bounds.  Takes over
 * data, which comes from malloc, in any case.  Waits for room in memory until deadline
 * (CLOCK_MONOTONIC) at the longest.  0; -E2BIG: the limit; -ENOSPC: too little would be
 * left free for guests; -ETIMEDOUT; -ENOMEM; -ECANCELED: discarded.
 */
int mfs_preserved_put(struct mfs_preserved *file, void *data, size_t nbytes, uint64_t offset,
		      const struct timespec *deadline);

/*
 * One put, with the same bounds.  0 or -errno.  What it was written to may fail later than the
 * write, without a word: the caller has to know by a checksum that it is what was put.
 */
int mfs_preserved_get(struct mfs_preserved *file, void *buf, size_t nbytes, uint64_t offset);

/* Nobody reads what was put there any more: one put, with the same bounds, and once. */
void mfs_preserved_drop(struct mfs_preserved *file, uint64_t offset, size_t nbytes);

/* Nobody reads any of it any more.  Returns at once; the thread gives the space back. */
void mfs_preserved_discard(struct mfs_preserved *file);

/* The bytes preserved, written or not. */
uint64_t mfs_preserved_nbytes(struct mfs_preserved *file);

#endif
