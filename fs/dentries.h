/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dentries.h - makes the kernel let go of snapshots that were deleted
 *
 * It keeps names and inodes until it needs the memory, and our nodes as long.  A deleted snapshot
 * is found no more in any case (its name is always looked up); this is so that its tree
 * does not stay in memory, in both, until chance removes it.  What is in use at that moment
 * stays.
 *
 * To take a name out of its cache the kernel waits for the lock of the directory, and whoever
 * has that may be waiting for an answer of ours.  So it is a thread that serves no request which
 * tells it, and it ends before those that do.
 *
 * Thread safe, except start and free.
 */
#ifndef FS_DENTRIES_H
#define FS_DENTRIES_H

#include <stdbool.h>

struct fuse_session;
struct mfs_dentries;

/* 0 or -errno. */
int mfs_dentries_start(struct fuse_session *session, struct mfs_dentries **ret);

/*
 * The snapshot of that name was deleted.  Returns at once, and may be called with any lock held.
 * Failures are ignored.  NULL is allowed.
 */
void mfs_dentries_drop(struct mfs_dentries *dentries, const char *name);

/*
 * Waits until the kernel is told nothing more; for no longer than two seconds, as there may be
 * a program that keeps the directory locked.  Requests must still be served.  What is
 * dropped later is ignored.
 */
void mfs_dentries_stop(struct mfs_dentries *dentries);

/*
 * Stops it unless that was done; nobody drops any more.  False: the kernel does not let the thread
 * come back, which goes on using the session.  NULL is allowed.
 */
bool mfs_dentries_free(struct mfs_dentries *dentries);

#endif
