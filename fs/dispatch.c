/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dispatch.c - passes each request on to the live tree or to the snapshots
 *
 * The number of the inode says to which.  A request on two inodes is one of either only
 * if both are; between them it is as between two filesystems (EXDEV), which makes programs copy.
 * What the snapshots have no function for is a change: EROFS.  What changes the live tree says so
 * here, so that it waits, or is refused, while the source is held or sealed (seal.h).
 *
 * None may be answered ENOSYS: from that the kernel concludes that it need not ask again, whatever
 * the inode.
 */
#include "config.h"

#include "fs/dispatch.h"

#include "fs/ops_snapshot.h"
#include "fs/seal.h"

#include <errno.h>
#include <fcntl.h>

static const struct fuse_lowlevel_ops *ops_of(fuse_ino_t ino)
{
	return mfs_is_snapshot(ino) ? &mfs_snapshot_ops : &mfs_ops;
}

/* A function that passes a request on by `ino`, which is one of its parameters. */
#define PASS(op, parameters, arguments)                            \
	static void pass_##op parameters                           \
	{                                                          \
		const struct fuse_lowlevel_ops *ops = ops_of(ino); \
                                                                   \
		if (ops->op)                                       \
			ops->op arguments;                         \
		else                                               \
			mfs_reply(req, -EROFS);                    \
	}

/*
 * A change.  Answered or not, it has been made when the seal is left: who holds the source
 * finds all that was acknowledged done.
 */
#define CHANGE(req, call)                                \
	do {                                             \
		struct mfs *fs = mfs_of(req);            \
		int entered = mfs_seal_enter(&fs->seal); \
                                                         \
		if (entered < 0) {                       \
			mfs_reply(req, entered);         \
			break;                           \
		}                                        \
		(call);                                  \
		mfs_seal_leave(&fs->seal);               \
	} while (0)

#define PASS_CHANGE(op, parameters, arguments)             \
	static void pass_##op parameters                   \
	{                                                  \
		if (mfs_is_snapshot(ino))                  \
			mfs_reply(req, -EROFS);            \
		else                                       \
			CHANGE(req, mfs_ops.op arguments); \
	}

#define PASS_CHANGE_OF_BOTH(op, parameters, arguments)              \
	static void pass_##op parameters                            \
	{                                                           \
		if (mfs_is_snapshot(ino) != mfs_is_snapshot(other)) \
			mfs_reply(req, -EXDEV);                     \
		else if (mfs_is_snapshot(ino))                      \
			mfs_reply(req, -EROFS);                     \
		else                                                \
			CHANGE(req, mfs_ops.op arguments);          \
	}

PASS(lookup, (fuse_req_t req, fuse_ino_t ino, const char *name), (req, ino, name))
PASS(getattr, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
PASS_CHANGE(setattr,
	    (fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid,
	     struct fuse_file_info *fi),
	    (req, ino, attr, valid, fi))
PASS(statfs, (fuse_req_t req, fuse_ino_t ino), (req, ino))
PASS(readlink, (fuse_req_t req, fuse_ino_t ino), (req, ino))

PASS(getxattr, (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size),
     (req, ino, name, size))
PASS(listxattr, (fuse_req_t req, fuse_ino_t ino, size_t size), (req, ino, size))
PASS_CHANGE(setxattr,
	    (fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
	     int flags),
	    (req, ino, name, value, size, flags))
PASS_CHANGE(removexattr, (fuse_req_t req, fuse_ino_t ino, const char *name), (req, ino, name))

PASS(opendir, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
PASS(readdir,
     (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi),
     (req, ino, size, offset, fi))
PASS(readdirplus,
     (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi),
     (req, ino, size, offset, fi))
PASS(releasedir, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
PASS(fsyncdir, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi),
     (req, ino, datasync, fi))

PASS_CHANGE(mknod, (fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode, dev_t rdev),
	    (req, ino, name, mode, rdev))
PASS_CHANGE(mkdir, (fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode),
	    (req, ino, name, mode))
PASS_CHANGE(symlink, (fuse_req_t req, const char *target, fuse_ino_t ino, const char *name),
	    (req, target, ino, name))
PASS_CHANGE_OF_BOTH(link, (fuse_req_t req, fuse_ino_t ino, fuse_ino_t other, const char *name),
		    (req, ino, other, name))
PASS_CHANGE(unlink, (fuse_req_t req, fuse_ino_t ino, const char *name), (req, ino, name))
PASS_CHANGE(rmdir, (fuse_req_t req, fuse_ino_t ino, const char *name), (req, ino, name))
PASS_CHANGE_OF_BOTH(rename,
		    (fuse_req_t req, fuse_ino_t ino, const char *name, fuse_ino_t other,
		     const char *newname, unsigned int flags),
		    (req, ino, name, other, newname, flags))

PASS_CHANGE(create,
	    (fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode,
	     struct fuse_file_info *fi),
	    (req, ino, name, mode, fi))
#if HAVE_FUSE_TMPFILE
PASS_CHANGE(tmpfile, (fuse_req_t req, fuse_ino_t ino, mode_t mode, struct fuse_file_info *fi),
	    (req, ino, mode, fi))
#endif

/* Who opens an image to write to it hears at once that he can't, and not from his first write. */
static void pass_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	bool live = !mfs_is_snapshot(ino);

	if (live && (fi->flags & O_TRUNC))
		CHANGE(req, mfs_ops.open(req, ino, fi));
	else if (live && (fi->flags & O_ACCMODE) != O_RDONLY &&
		 mfs_seal_is_sealed(&mfs_of(req)->seal))
		mfs_reply(req, -EROFS);
	else
		ops_of(ino)->open(req, ino, fi);
}

PASS(release, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
PASS(flush, (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi), (req, ino, fi))
PASS(fsync, (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi),
     (req, ino, datasync, fi))

PASS(read, (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi),
     (req, ino, size, offset, fi))
PASS_CHANGE(write,
	    (fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
	     struct fuse_file_info *fi),
	    (req, ino, buf, size, offset, fi))
PASS_CHANGE(fallocate,
	    (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	     struct fuse_file_info *fi),
	    (req, ino, mode, offset, length, fi))
PASS(lseek, (fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi),
     (req, ino, offset, whence, fi))
PASS_CHANGE_OF_BOTH(copy_file_range,
		    (fuse_req_t req, fuse_ino_t ino, off_t offset, struct fuse_file_info *fi,
		     fuse_ino_t other, off_t offset_out, struct fuse_file_info *fi_out, size_t size,
		     int flags),
		    (req, ino, offset, fi, other, offset_out, fi_out, size, flags))
PASS(ioctl,
     (fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg, struct fuse_file_info *fi,
      unsigned int flags, const void *in_buf, size_t in_nbytes, size_t out_nbytes),
     (req, ino, cmd, arg, fi, flags, in_buf, in_nbytes, out_nbytes))

const struct fuse_lowlevel_ops mfs_dispatch_ops = {
	.init = mfs_op_init,
	.lookup = pass_lookup,
	.forget = mfs_op_forget, /* these two know both kinds */
	.forget_multi = mfs_op_forget_multi,
	.getattr = pass_getattr,
	.setattr = pass_setattr,
	.statfs = pass_statfs,
	.readlink = pass_readlink,
	.getxattr = pass_getxattr,
	.listxattr = pass_listxattr,
	.setxattr = pass_setxattr,
	.removexattr = pass_removexattr,
	.opendir = pass_opendir,
	.readdir = pass_readdir,
	.readdirplus = pass_readdirplus,
	.releasedir = pass_releasedir,
	.fsyncdir = pass_fsyncdir,
	.mknod = pass_mknod,
	.mkdir = pass_mkdir,
	.symlink = pass_symlink,
	.link = pass_link,
	.unlink = pass_unlink,
	.rmdir = pass_rmdir,
	.rename = pass_rename,
	.create = pass_create,
#if HAVE_FUSE_TMPFILE
	.tmpfile = pass_tmpfile,
#endif
	.open = pass_open,
	.release = pass_release,
	.flush = pass_flush,
	.fsync = pass_fsync,
	.read = pass_read,
	.write = pass_write,
	.fallocate = pass_fallocate,
	.lseek = pass_lseek,
	.copy_file_range = pass_copy_file_range,
	.ioctl = pass_ioctl,
};
