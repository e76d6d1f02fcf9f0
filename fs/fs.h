/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fs.h - what all parts of a running mirrorfs share
 *
 * One struct mfs a process, set up by main.c before the first request and torn
 * down after the last.  Lock order, outermost first:
 *
 *   rollover (one at a time)
 *   seal (entered by changes, with nothing held; it is held with rollover, or in no lock at all)
 *   namespace (shared by changes of names and metadata, exclusive for a snapshot's beginning)
 *   handle->lock (of a directory stream, or of a handle's second descriptor)
 *   snapshots->going (one that lets deleted snapshots go)
 *   gate (shared by writers, exclusive for the rollover)
 *   whatever bitmapfile/ takes inside
 *   snapshots->lock, then a snapshot's lock
 *   an image's lock in a snapshot
 *   nodes->lock, handles->lock, preserve->lock, dentries->lock (short; nothing is called with
 *   them held)
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "bitmapfile/io.h"
#include "bitmapfile/source.h"
#include "fs/gate.h"
#include "fs/handle.h"
#include "fs/loop.h"
#include "fs/node.h"
#include "fs/seal.h"
#include "fs/snapshot.h"

#include <pthread.h>
#include <stdbool.h>

struct fuse_session;
struct mfs_dentries;

struct mfs {
	struct fuse_session *session;
	const struct bmf_io *io;
	int source_fd;
	struct bmf_source *source; /* NULL: the filesystem of the source is read-only */
	bool notrack;		   /* no change is recorded: see mfs_image_track() */
	bool is_root;		   /* new files are given to whoever made them */
	bool session_in_use;	   /* at the end: by a thread that hangs in the kernel */
	bool initialized;	   /* set by INIT: kernel and libfuse have agreed */
	bool direct_io_mixes;	   /* set by INIT: see mfs_handle_direct_io() */
	struct mfs_seal seal;
	struct mfs_gate gate;
	struct mfs_nodes nodes;
	struct mfs_handles handles;
	struct mfs_snapshots snapshots;
	struct mfs_dentries *dentries; /* NULL while nothing is served */
	/*
	 * Held shared by who changes a name or metadata, exclusively while a snapshot reads
	 * the tree and begins.
	 */
	pthread_rwlock_t namespace;
	pthread_mutex_t rollover;
	pthread_mutex_t instant_lock; /* innermost */
	struct bmf_uuid instant;      /* token of the last rollover that had its; instant_lock */
};

/*
 * Around each system call that changes a name or metadata, and what belongs to it as one change.
 * Not nested, and never around a change of bytes or size: those have the gate.
 */
static inline void mfs_names_change_begin(struct mfs *fs)
{
	if (pthread_rwlock_tryrdlock(&fs->namespace) == 0)
		return;
	/* while a large tree is read, guests' writes must find somebody to serve them (I3) */
	mfs_loop_wait_begin();
	pthread_rwlock_rdlock(&fs->namespace);
	mfs_loop_wait_end();
}

static inline void mfs_names_change_end(struct mfs *fs)
{
	pthread_rwlock_unlock(&fs->namespace);
}

#endif
