/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ops_lookup.c - requests that find nodes and let them go */
#include "config.h"

#include "fs/ops.h"

#include <errno.h>

void mfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	struct mfs_node *node;
	struct stat st;
	int r = -ENOENT;

	if (!mfs_is_hidden(fs, dir, name))
		r = mfs_node_lookup(fs, dir, name, &node, &st);
	if (r < 0)
		mfs_reply(req, r);
	else
		mfs_reply_node(req, node, &st);
}

void mfs_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	struct mfs *fs = mfs_of(req);

	mfs_node_forget(fs, mfs_node_of(fs, ino), nlookup);
	fuse_reply_none(req);
}

void mfs_op_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *forgets)
{
	struct mfs *fs = mfs_of(req);

	for (size_t i = 0; i < n; i++)
		mfs_node_forget(fs, mfs_node_of(fs, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}
