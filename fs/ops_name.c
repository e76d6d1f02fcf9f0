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
	mfs_names_change_begin(fs);
	if (fs->source)
		bmf_source_move_begin(fs->source);
}

static void move_end(struct mfs *fs)
{
	if (fs->source)
		bmf_source_move_end(fs->source);
	mfs_names_change_end(fs);
}

/*
 * A name was just made: its node, given to the caller.  What can't be given away is removed
 * again.
 */
static int node_of_made(fuse_req_t req, const struct mfs_node *dir, const char *name,
			struct mfs_node **ret, struct stat *ret_st)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_node *node;
	int r;

	r = mfs_node_lookup(fs, dir, name, &node, ret_st);
	if (r < 0)
		return r;
	r = mfs_creds_give(fs, fuse_req_ctx(req), dir, node->fd, ret_st);
	if (r < 0) {
		unlinkat(dir->fd, name, S_ISDIR(ret_st->st_mode) ? AT_REMOVEDIR : 0);
		mfs_node_forget(fs, node, 1);
		return r;
	}
	*ret = node;
	return 0;
}

/* What a request makes: of a type with what that needs. */
struct made {
	mode_t mode;
	dev_t rdev;
	const char *target;
};

static int make(const struct mfs_node *dir, const char *name, const struct made *made)
{
	int r;

	if (S_ISLNK(made->mode))
		r = symlinkat(made->target, dir->fd, name);
	else if (S_ISDIR(made->mode))
		r = mkdirat(dir->fd, name, made->mode & ~(mode_t)S_IFMT);
	else
		r = mknodat(dir->fd, name, made->mode, made->rdev);
	return r < 0 ? -errno : 0;
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name,
			   const struct made *made)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	struct mfs_node *node = NULL;
	struct stat st;
	int r;

	if (mfs_is_hidden(fs, dir, name)) {
		mfs_reply(req, -EPERM);
		return;
	}
	mfs_creds_umask(fuse_req_ctx(req));
	mfs_names_change_begin(fs);
	r = make(dir, name, made);
	if (r == 0)
		r = node_of_made(req, dir, name, &node, &st);
	mfs_names_change_end(fs);
	if (r < 0)
		mfs_reply(req, r);
	else
		mfs_reply_node(req, node, &st);
}

void mfs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make_and_reply(req, parent, name, &(struct made){ .mode = mode, .rdev = rdev });
}

void mfs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make_and_reply(req, parent, name, &(struct made){ .mode = S_IFDIR | mode });
}

void mfs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make_and_reply(req, parent, name, &(struct made){ .mode = S_IFLNK, .target = target });
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
	mfs_image_unlinking(fs, node);
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
	mfs_names_change_begin(fs);
	victim = victim_of(fs, dir, name);
	if (unlinkat(dir->fd, name, 0) < 0)
		r = -errno;
	mfs_names_change_end(fs);
	victim_done(fs, victim);
	mfs_reply(req, r);
}

void mfs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	int r = -ENOENT;

	if (!mfs_is_hidden(fs, dir, name)) {
		mfs_names_change_begin(fs);
		r = unlinkat(dir->fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
		mfs_names_change_end(fs);
	}
	mfs_reply(req, r);
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
