/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot.h - read-only views of the whole source at a checkpoint (design: copy-before-write)
 *
 * Life of one:
 *
 *   mfs_snapshot_new      fs->namespace held exclusively: reads the tree
 *   mfs_snapshot_publish  the gate closed as well: from here on writers preserve for it
 *   ... reads; it may break: then every read gives EIO, and guests go on (I3)
 *   mfs_snapshot_delete, or the descriptor that owns it is closed
 *
 * References: the table has one as long as the snapshot is there, and so has every node that
 * the kernel knows of.  What costs something (descriptors, preserved blocks) goes as soon as the
 * snapshot is deleted and the last request that uses it is done: mfs_snapshot_use() and
 * mfs_snapshot_unuse() are around each.  Writers use it without either, in the gate: before
 * anything goes, the gate is drained.
 *
 * Thread safe unless said otherwise.
 */
#ifndef FS_SNAPSHOT_H
#define FS_SNAPSHOT_H

#include "bitmapfile/error.h"
#include "bitmapfile/state.h"
#include "bitmapfile/uuid.h"
#include "fs/control.h"
#include "fs/snapshot_tree.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mfs;
struct mfs_handle;
struct mfs_preserve;
struct bmf_tracker;

/* Those that writers preserve for; immutable once published. */
struct mfs_snapshot_list;

struct mfs_snapshots {
	struct mfs_snapshot_list *_Atomic active; /* NULL: there is none */
	uint64_t preserve_limit;
	unsigned int timeout_ms; /* of a write that has to preserve */
	pthread_mutex_t going;	 /* one that lets go of deleted ones; taken before lock */
	pthread_mutex_t lock;
	/* Below: lock. */
	struct mfs_preserve *preserve; /* NULL: it could not be opened yet */
	struct mfs_snapshot *first;    /* all that there are, the oldest first */
	uint64_t next_id;
};

struct mfs_snapshots_options {
	uint64_t preserve_limit;       /* bytes; 0: only by free space */
	unsigned int preserve_timeout; /* seconds */
};

/* After the source is open, before the first request. */
void mfs_snapshots_open(struct mfs *fs, const struct mfs_snapshots_options *options);
/* No request is running any more. */
void mfs_snapshots_close(struct mfs *fs);

/* Every few seconds: gives the space of broken ones back, and lets go of what hung before. */
void mfs_snapshots_keep(struct mfs *fs);

struct mfs_snapshot_request {
	const char *name; /* see mfs_snapshot_name_ok(); NULL: one is chosen, with a dot */
	uint64_t from;	  /* only what changed since that checkpoint is needed; 0: all */
	const struct bmf_uuid *whole; /* images of which all is needed nevertheless */
	size_t nwhole;
	const struct mfs_handle *owner; /* it goes when that is closed; NULL: it stays */
};

/* Letters, digits and "_-.:@+", at most MFS_SNAPSHOT_NAME_MAX, no dot first. */
bool mfs_snapshot_name_ok(const char *name);

/*
 * Reads the tree.  -EEXIST: there is one of that name; -EINVAL: not a name; others as from
 * reading.  err (never NULL) is filled on failure.
 */
int mfs_snapshot_new(struct mfs *fs, const struct mfs_snapshot_request *request,
		     struct mfs_snapshot **ret, struct bmf_error *err);

/*
 * With the gate closed, just before a new generation begins: that is its end.  0, or -errno: then
 * discard it.
 */
int mfs_snapshot_publish(struct mfs *fs, struct mfs_snapshot *snapshot);

/* Its checkpoint is durable: from now on it is found by its name. */
void mfs_snapshot_settle(struct mfs *fs, struct mfs_snapshot *snapshot,
			 const struct bmf_checkpoint *checkpoint);

/* Of one that was not settled, published or not. */
void mfs_snapshot_discard(struct mfs *fs, struct mfs_snapshot *snapshot);

/* -ENOENT: there is none of that name. */
int mfs_snapshot_delete(struct mfs *fs, const char *name);

/* That handle is being closed. */
void mfs_snapshots_disown(struct mfs *fs, const struct mfs_handle *owner);

/* ret->name is filled by the caller.  -ENOENT. */
int mfs_snapshot_info(struct mfs *fs, struct mfs_control_snapshot_info *ret);

/* Finds one by name, with a reference for the caller; NULL: there is none. */
struct mfs_snapshot *mfs_snapshot_get(struct mfs *fs, const char *name);
void mfs_snapshot_ref(struct mfs_snapshot *snapshot, uint64_t n);
void mfs_snapshot_unref(struct mfs_snapshot *snapshot, uint64_t n);

/* Its top directory; the node lives as long as a reference. */
struct mfs_snapshot_node *mfs_snapshot_top(struct mfs_snapshot *snapshot);
/* Images of its nodes only while it is used: see below. */
const struct mfs_snapshot_tree *mfs_snapshot_tree(const struct mfs_snapshot *snapshot);
uint64_t mfs_snapshot_id(const struct mfs_snapshot *snapshot);

/*
 * The name and a reference of the one that comes after `after` (NULL: of the first), in the order
 * of creation, or NULL.  Gives back the reference to `after`.
 */
struct mfs_snapshot *mfs_snapshot_next(struct mfs *fs, struct mfs_snapshot *after);
const char *mfs_snapshot_name(const struct mfs_snapshot *snapshot);

/* May its images be used?  False once it is deleted. */
bool mfs_snapshot_use(struct mfs_snapshot *snapshot);
void mfs_snapshot_unuse(struct mfs_snapshot *snapshot);

/* A descriptor of the memory that says whether it is broken: see control.h. */
int mfs_snapshot_status_fd(const struct mfs_snapshot *snapshot);

void mfs_snapshots_preserve(struct mfs *fs, struct bmf_tracker *tracker, uint64_t offset,
			    uint64_t nbytes);

/*
 * Of the image that tracker stands for, [offset, offset + nbytes) is about to change: to be
 * called in the gate, after bmf_tracker_change().  Costs a load where there is no snapshot.
 */
static inline void mfs_snapshots_before_change(struct mfs *fs, struct mfs_snapshots *snapshots,
					       struct bmf_tracker *tracker, uint64_t offset,
					       uint64_t nbytes)
{
	/* after the writer was counted in the gate, as mfs_gate_drain() asks */
	if (atomic_load(&snapshots->active))
		mfs_snapshots_preserve(fs, tracker, offset, nbytes);
}

#endif
