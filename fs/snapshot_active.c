/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot_active.c - the snapshots that writers preserve for
 *
 * They find them in a list that is never changed, only replaced: by publish() while the gate is
 * closed, by hide_locked() with the gate drained before the old list is freed.
 */
#include "config.h"

#include "fs/snapshot_internal.h"

#include "bitmapfile/tracker.h"
#include "fs/fs.h"

#include <errno.h>
#include <stdlib.h>

/* The list with s, or without it; NULL for an empty one, which is not *ret_failed. */
static struct mfs_snapshot_list *list_with(const struct mfs_snapshot_list *old,
					   struct mfs_snapshot *s, bool with, bool *ret_failed)
{
	size_t n = old ? old->n : 0;
	struct mfs_snapshot_list *list;

	*ret_failed = false;
	if (!with && n <= 1)
		return NULL;
	list = malloc(sizeof(*list) + (n + 1) * sizeof(struct mfs_snapshot *));
	if (!list) {
		*ret_failed = true;
		return NULL;
	}
	list->n = 0;
	for (size_t i = 0; i < n; i++)
		if (old->all[i] != s)
			list->all[list->n++] = old->all[i];
	if (with)
		list->all[list->n++] = s;
	return list;
}

static bool is_listed(const struct mfs_snapshot_list *list, const struct mfs_snapshot *s)
{
	for (size_t i = 0; list && i < list->n; i++)
		if (list->all[i] == s)
			return true;
	return false;
}

int mfs_snapshot_publish(struct mfs *fs, struct mfs_snapshot *s)
{
	struct mfs_snapshots *snapshots = &fs->snapshots;
	struct mfs_snapshot_list *old, *list;
	bool failed;
	int r;

	/* the gate is closed: only what has been in use since the tree was read can be different */
	r = mfs_snapshot_tree_restat(
		s->tree, bmf_source_departed(fs->source) == s->departed ? fs->source : NULL);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->tree->nnodes; i++)
		if (s->tree->nodes[i]->image)
			mfs_snapshot_image_set_size(s->tree->nodes[i]->image,
						    (uint64_t)s->tree->nodes[i]->st.st_size);
	s->common.to = bmf_source_generation(fs->source) + 1;
	pthread_mutex_lock(&snapshots->lock);
	old = atomic_load(&snapshots->active);
	list = list_with(old, s, true, &failed);
	if (!failed)
		atomic_store(&snapshots->active, list);
	pthread_mutex_unlock(&snapshots->lock);
	if (failed)
		return -ENOMEM;
	free(old); /* the gate is closed: nobody is using it */
	return 0;
}

void mfs_snapshots_preserve(struct mfs *fs, struct bmf_tracker *tracker, uint64_t offset,
			    uint64_t nbytes)
{
	const struct mfs_snapshot_list *list = atomic_load(&fs->snapshots.active);
	struct mfs_patience patience = { .timeout_ms = fs->snapshots.timeout_ms };
	dev_t dev;
	ino_t ino;

	bmf_tracker_inode(tracker, &dev, &ino);
	for (size_t i = 0; list && i < list->n; i++) {
		struct mfs_snapshot_node *node =
			mfs_snapshot_tree_by_inode(list->all[i]->tree, dev, ino);

		if (node)
			mfs_snapshot_image_before_change(node->image, tracker, offset, nbytes,
							 &patience);
	}
}

/* Hides it from writers.  False when there was no memory for that. */
bool mfs_snapshot_hide_locked(struct mfs_snapshots *snapshots, struct mfs_snapshot *s,
			      struct mfs_snapshot_list **ret_old)
{
	struct mfs_snapshot_list *old = atomic_load(&snapshots->active), *list;
	bool failed;

	*ret_old = NULL;
	if (!is_listed(old, s))
		return true;
	list = list_with(old, s, false, &failed);
	if (failed)
		return false;
	atomic_store(&snapshots->active, list);
	*ret_old = old;
	return true;
}
