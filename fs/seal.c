/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal.c - lets a source's changes wait for a while, or refuses them
 *
 * Why no change is in flight once hold has returned: as in gate.c.  Who enters adds itself to
 * `inside`, then reads the state; who holds sets the state, then reads `inside` until it is 0. All
 * of it is sequentially consistent, so one of the two sees the other.
 *
 * Why a change that was refused, or waits, is in no replica that lacks it: it has changed nothing
 * yet. And why one that was acknowledged is: it was inside when hold set the state, so hold waited
 * for it, and the checkpoint that the replica is at was made after that.
 */
#include "config.h"

#include "fs/seal.h"

#include "fs/deadline.h"
#include "fs/loop.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* How long changes in flight may take to come back; all others wait meanwhile (I3). */
#define DRAIN_TIMEOUT_MS 2000
#define DRAIN_POLL_US 200

/* How often who waits looks at the time, and at the owner. */
#define LOOK_MS 100

void mfs_seal_init(struct mfs_seal *seal)
{
	for (unsigned int i = 0; i < MFS_GATE_SHARDS; i++)
		atomic_init(&seal->shards[i].inside, 0);
	atomic_init(&seal->state, MFS_SEAL_OPEN);
	pthread_mutex_init(&seal->lock, NULL);
	mfs_deadline_cond_init(&seal->changed);
	seal->owner = NULL;
	seal->process_fd = -1;
	seal->nwaiting = 0;
	seal->let_go = -ESTALE;
}

void mfs_seal_destroy(struct mfs_seal *seal)
{
	pthread_cond_destroy(&seal->changed);
	pthread_mutex_destroy(&seal->lock);
}

void mfs_seal_begin_sealed(struct mfs_seal *seal)
{
	atomic_store(&seal->state, MFS_SEAL_SEALED);
}

bool mfs_seal_is_sealed(struct mfs_seal *seal)
{
	return atomic_load(&seal->state) == MFS_SEAL_SEALED;
}

static void set_state_locked(struct mfs_seal *seal, enum mfs_seal_state state)
{
	atomic_store(&seal->state, state);
	pthread_cond_broadcast(&seal->changed);
}

static void forget_owner_locked(struct mfs_seal *seal)
{
	seal->owner = NULL;
	if (seal->process_fd >= 0)
		close(seal->process_fd);
	seal->process_fd = -1;
}

static void let_go_locked(struct mfs_seal *seal, int why)
{
	forget_owner_locked(seal);
	seal->let_go = why;
	set_state_locked(seal, MFS_SEAL_OPEN);
}

static bool has_ended(int process_fd)
{
	struct pollfd fd = { .fd = process_fd, .events = POLLIN };

	return process_fd >= 0 && poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

/* Nobody watches time and owner but those who wait, and those who ask. */
static void look_at_hold_locked(struct mfs_seal *seal)
{
	if (atomic_load(&seal->state) != MFS_SEAL_HELD)
		return;
	if (mfs_deadline_passed(&seal->until))
		let_go_locked(seal, -ETIMEDOUT);
	else if (has_ended(seal->process_fd))
		let_go_locked(seal, -ESTALE);
}

/* Until it is open again: 0; or sealed: -EROFS. */
static int wait_outside(struct mfs_seal *seal)
{
	struct timespec look;
	int state;

	if (mfs_seal_is_sealed(seal))
		return -EROFS;
	mfs_loop_wait_begin(); /* those who only read need not wait (I3) */
	pthread_mutex_lock(&seal->lock);
	if (++seal->nwaiting > MFS_SEAL_WAITING_MAX && atomic_load(&seal->state) == MFS_SEAL_HELD)
		let_go_locked(seal, -EUSERS);
	for (;;) {
		look_at_hold_locked(seal);
		state = atomic_load(&seal->state);
		look = mfs_deadline(LOOK_MS);
		if (state == MFS_SEAL_HELD)
			pthread_cond_timedwait(&seal->changed, &seal->lock, &look);
		else if (state == MFS_SEAL_CLOSING)
			pthread_cond_wait(&seal->changed, &seal->lock);
		else
			break;
	}
	seal->nwaiting--;
	pthread_mutex_unlock(&seal->lock);
	mfs_loop_wait_end();
	return state == MFS_SEAL_SEALED ? -EROFS : 0;
}

int mfs_seal_enter(struct mfs_seal *seal)
{
	atomic_ulong *inside = &seal->shards[mfs_gate_shard()].inside;
	int r = 0;

	while (r == 0) {
		atomic_fetch_add(inside, 1);
		if (atomic_load(&seal->state) == MFS_SEAL_OPEN)
			return 0;
		atomic_fetch_sub(inside, 1);
		r = wait_outside(seal);
	}
	return r;
}

/* Nobody is woken for it: a hold is in no hurry, and leaving must stay cheap. */
void mfs_seal_leave(struct mfs_seal *seal)
{
	atomic_fetch_sub(&seal->shards[mfs_gate_shard()].inside, 1);
}

static bool is_empty(struct mfs_seal *seal)
{
	for (unsigned int i = 0; i < MFS_GATE_SHARDS; i++)
		if (atomic_load(&seal->shards[i].inside) != 0)
			return false;
	return true;
}

static int drain(struct mfs_seal *seal)
{
	const struct timespec until = mfs_deadline(DRAIN_TIMEOUT_MS);
	const struct timespec pause = { .tv_nsec = DRAIN_POLL_US * 1000L };

	while (!is_empty(seal)) {
		if (mfs_deadline_passed(&until))
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int begin_hold(struct mfs_seal *seal, const void *owner, int process_fd,
		      unsigned int timeout_ms)
{
	int r = 0, state;

	pthread_mutex_lock(&seal->lock);
	look_at_hold_locked(seal);
	state = atomic_load(&seal->state);
	if (state == MFS_SEAL_OPEN) {
		seal->owner = owner;
		seal->process_fd = process_fd;
		seal->until = mfs_deadline(timeout_ms);
		set_state_locked(seal, MFS_SEAL_HELD);
	} else {
		r = state == MFS_SEAL_SEALED ? -EROFS : -EBUSY;
	}
	pthread_mutex_unlock(&seal->lock);
	return r;
}

/* 0, or why the owner's hold is over. */
static int check_hold_locked(struct mfs_seal *seal, const void *owner)
{
	look_at_hold_locked(seal);
	if (atomic_load(&seal->state) == MFS_SEAL_HELD && seal->owner == owner)
		return 0;
	return atomic_load(&seal->state) == MFS_SEAL_OPEN ? seal->let_go : -ESTALE;
}

int mfs_seal_hold(struct mfs_seal *seal, const void *owner, int process_fd, unsigned int timeout_ms)
{
	int r = begin_hold(seal, owner, process_fd, timeout_ms);

	if (r < 0) {
		if (process_fd >= 0)
			close(process_fd);
		return r;
	}
	r = drain(seal);
	pthread_mutex_lock(&seal->lock);
	if (r < 0 && seal->owner == owner)
		let_go_locked(seal, r);
	else if (r == 0)
		r = check_hold_locked(seal, owner);
	pthread_mutex_unlock(&seal->lock);
	return r;
}

void mfs_seal_release(struct mfs_seal *seal, const void *owner)
{
	pthread_mutex_lock(&seal->lock);
	if (atomic_load(&seal->state) == MFS_SEAL_HELD && (!owner || seal->owner == owner))
		let_go_locked(seal, -ESTALE);
	pthread_mutex_unlock(&seal->lock);
}

int mfs_seal_close(struct mfs_seal *seal, const void *owner, int (*mark)(void *arg), void *arg)
{
	int r;

	pthread_mutex_lock(&seal->lock);
	r = check_hold_locked(seal, owner);
	if (r == 0)
		set_state_locked(seal, MFS_SEAL_CLOSING);
	pthread_mutex_unlock(&seal->lock);
	if (r < 0)
		return r;
	r = mark(arg);
	pthread_mutex_lock(&seal->lock);
	if (r < 0) {
		let_go_locked(seal, -ESTALE);
	} else {
		forget_owner_locked(seal);
		set_state_locked(seal, MFS_SEAL_SEALED);
	}
	pthread_mutex_unlock(&seal->lock);
	return r;
}

int mfs_seal_open(struct mfs_seal *seal, int (*unmark)(void *arg), void *arg)
{
	int r = -EINVAL;

	pthread_mutex_lock(&seal->lock); /* one at a time; nobody waits for it while it is sealed */
	if (mfs_seal_is_sealed(seal))
		r = unmark(arg);
	if (r == 0)
		set_state_locked(seal, MFS_SEAL_OPEN);
	pthread_mutex_unlock(&seal->lock);
	return r;
}
