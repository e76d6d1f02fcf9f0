/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.c - the barrier that lets no write be in flight while it is closed
 *
 * Why no writer is inside while the gate is closed.  All accesses to `inside` and
 * `closed` are sequentially consistent, so they have one order that everybody
 * agrees on:
 *
 *   writer:  W1 inside += 1        closer:  C1 closed = true
 *            W2 read closed                 C2 read inside, until 0
 *
 * If W2 reads false, it comes before C1, hence W1 before C2: the closer sees the
 * writer and waits for it.  If W2 reads true, the writer takes its 1 back and
 * waits outside.
 *
 * Why a drained gate holds nobody who could still use what was taken away (T) before.
 * Writers are counted by phase.  D1 waits until the other phase is empty, D2 makes it
 * the one in which new writers are counted, D3 waits until the old one is empty.  A writer counts
 * itself (W1), then looks for what it may use (W3).  If its count isn't seen in D1 or D3, W1
 * comes after that, hence after T, and W3 does too.  One that read the phase long ago may be
 * counted in the wrong one; that only makes a drain wait for it that needn't.  New writers are
 * counted elsewhere, so D3 ends however many there are.
 *
 * Why no wake-up is lost.  A writer that leaves does L1 inside -= 1, then L2 reads
 * closed.  The closer counts with `lock` held and sleeps only when it found
 * somebody.  If its C2 came before L1, then C1 came before L2, which reads true, so
 * the writer goes on to take `lock`, which it gets no sooner than the closer sleeps,
 * and wakes it.  Those who wait outside test `closed` with `lock` held, and
 * it becomes false with `lock` held.
 *
 * The shards are looked at one after the other.  That is enough: one that was 0 after
 * C1 stays empty, but for writers that come, see true and turn back.
 */
#include "config.h"

#include "fs/gate.h"

#include "fs/deadline.h"
#include "fs/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#define DRAIN_POLL_US 200

/* This thread's shard, plus one; 0: not chosen yet. */
static _Thread_local unsigned int my_shard;

/* The phase that this thread was counted in when it entered. */
static _Thread_local unsigned int my_phase;

unsigned int mfs_gate_shard(void)
{
	static atomic_uint next;

	/* relaxed: only spreads threads over the shards */
	if (my_shard == 0)
		my_shard = 1 + atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) %
				       MFS_GATE_SHARDS;
	return my_shard - 1;
}

static struct mfs_gate_shard *shard_of_thread(struct mfs_gate *gate)
{
	return &gate->shards[mfs_gate_shard()];
}

void mfs_gate_init(struct mfs_gate *gate)
{
	for (unsigned int i = 0; i < MFS_GATE_SHARDS; i++)
		for (unsigned int phase = 0; phase < 2; phase++)
			atomic_init(&gate->shards[i].inside[phase], 0);
	atomic_init(&gate->closed, false);
	atomic_init(&gate->phase, 0);
	/* With default attributes none of these can fail on Linux. */
	pthread_mutex_init(&gate->drainer, NULL);
	pthread_mutex_init(&gate->closer, NULL);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->opened, NULL);
	mfs_deadline_cond_init(&gate->left);
}

void mfs_gate_destroy(struct mfs_gate *gate)
{
	pthread_cond_destroy(&gate->left);
	pthread_cond_destroy(&gate->opened);
	pthread_mutex_destroy(&gate->lock);
	pthread_mutex_destroy(&gate->closer);
	pthread_mutex_destroy(&gate->drainer);
}

static void step_out(struct mfs_gate *gate, atomic_ulong *inside)
{
	atomic_fetch_sub(inside, 1);
	if (!atomic_load(&gate->closed))
		return;
	pthread_mutex_lock(&gate->lock);
	pthread_cond_signal(&gate->left);
	pthread_mutex_unlock(&gate->lock);
}

void mfs_gate_enter(struct mfs_gate *gate)
{
	struct mfs_gate_shard *shard = shard_of_thread(gate);

	for (;;) {
		atomic_ulong *inside;

		my_phase = atomic_load(&gate->phase);
		inside = &shard->inside[my_phase];
		atomic_fetch_add(inside, 1);
		if (!atomic_load(&gate->closed))
			return;
		step_out(gate, inside);

		/* Those who only read need not wait (I3). */
		mfs_loop_wait_begin();
		pthread_mutex_lock(&gate->lock);
		while (atomic_load(&gate->closed))
			pthread_cond_wait(&gate->opened, &gate->lock);
		pthread_mutex_unlock(&gate->lock);
		mfs_loop_wait_end();
	}
}

void mfs_gate_leave(struct mfs_gate *gate)
{
	step_out(gate, &shard_of_thread(gate)->inside[my_phase]);
}

static bool is_phase_empty(struct mfs_gate *gate, unsigned int phase)
{
	for (unsigned int i = 0; i < MFS_GATE_SHARDS; i++)
		if (atomic_load(&gate->shards[i].inside[phase]) != 0)
			return false;
	return true;
}

static bool is_empty(struct mfs_gate *gate)
{
	return is_phase_empty(gate, 0) && is_phase_empty(gate, 1);
}

void mfs_gate_open(struct mfs_gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	atomic_store(&gate->closed, false);
	pthread_cond_broadcast(&gate->opened);
	pthread_mutex_unlock(&gate->lock);
	pthread_mutex_unlock(&gate->closer);
}

int mfs_gate_close(struct mfs_gate *gate, unsigned int timeout_ms)
{
	struct timespec until = mfs_deadline(timeout_ms);
	int r = 0;

	pthread_mutex_lock(&gate->closer);
	atomic_store(&gate->closed, true);
	pthread_mutex_lock(&gate->lock);
	while (r == 0 && !is_empty(gate))
		r = pthread_cond_timedwait(&gate->left, &gate->lock, &until);
	if (is_empty(gate))
		r = 0;
	pthread_mutex_unlock(&gate->lock);
	if (r != 0)
		mfs_gate_open(gate);
	return -r;
}

/* Nobody is woken for it: a drain is in no hurry, and leaving must stay cheap. */
static int wait_for_phase(struct mfs_gate *gate, unsigned int phase, const struct timespec *until)
{
	const struct timespec pause = { .tv_nsec = DRAIN_POLL_US * 1000L };

	while (!is_phase_empty(gate, phase)) {
		if (mfs_deadline_passed(until))
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int mfs_gate_drain(struct mfs_gate *gate, unsigned int timeout_ms)
{
	struct timespec until = mfs_deadline(timeout_ms);
	unsigned int phase;
	int r;

	pthread_mutex_lock(&gate->drainer);
	phase = atomic_load(&gate->phase);
	r = wait_for_phase(gate, !phase, &until);
	if (r == 0) {
		atomic_store(&gate->phase, !phase);
		r = wait_for_phase(gate, phase, &until);
	}
	pthread_mutex_unlock(&gate->drainer);
	return r;
}
