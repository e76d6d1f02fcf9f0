/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal.h - lets a source's changes wait for a while, or refuses them: for a switchover
 *
 *             hold                  close: the mark is made
 *   OPEN ------------> HELD ----------------------------> SEALED
 *    ^                  | release, its time is over, its      |
 *    |------------------| owner is gone, or too many wait     |
 *    |--------------------------------------------------------|
 *                       open: the mark was removed
 *
 * Every request that changes the source (bytes, sizes, names, metadata) is between enter
 * and leave, and only those (dispatch.c).  While HELD, they wait in enter, with nothing else held;
 * all others are served.  The hold belongs to an owner, and ends by itself: a guest waits for a
 * bounded time (I3). Once SEALED, enter gives -EROFS.
 *
 * Those that wait take one thread each of those that carry out requests; and up to 64 of them,
 * writes of asynchronous direct I/O, keep the kernel from sending what it sends in the background:
 * reading ahead, other such I/O, and that a descriptor was closed.  So those who wait look
 * themselves whether the owner's process is still there.
 *
 * Thread safe.  Enter is called with no lock held, and between enter and leave no thread enters
 * again, or holds.  The lock in here is innermost, but for what mark and unmark take.
 */
#ifndef FS_SEAL_H
#define FS_SEAL_H

#include "fs/gate.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

/* More would leave no thread for what ends the hold: then it is let go (loop.c has 512). */
#define MFS_SEAL_WAITING_MAX 400

enum mfs_seal_state {
	MFS_SEAL_OPEN,
	MFS_SEAL_HELD,
	MFS_SEAL_CLOSING, /* the mark is being made: as HELD, but its time is over no more */
	MFS_SEAL_SEALED,
};

struct mfs_seal_shard {
	alignas(64) atomic_ulong inside;
};

struct mfs_seal {
	struct mfs_seal_shard shards[MFS_GATE_SHARDS];
	alignas(64) atomic_int state; /* changed with lock */
	alignas(64) pthread_mutex_t lock;
	pthread_cond_t changed; /* the state has */
	/* Below: lock. */
	const void *owner;     /* of the hold; NULL: there is none, or it was let go */
	int process_fd;	       /* his (pidfd_open(2)); -1: not known */
	int let_go;	       /* of the last hold, why: a negative errno */
	struct timespec until; /* of the hold */
	unsigned int nwaiting;
};

void mfs_seal_init(struct mfs_seal *seal);
void mfs_seal_destroy(struct mfs_seal *seal);

/* A source that has the mark: before the first request. */
void mfs_seal_begin_sealed(struct mfs_seal *seal);

/* 0, and the change may be made, then mfs_seal_leave(); or -EROFS. */
int mfs_seal_enter(struct mfs_seal *seal);
void mfs_seal_leave(struct mfs_seal *seal);

bool mfs_seal_is_sealed(struct mfs_seal *seal);

/*
 * process_fd: a pidfd of the owner, which is taken over in any case, or -1.
 * 0: no change is in flight, what they did is visible to the caller, and none begins, for up to
 * timeout_ms from now.  -EBUSY: somebody else holds it; -EROFS: it is sealed; -ETIMEDOUT: a change
 * in flight did not come back from its storage.
 */
int mfs_seal_hold(struct mfs_seal *seal, const void *owner, int process_fd,
		  unsigned int timeout_ms);

/* Ends the owner's hold, if he has one; NULL: whosever it is. */
void mfs_seal_release(struct mfs_seal *seal, const void *owner);

/*
 * Seals it, if the owner's hold has lasted until now: calls mark(arg), which makes that durable,
 * and when that returned 0, all that wait, and all that come, are refused.  If it returned an
 * error, that is returned, and the hold is let go.  -ETIMEDOUT: its time was over; -EUSERS: too
 * many had to wait; -ESTALE: there was none, or it was released.
 */
int mfs_seal_close(struct mfs_seal *seal, const void *owner, int (*mark)(void *arg), void *arg);

/* The same the other way round: -EINVAL if it isn't sealed; or the error of unmark(arg), and it
 * stays so. */
int mfs_seal_open(struct mfs_seal *seal, int (*unmark)(void *arg), void *arg);

#endif
