/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops.c - the table of requests on the live tree, and what their functions share
 *
 * Not in the table: getlk, setlk and flock.  Without them the kernel itself keeps POSIX,
 * OFD and flock locks, as on any local filesystem, among all who use the mount;
 * that is what makes two QEMUs that open one image collide.
 */
#include "config.h"

#include "fs/ops.h"

#include "bitmapfile/store.h"

#include <errno.h>
#include <string.h>

/* What one request may write: the receive buffers of loop.c are made for it. */
#define WRITE_MAX (1u << 20)

/* Requests that the kernel sends without waiting for each other: reading ahead, direct I/O. */
#define BACKGROUND_MAX 64

/* The kernel's FUSE version (Linux 6.6) since which direct_io drops what others have cached. */
#define DIRECT_IO_MIXES_MINOR 39

bool mfs_is_hidden(const struct mfs *fs, const struct mfs_node *parent, const char *name)
{
	return parent == &fs->nodes.root && strcmp(name, BMF_STATE_DIR) == 0;
}

struct stat mfs_attributes(const struct mfs *fs, const struct stat *st)
{
	struct stat attr = *st;

	/*
	 * To those who look, all is one filesystem: keep files of another one that is
	 * mounted in the source from passing as hard links to ones of the first.
	 */
	if (st->st_dev != fs->nodes.root.dev)
		attr.st_ino ^= (st->st_dev + 1) * UINT64_C(0x9e3779b97f4a7c15);
	return attr;
}

struct fuse_entry_param mfs_entry(struct mfs *fs, struct mfs_node *node, const struct stat *st)
{
	return (struct fuse_entry_param){
		.ino = node == &fs->nodes.root ? FUSE_ROOT_ID : (uintptr_t)node,
		.attr = mfs_attributes(fs, st),
		.attr_timeout = MFS_TIMEOUT,
		.entry_timeout = MFS_TIMEOUT,
	};
}

void mfs_reply_node(fuse_req_t req, struct mfs_node *node, const struct stat *st)
{
	struct mfs *fs = mfs_of(req);
	struct fuse_entry_param entry = mfs_entry(fs, node, st);

	/* -ENOENT: the asker is gone, and the kernel has not counted this lookup */
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		mfs_node_forget(fs, node, 1);
}

/* ENOTCONN is what the kernel says of a mount that nobody serves, and so it means that
 * (dead_mount.h). */
void mfs_reply(fuse_req_t req, int r)
{
	if (r == -ENOTCONN)
		r = -EIO;
	fuse_reply_err(req, r < 0 ? -r : 0);
}

void mfs_op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mfs *fs = userdata;
	unsigned int wanted = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK |
			      FUSE_CAP_IOCTL_DIR | FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
			      FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_PARALLEL_DIROPS |
			      FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO;

	fs->initialized = true;
	fs->direct_io_mixes = conn->proto_minor >= DIRECT_IO_MIXES_MINOR;
	/*
	 * With KILLPRIV_V2 the kernel need not ask for a file's capabilities at every
	 * write; mfs_creds_drop_privileges() does its part.
	 */
#if HAVE_FUSE_CAP_HANDLE_KILLPRIV_V2
	wanted |= FUSE_CAP_HANDLE_KILLPRIV_V2;
#endif
#if HAVE_FUSE_CAP_DIRECT_IO_ALLOW_MMAP
	wanted |= FUSE_CAP_DIRECT_IO_ALLOW_MMAP;
#endif
	/*
	 * Of what libfuse would add by itself, these stay out: splice takes a payload
	 * out of our aligned memory; writeback caching keeps writes from us; a file handle of
	 * NFS would be a node that was forgotten; KILLPRIV's first version leaves truncate to us.
	 */
	conn->want = conn->capable & wanted;
	if (conn->max_write > WRITE_MAX)
		conn->max_write = WRITE_MAX;
	conn->max_background = BACKGROUND_MAX;
}

const struct fuse_lowlevel_ops mfs_ops = {
	.lookup = mfs_op_lookup,
	.getattr = mfs_op_getattr,
	.setattr = mfs_op_setattr,
	.statfs = mfs_op_statfs,
	.readlink = mfs_op_readlink,
	.getxattr = mfs_op_getxattr,
	.listxattr = mfs_op_listxattr,
	.setxattr = mfs_op_setxattr,
	.removexattr = mfs_op_removexattr,
	.opendir = mfs_op_opendir,
	.readdir = mfs_op_readdir,
	.readdirplus = mfs_op_readdirplus,
	.releasedir = mfs_op_releasedir,
	.fsyncdir = mfs_op_fsyncdir,
	.mknod = mfs_op_mknod,
	.mkdir = mfs_op_mkdir,
	.symlink = mfs_op_symlink,
	.link = mfs_op_link,
	.unlink = mfs_op_unlink,
	.rmdir = mfs_op_rmdir,
	.rename = mfs_op_rename,
	.create = mfs_op_create,
#if HAVE_FUSE_TMPFILE
	.tmpfile = mfs_op_tmpfile,
#endif
	.open = mfs_op_open,
	.release = mfs_op_release,
	.flush = mfs_op_flush,
	.fsync = mfs_op_fsync,
	.read = mfs_op_read,
	.write = mfs_op_write,
	.fallocate = mfs_op_fallocate,
	.lseek = mfs_op_lseek,
	.copy_file_range = mfs_op_copy_file_range,
	.ioctl = mfs_op_ioctl,
};
