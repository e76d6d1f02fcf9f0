/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot_internal.h - the inside of a snapshot, for snapshot.c, snapshot_new.c, snapshot_active.c
 */
#ifndef FS_SNAPSHOT_INTERNAL_H
#define FS_SNAPSHOT_INTERNAL_H

#include "fs/snapshot.h"
#include "fs/snapshot_image.h"

/* See the top of snapshot.c. */
enum stage { NEW, LISTED, LEAVING, GONE };

struct mfs_snapshot {
	struct mfs_snapshot *next; /* snapshots->lock */
	struct mfs *fs;
	uint64_t id;
	char name[MFS_SNAPSHOT_NAME_MAX + 1];
	const struct mfs_handle *owner;
	struct mfs_snapshot_common common;
	struct mfs_snapshot_tree *tree;
	uint64_t images;
	uint64_t departed; /* of bmf_source_departed(), before the tree was read */
	int status_fd;
	struct mfs_snapshot_list *retired; /* owned; writers may still have it; snapshots->going */
	_Atomic uint64_t refs;

	enum stage stage;		  /* snapshots->lock */
	struct bmf_checkpoint checkpoint; /* set before it is LISTED; name is NULL */

	bool discarded; /* it was broken, and its space given back; snapshots->lock */

	pthread_mutex_t lock;
	/* Below: lock. */
	unsigned int users; /* requests that use images */
	bool gone;	    /* no more of them */
	char reason[MFS_CONTROL_REASON];
};

struct mfs_snapshot_list {
	size_t n;
	struct mfs_snapshot *all[];
};

/* snapshot.c; find: also one that is being made; snapshots->lock is held */
struct mfs_snapshot *mfs_snapshot_find_locked(struct mfs *fs, const char *name);
int mfs_snapshots_open_preserve_locked(struct mfs *fs);
void mfs_snapshot_free(struct mfs_snapshot *snapshot);
/* For struct mfs_snapshot_common: breaks the snapshot `arg`. */
void mfs_snapshot_failed_image(void *arg, const struct mfs_snapshot_image *image, int error,
			       const char *verb);

/*
 * snapshot_active.c: hides it from writers; snapshots->lock is held.  *ret_old is the list that
 * some of them may still have, or NULL.  False when there was no memory for that.
 */
bool mfs_snapshot_hide_locked(struct mfs_snapshots *snapshots, struct mfs_snapshot *snapshot,
			      struct mfs_snapshot_list **ret_old);

#endif
