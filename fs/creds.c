/* SPDX-License-Identifier: GPL-2.0-or-later */
/* creds.c - acting on behalf of whoever asks */
#include "config.h"

#include "fs/creds.h"

#include "fs/fs.h"
#include "fs/image.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#define XATTR_CAPS "security.capability"

int mfs_creds_own_umask(void)
{
	return unshare(CLONE_FS) < 0 ? -errno : 0;
}

void mfs_creds_umask(const struct fuse_ctx *ctx)
{
	umask(ctx->umask);
}

/* -1 (keep) where the directory decides the group, by its set-group-ID bit or a mount option. */
static gid_t group_for(const struct fuse_ctx *ctx, const struct mfs_node *parent,
		       const struct stat *st)
{
	struct stat parent_st;

	if (st->st_gid != getegid())
		return (gid_t)-1;
	if (fstat(parent->fd, &parent_st) == 0 && (parent_st.st_mode & S_ISGID))
		return (gid_t)-1;
	return ctx->gid;
}

int mfs_creds_give(struct mfs *fs, const struct fuse_ctx *ctx, const struct mfs_node *parent,
		   int fd, struct stat *st)
{
	gid_t gid = group_for(ctx, parent, st);

	if (!fs->is_root || (ctx->uid == st->st_uid && (gid == (gid_t)-1 || gid == st->st_gid)))
		return 0;
	if (fchownat(fd, "", ctx->uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* A change of owner takes these bits away. */
	if ((st->st_mode & (S_ISUID | S_ISGID)) && !S_ISLNK(st->st_mode) &&
	    chmod(mfs_proc_path(fd).text, st->st_mode & 07777) < 0)
		return -errno;
	return fstat(fd, st) < 0 ? -errno : 0;
}

static void drop_privileges(struct mfs *fs, const struct mfs_node *node)
{
	struct mfs_proc_path path = mfs_proc_path(node->fd);
	struct stat st;
	mode_t mode;

	if (fstat(node->fd, &st) < 0)
		return;
	mode = st.st_mode & 07777 & ~(mode_t)S_ISUID;
	if (mode & S_IXGRP)
		mode &= ~(mode_t)S_ISGID;
	if (mode != (st.st_mode & 07777)) {
		mfs_names_change_begin(fs);
		mfs_image_touch(fs, node);
		chmod(path.text, mode);
		mfs_names_change_end(fs);
		/* Not when its time is over: somebody may be about to execute it.  -1: no data. */
		fuse_lowlevel_notify_inval_inode(fs->session, (uintptr_t)node, -1, 0);
	}
	if (getxattr(path.text, XATTR_CAPS, NULL, 0) >= 0) {
		mfs_names_change_begin(fs);
		mfs_image_touch(fs, node);
		removexattr(path.text, XATTR_CAPS);
		mfs_names_change_end(fs);
	}
}

void mfs_creds_drop_privileges(struct mfs *fs, const struct fuse_ctx *ctx, struct mfs_node *node)
{
	/* A daemon that is not root loses them by its own write. */
	if (ctx->uid == 0 || !fs->is_root || !atomic_load(&node->privileged))
		return;
	/* Before looking: who gives privileges meanwhile sets it again. */
	atomic_store(&node->privileged, false);
	drop_privileges(fs, node);
}

void mfs_creds_may_have_privileges(struct mfs_node *node)
{
	atomic_store(&node->privileged, true);
}
