/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * creds.h - acting on behalf of whoever asks
 *
 * Permissions are the kernel's business (default_permissions): what arrives here is
 * allowed, and is done with the daemon's own rights.  What is left is that
 * new files belong to who made them, and that a write takes away set-user-ID.
 *
 * A daemon that is not root can't give files away: all are its user's.
 */
#ifndef FS_CREDS_H
#define FS_CREDS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct mfs;
struct mfs_node;
struct fuse_ctx;

/*
 * Makes the calling thread's umask its own; then mfs_creds_umask() may set it.
 * It is the backing filesystem that applies it, for it alone knows of default ACLs.
 * 0 or -errno.
 */
int mfs_creds_own_umask(void);
void mfs_creds_umask(const struct fuse_ctx *ctx);

/*
 * fd (O_PATH will do) has just been made in parent, by the same change of names: gives it to
 * the caller.  *st is what it is like, and is updated.  0 or -errno.
 */
int mfs_creds_give(struct mfs *fs, const struct fuse_ctx *ctx, const struct mfs_node *parent,
		   int fd, struct stat *st);

/*
 * The content of the file is about to be changed by the caller: unless that is
 * root, takes away set-user-ID, set-group-ID and capabilities, as the kernel does
 * where it is not a daemon that writes.  Failures are ignored, as there.  Not to be called in the
 * gate, or within a change of names, which this may be one of.
 */
void mfs_creds_drop_privileges(struct mfs *fs, const struct fuse_ctx *ctx, struct mfs_node *node);

/* The node may have them again (chmod, setxattr). */
void mfs_creds_may_have_privileges(struct mfs_node *node);

#endif
