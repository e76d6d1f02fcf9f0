/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.h - the barrier that lets no write be in flight while it is closed
 *
 * Writers enter and leave, any number at a time, without touching a cache line
 * that they share.  Whoever closes the gate waits until every writer inside has
 * left, and keeps all others outside until it opens it again.
 *
 * Who has taken something away that writers inside may be using drains the gate: that waits
 * for those inside, and keeps nobody out.
 *
 * Enter and leave pair up in one thread, and do not nest: a thread inside that
 * enters again while somebody closes the gate waits for itself.  All functions
 * are thread safe; close and open pair up in one thread, and a second closer waits for
 * the first to open.
 */
#ifndef FS_GATE_H
#define FS_GATE_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#define MFS_GATE_SHARDS 32

struct mfs_gate_shard {
	alignas(64) atomic_ulong inside[2]; /* by phase */
};

struct mfs_gate {
	struct mfs_gate_shard shards[MFS_GATE_SHARDS];
	alignas(64) atomic_bool closed;
	atomic_uint phase;	 /* 0 or 1: where who enters is counted; changed by drain only */
	pthread_mutex_t drainer; /* one drain at a time; taken before all others */
	pthread_mutex_t closer;	 /* held from close to open; taken before lock */
	pthread_mutex_t lock;	 /* for the two conditions */
	pthread_cond_t opened;	 /* closed has become false */
	pthread_cond_t left;	 /* a writer has left a closed gate */
};

void mfs_gate_init(struct mfs_gate *gate);
/* Nobody may be inside or waiting. */
void mfs_gate_destroy(struct mfs_gate *gate);

/* In which of MFS_GATE_SHARDS places the calling thread counts; for its whole life. */
unsigned int mfs_gate_shard(void);

void mfs_gate_enter(struct mfs_gate *gate);
void mfs_gate_leave(struct mfs_gate *gate);

/*
 * When it returns 0, whatever writers did is visible to the caller, and none is inside.
 * -ETIMEDOUT: a writer was still inside after timeout_ms; the gate is open again.
 */
int mfs_gate_close(struct mfs_gate *gate, unsigned int timeout_ms);
void mfs_gate_open(struct mfs_gate *gate);

/*
 * When it returns 0, every writer that was inside when it was called has left, and those
 * that are inside now see what the caller did before.  -ETIMEDOUT: one is still inside.
 */
int mfs_gate_drain(struct mfs_gate *gate, unsigned int timeout_ms);

#endif
