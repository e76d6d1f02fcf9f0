/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops_file.c - requests that make, open, sync and close files
 *
 * O_DIRECT: the kernel does not cache such a file, nor do we: the backing file is opened with
 * O_DIRECT as well, so what it demands of alignment holds as it does without mirrorfs.
 */
#include "config.h"

#include "fs/creds.h"
#include "fs/image.h"
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <linux/fuse.h>

/*
 * The flags for the backing file.  Not O_APPEND: the kernel gives the offset of each
 * write.  Not O_TRUNC: that is a change to be tracked first.
 */
static int backing_flags(int flags)
{
	return flags & (O_ACCMODE | O_DIRECT | O_NOATIME | O_SYNC | O_DSYNC);
}

static void fill_open(fuse_req_t req, struct mfs_handle *handle, struct fuse_file_info *fi)
{
	fi->fh = (uintptr_t)handle;
	fi->direct_io = mfs_handle_direct_io(mfs_of(req), handle);
#if HAVE_PARALLEL_DIRECT_WRITES
	fi->parallel_direct_writes = fi->direct_io;
#endif
}

/* What libfuse has no word for goes past it. */
static int reply_open(fuse_req_t req, const struct fuse_file_info *fi)
{
#if !HAVE_PARALLEL_DIRECT_WRITES && defined(FOPEN_PARALLEL_DIRECT_WRITES)
	const struct fuse_open_out out = {
		.fh = fi->fh,
		.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES,
	};

	if (fi->direct_io)
		return fuse_reply_buf(req, (const char *)&out, sizeof(out));
#endif
	return fuse_reply_open(req, fi);
}

static int open_node(fuse_req_t req, struct mfs_node *node, int flags, struct mfs_handle **ret)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_handle *handle;
	int r;

	r = mfs_handle_open(fs, node, backing_flags(flags), &handle);
	if (r < 0)
		return r;
	if (flags & O_TRUNC) {
		mfs_creds_drop_privileges(fs, fuse_req_ctx(req), node);
		/* goes with O_RDONLY too */
		r = handle->tracker ? mfs_image_truncate(fs, handle->tracker, handle->fd, 0)
				    : mfs_image_truncate_node(fs, node, 0);
	}
	if (r < 0)
		mfs_handle_close(fs, handle);
	else
		*ret = handle;
	return r;
}

void mfs_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_handle *handle;
	int r;

	r = open_node(req, mfs_node_of(fs, ino), fi->flags, &handle);
	if (r < 0) {
		mfs_reply(req, r);
		return;
	}
	fill_open(req, handle, fi);
	if (reply_open(req, fi) == -ENOENT)
		mfs_handle_close(fs, handle);
}

/* The name, its node and whose it is: one change. */
static int make_name(fuse_req_t req, const struct mfs_node *dir, const char *name, mode_t mode,
		     int flags, struct mfs_node **ret_node, struct stat *ret_st)
{
	struct mfs *fs = mfs_of(req);
	int fd, r;

	fd = openat(dir->fd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 07777);
	if (fd < 0)
		return -errno;
	r = mfs_node_of_fd(fs, fd, ret_node, ret_st);
	if (r == 0) {
		r = mfs_creds_give(fs, fuse_req_ctx(req), dir, fd, ret_st);
		if (r < 0)
			mfs_node_forget(fs, *ret_node, 1);
	}
	if (r < 0) {
		close(fd);
		unlinkat(dir->fd, name, 0);
		return r;
	}
	return fd;
}

/* A file that is made now, and so is nobody else's yet. */
static int make_file(fuse_req_t req, const struct mfs_node *dir, const char *name, mode_t mode,
		     int flags, struct mfs_node **ret_node, struct stat *ret_st,
		     struct mfs_handle **ret)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_node *node;
	int fd, r;

	mfs_creds_umask(fuse_req_ctx(req));
	mfs_names_change_begin(fs);
	fd = make_name(req, dir, name, mode, backing_flags(flags), &node, ret_st);
	mfs_names_change_end(fs);
	if (fd < 0)
		return fd;
	r = mfs_handle_new(fs, node, fd, backing_flags(flags), ret);
	if (r == 0) {
		*ret_node = node;
		return 0;
	}
	mfs_node_forget(fs, node, 1);
	mfs_names_change_begin(fs);
	unlinkat(dir->fd, name, 0);
	mfs_names_change_end(fs);
	return r;
}

static int open_existing(fuse_req_t req, const struct mfs_node *dir, const char *name, int flags,
			 struct mfs_node **ret_node, struct stat *ret_st, struct mfs_handle **ret)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_node *node;
	int r;

	r = mfs_node_lookup(fs, dir, name, &node, ret_st);
	if (r < 0)
		return r;
	r = S_ISREG(node->type) ? open_node(req, node, flags, ret) : -EEXIST;
	if (r == 0 && fstat(node->fd, ret_st) < 0) {
		r = -errno;
		mfs_handle_close(fs, *ret);
	}
	if (r < 0)
		mfs_node_forget(fs, node, 1);
	else
		*ret_node = node;
	return r;
}

static void reply_create(fuse_req_t req, struct mfs_node *node, const struct stat *st,
			 struct mfs_handle *handle, struct fuse_file_info *fi)
{
	struct mfs *fs = mfs_of(req);
	struct fuse_entry_param entry = mfs_entry(fs, node, st);

	fill_open(req, handle, fi);
	if (fuse_reply_create(req, &entry, fi) == -ENOENT) {
		mfs_handle_close(fs, handle);
		mfs_node_forget(fs, node, 1);
	}
}

void mfs_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	struct mfs_handle *handle = NULL;
	struct mfs_node *node = NULL;
	struct stat st;
	int r = -EPERM;

	if (!mfs_is_hidden(fs, dir, name))
		r = make_file(req, dir, name, mode, fi->flags, &node, &st, &handle);
	/* It was not there when the kernel looked last, but now it is: made beside the mount. */
	if (r == -EEXIST && !(fi->flags & O_EXCL))
		r = open_existing(req, dir, name, fi->flags, &node, &st, &handle);
	if (r < 0)
		mfs_reply(req, r);
	else
		reply_create(req, node, &st, handle, fi);
}

#if HAVE_FUSE_TMPFILE
/* A file without a name, which linkat may give it one: no change of names as yet. */
void mfs_op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *dir = mfs_node_of(fs, parent);
	int flags = backing_flags(fi->flags), fd, r;
	struct mfs_handle *handle = NULL;
	struct mfs_node *node = NULL;
	struct stat st;

	mfs_creds_umask(fuse_req_ctx(req));
	fd = openat(dir->fd, ".", flags | (fi->flags & O_EXCL) | O_TMPFILE | O_CLOEXEC,
		    mode & 07777);
	if (fd < 0) {
		mfs_reply(req, -errno);
		return;
	}
	r = mfs_node_of_fd(fs, fd, &node, &st);
	if (r == 0)
		r = mfs_creds_give(fs, fuse_req_ctx(req), dir, fd, &st);
	if (r < 0)
		close(fd);
	else
		r = mfs_handle_new(fs, node, fd, flags, &handle);
	if (r == 0) {
		reply_create(req, node, &st, handle, fi);
		return;
	}
	if (node)
		mfs_node_forget(fs, node, 1);
	mfs_reply(req, r);
}
#endif

void mfs_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	mfs_handle_close(mfs_of(req), mfs_handle_of(fi));
	mfs_reply(req, 0);
}

/* On close(2): some filesystems report errors of earlier writes only then. */
void mfs_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int fd = dup(mfs_handle_of(fi)->fd);

	(void)ino;
	if (fd < 0)
		mfs_reply(req, -errno);
	else
		mfs_reply(req, close(fd) < 0 ? -errno : 0);
}

void mfs_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct mfs_handle *handle = mfs_handle_of(fi);

	(void)ino;
	mfs_reply(req, mfs_image_sync(mfs_of(req), handle, handle->fd, datasync));
}
