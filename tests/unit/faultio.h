/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faultio.h - an io table that fails on demand, around another one
 *
 * "Fail the Nth call, for every N":
 *
 *   struct faultio fault;
 *
 *   faultio_init(&fault, &bmf_io_posix);
 *   for (unsigned long n = 1;; n++) {
 *           faultio_arm(&fault, FAULTIO_ALL, n, -EIO, 0);
 *           r = thing_under_test(&fault.io, ...);
 *           if (!faultio_fired(&fault))
 *                   break;                  // it makes fewer than n calls: all were tried
 *           ... what must hold after a failure ...
 *           ck_assert_int_eq(faultio_open_fds(&fault), 0);
 *   }
 *
 * Calls are counted from 1 since the last arm, and only those whose operation is in
 * the mask.  A call that fails has no effect, but for these: close lets go of the
 * descriptor all the same, as the kernel does; and see the flags.  file_handle and now_ns
 * have no failure worth injecting.
 *
 * Calls may come from several threads, also while it is armed; init needs exclusive use.
 */
#ifndef TESTS_UNIT_FAULTIO_H
#define TESTS_UNIT_FAULTIO_H

#include "bitmapfile/io.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Operations, for masks. */
enum {
	FAULTIO_OPENAT = 1 << 0,
	FAULTIO_CLOSE = 1 << 1,
	FAULTIO_PREAD = 1 << 2,
	FAULTIO_PWRITE = 1 << 3,
	FAULTIO_PWRITE_DSYNC = 1 << 4,
	FAULTIO_FSYNC = 1 << 5,
	FAULTIO_FDATASYNC = 1 << 6,
	FAULTIO_FTRUNCATE = 1 << 7,
	FAULTIO_FALLOCATE = 1 << 8,
	FAULTIO_COPY_FILE_RANGE = 1 << 9,
	FAULTIO_RENAMEAT = 1 << 10,
	FAULTIO_UNLINKAT = 1 << 11,
	FAULTIO_MKDIRAT = 1 << 12,
	FAULTIO_FSTAT = 1 << 13,
	FAULTIO_FGETXATTR = 1 << 14,
	FAULTIO_FSETXATTR = 1 << 15,
	FAULTIO_LOCK = 1 << 16,
	FAULTIO_EACH_NAME = 1 << 17,

	FAULTIO_ALL = (1 << 18) - 1,
	/* what changes something, or makes it durable: a full or a dying disk */
	FAULTIO_WRITING = FAULTIO_PWRITE | FAULTIO_PWRITE_DSYNC | FAULTIO_FSYNC |
			  FAULTIO_FDATASYNC | FAULTIO_FTRUNCATE | FAULTIO_FALLOCATE |
			  FAULTIO_COPY_FILE_RANGE | FAULTIO_RENAMEAT | FAULTIO_UNLINKAT |
			  FAULTIO_MKDIRAT | FAULTIO_FSETXATTR,
};

/* Flags of faultio_arm(). */
#define FAULTIO_STICKY 1u /* every counted call from the Nth on fails */
#define FAULTIO_SHORT 2u  /* a failing pwrite or pwrite_dsync writes its first half before */
#define FAULTIO_AFTER 4u  /* the call is carried out, and then says that it failed */

struct faultio {
	struct bmf_io io; /* to be given to the code under test */
	const struct bmf_io *under;
	_Atomic unsigned int ops, flags;
	_Atomic unsigned long nth;
	_Atomic int error;
	_Atomic unsigned long calls, failures;
	_Atomic long open_fds;
};

/* A table that only counts, until it is armed.  *fault must stay where it is. */
void faultio_init(struct faultio *fault, const struct bmf_io *under);

/*
 * Begins to count anew; the nth call (0: none) of an operation in ops fails with
 * error, a negative errno.
 */
void faultio_arm(struct faultio *fault, unsigned int ops, unsigned long nth, int error,
		 unsigned int flags);

/* The number of calls counted since it was armed. */
unsigned long faultio_calls(const struct faultio *fault);

/* Has any call failed since it was armed? */
bool faultio_fired(const struct faultio *fault);

/* Descriptors that were opened through the table since init and not closed through it. */
long faultio_open_fds(const struct faultio *fault);

#endif
