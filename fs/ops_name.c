/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops_name.c - requests that make, move and remove names
 *
 * The kernel holds the locks of the directories concerned, so that what a name
 * leads to does not change between looking it up and acting on it.
 */
#include "config.h"

#include "fs/creds.h"
#include "fs/image.h"
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/*
 * Before mfs_image_touch(): a commit may hold a move up here, and take what an image is like
 * meanwhile for what it stays like.
 */
static void move_begin(struct mfs *fs)
{
	if (fs->source)
		bmf_source_move_begin(fs->source);
}

static void move_end(struct mfs *fs)
{
	if (fs->source)
		bmf_source_move_end(fs->source);
}

/*
 * A name was just made: its node, given to the caller and answered.  What can't be
 * given away is removed again.
 */
static void reply_made(fuse_req_t req, const struct mfs_node *dir, const char *name)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_node *node;
	struct stat st;
	int r;

	r = mfs_node_lookup(fs, dir, name, &node, &st);
	if (r < 0) {
		mfs_reply(req, r);
		return;
	}
	r = mfs_creds_give(fs, fuse_req_ctx(req), dir, node->fd, &st);
	if (r < 0) {
		unlinkat(dir->fd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
		mfs_node_forget(fs, node, 1);
		mfs_reply(req, r);
		return;
	}
	mfs_reply_node(req, node, &st);
}

void mfs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);

	if (mfs_is_hidden(fs, dir, name)) {
		mfs_reply(req, -EPERM);
		return;
	}
	mfs_creds_umask(fuse_req_ctx(req));
	if (mknodat(dir->fd, name, mode, rdev) < 0)
		mfs_reply(req, -errno);
	else
		reply_made(req, dir, name);
}

void mfs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);

	if (mfs_is_hidden(fs, dir, name)) {
		mfs_reply(req, -EPERM);
		return;
	}
	mfs_creds_umask(fuse_req_ctx(req));
	if (mkdirat(dir->fd, name, mode) < 0)
		mfs_reply(req, -errno);
	else
		reply_made(req, dir, name);
}

void mfs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);

	if (mfs_is_hidden(fs, dir, name))
		mfs_reply(req, -EPERM);
	else if (symlinkat(target, dir->fd, name) < 0)
		mfs_reply(req, -errno);
	else
		reply_made(req, dir, name);
}

void mfs_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_node *node = mfs_node_of(fs, ino), *linked;
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	struct stat st;
	int r;

	if (mfs_is_hidden(fs, dir, name)) {
		mfs_reply(req, -EPERM);
		return;
	}
	move_begin(fs);
	mfs_image_touch(fs, node);
	r = 0;
	if (linkat(AT_FDCWD, mfs_proc_path(node->fd).text, dir->fd, name, AT_SYMLINK_FOLLOW) < 0)
		r = -errno;
	move_end(fs);
	if (r < 0) {
		mfs_reply(req, r);
		return;
	}
	r = mfs_node_lookup(fs, dir, name, &linked, &st);
	if (r < 0)
		mfs_reply(req, r);
	else
		mfs_reply_node(req, linked, &st);
}

/* What a name leads to, before the name goes; NULL when there is nothing. */
static struct mfs_node *victim_of(struct mfs *fs, const struct mfs_node *dir, const char *name)
{
	struct mfs_node *node;
	struct stat st;

	if (mfs_node_lookup(fs, dir, name, &node, &st) < 0)
		return NULL;
	if (st.st_nlink > 1)
		mfs_image_touch(fs, node);
	return node;
}

/* The name is gone, or nothing happened. */
static void victim_done(struct mfs *fs, struct mfs_node *node)
{
	if (!node)
		return;
	mfs_image_unlinked(fs, node);
	mfs_node_forget(fs, node, 1);
}

void mfs_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	struct mfs_node *victim;
	int r = 0;

	if (mfs_is_hidden(fs, dir, name)) {
		mfs_reply(req, -ENOENT);
		return;
	}
	victim = victim_of(fs, dir, name);
	if (unlinkat(dir->fd, name, 0) < 0)
		r = -errno;
	victim_done(fs, victim);
	mfs_reply(req, r);
}

void mfs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);

	if (mfs_is_hidden(fs, dir, name))
		mfs_reply(req, -ENOENT);
	else
		mfs_reply(req, unlinkat(dir->fd, name, AT_REMOVEDIR) < 0 ? -errno : 0);
}

/* The file that moves changes its ctime, the one that is replaced may lose its last name. */
static int rename_tracked(struct mfs *fs, const struct mfs_node *dir, const char *name,
			  const struct mfs_node *newdir, const char *newname, unsigned int flags)
{
	struct mfs_node *moved, *victim = NULL;
	struct stat st;
	int r;

	r = mfs_node_lookup(fs, dir, name, &moved, &st);
	if (r < 0)
		return r;
	move_begin(fs);
	if (!(flags & RENAME_NOREPLACE))
		victim = victim_of(fs, newdir, newname);
	mfs_image_touch(fs, moved);
	if (victim && (flags & RENAME_EXCHANGE))
		mfs_image_touch(fs, victim);
	if (renameat2(dir->fd, name, newdir->fd, newname, flags) < 0)
		r = -errno;
	move_end(fs);
	victim_done(fs, victim);
	mfs_node_forget(fs, moved, 1);
	return r;
}

void mfs_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		   const char *newname, unsigned int flags)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	const struct mfs_node *newdir = mfs_node_of(fs, newparent);

	if (mfs_is_hidden(fs, dir, name))
		mfs_reply(req, -ENOENT);
	else if (mfs_is_hidden(fs, newdir, newname))
		mfs_reply(req, -EPERM);
	else
		mfs_reply(req, rename_tracked(fs, dir, name, newdir, newname, flags));
}
