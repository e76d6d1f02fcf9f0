/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ops_lookup.c - requests that find nodes and let them go */
#include "config.h"

#include "fs/ops_snapshot.h"

#include <errno.h>

void mfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	struct mfs_node *node;
	struct stat st;
	int r = -ENOENT;

	if (!mfs_is_hidden(fs, dir, name)) {
		r = mfs_node_lookup(fs, dir, name, &node, &st);
	} else if (fs->source) {
		mfs_snapshot_reply_state_dir(req);
		return;
	}
	if (r < 0)
		mfs_reply(req, r);
	else
		mfs_reply_node(req, node, &st);
}

static void forget(struct mfs *fs, fuse_ino_t ino, uint64_t nlookup)
{
	if (mfs_is_snapshot(ino))
		mfs_snapshot_forget(ino, nlookup);
	else
		mfs_node_forget(fs, mfs_node_of(fs, ino), nlookup);
}

void mfs_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	forget(mfs_of(req), ino, nlookup);
	fuse_reply_none(req);
}

void mfs_op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < n; i++)
		forget(mfs_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}
