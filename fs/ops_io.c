/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ops_io.c - requests that move bytes of open files */
#include "config.h"

#include "fs/buffer.h"
#include "fs/creds.h"
#include "fs/image.h"
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* More than any block device asks of the memory of an O_DIRECT transfer. */
#define MEMORY_ALIGNMENT 4096

/*
 * One pread, short only at the end of the file: going on after that, as bmf_io's does,
 * would be refused by O_DIRECT when the end is not aligned.
 */
static ssize_t read_once(int fd, void *buf, size_t size, off_t offset)
{
	ssize_t n;

	do {
		n = pread(fd, buf, size, offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void mfs_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi)
{
	int fd = mfs_handle_fd(mfs_handle_of(fi), fi->flags);
	void *buf = mfs_buffer(size);
	ssize_t n;

	(void)ino;
	if (fd < 0 || !buf) {
		mfs_reply(req, fd < 0 ? fd : -ENOMEM);
		return;
	}
	n = read_once(fd, buf, size, offset);
	if (n < 0)
		mfs_reply(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

/* libfuse's buffer is aligned (loop.c), but it does not promise to leave it so. */
static const void *aligned(const char *buf, size_t size)
{
	void *copy;

	if ((uintptr_t)buf % MEMORY_ALIGNMENT == 0)
		return buf;
	copy = mfs_buffer(size);
	return copy ? memcpy(copy, buf, size) : NULL;
}

/* A write that is to be durable by itself (RWF_DSYNC), on a handle that is not. */
static bool needs_sync(const struct mfs_handle *handle, int request_flags)
{
	return (request_flags & O_DSYNC) && !(handle->flags & O_DSYNC);
}

static ssize_t write_handle(fuse_req_t req, struct mfs_node *node, const char *buf, size_t size,
			    off_t offset, const struct fuse_file_info *fi)
{
	struct mfs_handle *handle = mfs_handle_of(fi);
	struct mfs *fs = mfs_of(req);
	const void *data = buf;
	ssize_t n;
	int fd, r;

	if (!handle->tracker)
		return -EBADF;
	fd = mfs_handle_fd(handle, fi->flags);
	if (fd < 0)
		return fd;
	if (handle->direct)
		data = aligned(buf, size);
	if (!data)
		return -ENOMEM;
	mfs_creds_drop_privileges(fs, fuse_req_ctx(req), node);
	n = mfs_image_write(fs, handle->tracker, fd, data, size, offset,
			    (handle->flags & (O_SYNC | O_DSYNC)) != 0);
	if (n < 0 || !needs_sync(handle, fi->flags))
		return n;
	r = mfs_image_sync(fs, handle, fd, true);
	return r < 0 ? r : n;
}

void mfs_op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
		  struct fuse_file_info *fi)
{
	ssize_t n = write_handle(req, mfs_node_of(mfs_of(req), ino), buf, size, offset, fi);

	if (n < 0)
		mfs_reply(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}

void mfs_op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		      struct fuse_file_info *fi)
{
	struct mfs_handle *handle = mfs_handle_of(fi);
	struct mfs *fs = mfs_of(req);

	if (!handle->tracker) {
		mfs_reply(req, -EBADF);
		return;
	}
	mfs_creds_drop_privileges(fs, fuse_req_ctx(req), mfs_node_of(fs, ino));
	mfs_reply(req, mfs_image_fallocate(fs, handle->tracker, handle->fd, mode, offset, length));
}

/* SEEK_DATA and SEEK_HOLE; the kernel does the others itself. */
void mfs_op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		  struct fuse_file_info *fi)
{
	off_t found = lseek(mfs_handle_of(fi)->fd, offset, whence);

	(void)ino;
	if (found < 0)
		mfs_reply(req, -errno);
	else
		fuse_reply_lseek(req, found);
}

void mfs_op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t offset_in,
			    struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t offset_out,
			    struct fuse_file_info *fi_out, size_t size, int flags)
{
	struct mfs_handle *out = mfs_handle_of(fi_out);
	struct mfs *fs = mfs_of(req);
	ssize_t n = -EBADF;

	(void)ino_in;
	if (flags != 0)
		n = -EINVAL;
	else if (out->tracker) {
		mfs_creds_drop_privileges(fs, fuse_req_ctx(req), mfs_node_of(fs, ino_out));
		n = mfs_image_copy(fs, mfs_handle_of(fi_in)->fd, offset_in, out->tracker, out->fd,
				   offset_out, size);
	}
	if (n < 0)
		mfs_reply(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}
