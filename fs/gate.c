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

#include <stdbool.h>
#include <time.h>

/* This thread's shard, plus one; 0: not chosen yet. */
static _Thread_local unsigned int my_shard;

static atomic_ulong *shard_of_thread(struct mfs_gate *gate)
{
	static atomic_uint next;

	/* relaxed: only spreads threads over the shards */
	if (my_shard == 0)
		my_shard = 1 + atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) %
				       MFS_GATE_SHARDS;
	return &gate->shards[my_shard - 1].inside;
}

void mfs_gate_init(struct mfs_gate *gate)
{
	pthread_condattr_t attr;

	for (unsigned int i = 0; i < MFS_GATE_SHARDS; i++)
		atomic_init(&gate->shards[i].inside, 0);
	atomic_init(&gate->closed, false);
	/* With default attributes none of these can fail on Linux. */
	pthread_mutex_init(&gate->closer, NULL);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->opened, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&gate->left, &attr);
	pthread_condattr_destroy(&attr);
}

void mfs_gate_destroy(struct mfs_gate *gate)
{
	pthread_cond_destroy(&gate->left);
	pthread_cond_destroy(&gate->opened);
	pthread_mutex_destroy(&gate->lock);
	pthread_mutex_destroy(&gate->closer);
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
	atomic_ulong *inside = shard_of_thread(gate);

	for (;;) {
		atomic_fetch_add(inside, 1);
		if (!atomic_load(&gate->closed))
			return;
		step_out(gate, inside);

		pthread_mutex_lock(&gate->lock);
		while (atomic_load(&gate->closed))
			pthread_cond_wait(&gate->opened, &gate->lock);
		pthread_mutex_unlock(&gate->lock);
	}
}

void mfs_gate_leave(struct mfs_gate *gate)
{
	step_out(gate, shard_of_thread(gate));
}

static bool is_empty(struct mfs_gate *gate)
{
	for (unsigned int i = 0; i < MFS_GATE_SHARDS; i++)
		if (atomic_load(&gate->shards[i].inside) != 0)
			return false;
	return true;
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
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
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
