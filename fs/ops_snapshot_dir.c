/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops_snapshot_dir.c - requests that list directories of snapshots
 *
 * No state is kept for an open directory: what an offset means does not change.  1 comes after
 * ".", 2 after "..", 3 + i after entry i of a directory in a snapshot, and after the snapshot
 * whose id is i where the snapshots themselves are listed.
 */
#include "config.h"

#include "fs/buffer.h"
#include "fs/ops_snapshot.h"

#include <errno.h>

#define AFTER_DOT 1
#define AFTER_DOTS 2
#define AFTER_ENTRY 3

struct listing {
	fuse_req_t req;
	bool plus;
	char *buf;
	size_t size, used;
	uint64_t nlookups; /* that the kernel counts when it gets the listing */
};

void mfs_snapshot_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);

	if (mfs_snapshot_begin(req, node)) {
		fuse_reply_open(req, fi);
		mfs_snapshot_end(node);
	}
}

/* False when there is no room left for it. */
static bool add_plain(struct listing *l, const char *name, const struct stat *st, off_t after)
{
	struct fuse_entry_param entry = { .attr = *st }; /* no lookup */
	char *buf = l->buf + l->used;
	size_t room = l->size - l->used, used;

	if (l->plus)
		used = fuse_add_direntry_plus(l->req, buf, room, name, &entry, after);
	else
		used = fuse_add_direntry(l->req, buf, room, name, st, after);
	if (used > room)
		return false;
	l->used += used;
	return true;
}

static bool add_node(struct listing *l, const struct mfs_snapshot_entry *e, off_t after)
{
	struct fuse_entry_param entry = mfs_snapshot_entry(mfs_of(l->req), e->node);
	size_t room = l->size - l->used, used;

	if (!l->plus || !e->node->snapshot)
		return add_plain(l, e->name, &entry.attr, after);
	used = fuse_add_direntry_plus(l->req, l->buf + l->used, room, e->name, &entry, after);
	if (used > room)
		return false;
	l->used += used;
	l->nlookups++;
	return true;
}

static bool add_dots(struct listing *l, const struct mfs_snapshot_node *dir, off_t offset)
{
	const struct mfs_snapshot_node *parent = dir->parent;
	const struct mfs *fs = mfs_of(l->req);
	struct stat st = mfs_snapshot_attributes(fs, dir);

	if (offset < AFTER_DOT && !add_plain(l, ".", &st, AFTER_DOT))
		return false;
	if (offset >= AFTER_DOTS)
		return true;
	if (dir == &mfs_state_dir)
		st.st_ino = fs->nodes.root.ino;
	else
		st = mfs_snapshot_attributes(fs, parent == dir ? &mfs_snapshot_dir : parent);
	return add_plain(l, "..", &st, AFTER_DOTS);
}

static void add_entries(struct listing *l, const struct mfs_snapshot_node *dir, off_t offset)
{
	size_t i = offset > AFTER_DOTS ? (size_t)offset - AFTER_DOTS : 0;

	while (i < dir->nentries && add_node(l, &dir->entries[i], (off_t)i + AFTER_ENTRY))
		i++;
}

/* Not looked up: the lookups would have to be given back one by one. */
static void add_snapshots(struct listing *l, off_t offset)
{
	struct mfs *fs = mfs_of(l->req);
	struct mfs_snapshot *snapshot = NULL;

	while ((snapshot = mfs_snapshot_next(fs, snapshot))) {
		off_t after = (off_t)mfs_snapshot_id(snapshot) + AFTER_ENTRY;
		struct stat st;

		if (after <= offset)
			continue;
		st = mfs_snapshot_attributes(fs, mfs_snapshot_top(snapshot));
		if (!add_plain(l, mfs_snapshot_name(snapshot), &st, after)) {
			mfs_snapshot_unref(snapshot, 1);
			return;
		}
	}
}

static void list(struct listing *l, const struct mfs_snapshot_node *dir, off_t offset)
{
	if (!add_dots(l, dir, offset))
		return;
	if (dir == &mfs_snapshot_dir)
		add_snapshots(l, offset);
	else
		add_entries(l, dir, offset);
}

/* The references are taken first, for the kernel may give them back before this is over. */
static void reply_list(struct listing *l, const struct mfs_snapshot_node *dir)
{
	if (l->nlookups > 0)
		mfs_snapshot_ref(dir->snapshot, l->nlookups);
	if (fuse_reply_buf(l->req, l->buf, l->used) == -ENOENT && l->nlookups > 0)
		mfs_snapshot_unref(dir->snapshot, l->nlookups); /* the asker is gone */
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	const struct mfs_snapshot_node *dir = mfs_snapshot_node_of(ino);
	struct listing l = { .req = req, .plus = plus, .buf = mfs_buffer(size), .size = size };

	if (!l.buf) {
		mfs_reply(req, -ENOMEM);
	} else if (mfs_snapshot_begin(req, dir)) {
		list(&l, dir, offset);
		reply_list(&l, dir);
		mfs_snapshot_end(dir);
	}
}

void mfs_snapshot_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			     struct fuse_file_info *fi)
{
	(void)fi;
	read_dir(req, ino, size, offset, false);
}

void mfs_snapshot_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
				 struct fuse_file_info *fi)
{
	(void)fi;
	read_dir(req, ino, size, offset, true);
}
