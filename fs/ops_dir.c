/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops_dir.c - requests that list directories
 *
 * Offsets are those of the backing filesystem (d_off), so that telldir and
 * seekdir work as they do there.  A stream is used by one request at a time.
 */
#include "config.h"

#include "fs/buffer.h"
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void mfs_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_node *node = mfs_node_of(fs, ino);
	struct mfs_handle *handle;
	int r;

	r = mfs_handle_open(fs, node, O_RDONLY | O_DIRECTORY, &handle);
	if (r < 0) {
		mfs_reply(req, r);
		return;
	}
	handle->dir = fdopendir(handle->fd);
	if (!handle->dir) {
		mfs_handle_close(fs, handle);
		mfs_reply(req, -ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)handle;
	if (fuse_reply_open(req, fi) == -ENOENT)
		mfs_handle_close(fs, handle);
}

void mfs_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mfs_handle *handle = mfs_handle_of(fi);
	struct mfs *fs = mfs_of(req);

	(void)ino;
	if (atomic_load(&handle->owns_snapshots))
		mfs_snapshots_disown(fs, handle);
	if (atomic_load(&handle->holds))
		mfs_seal_release(&fs->seal, handle);
	mfs_handle_close(fs, handle);
	mfs_reply(req, 0);
}

void mfs_op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	const struct bmf_io *io = mfs_of(req)->io;
	int fd = mfs_handle_of(fi)->fd;

	(void)ino;
	mfs_reply(req, datasync ? io->fdatasync(io, fd) : io->fsync(io, fd));
}

/* The next entry, or NULL with *ret_error 0 (the end) or -errno. */
static struct dirent *next_entry(struct mfs_handle *handle, int *ret_error)
{
	if (!handle->pending) {
		errno = 0;
		handle->pending = readdir(handle->dir);
		if (!handle->pending)
			*ret_error = -errno;
	}
	return handle->pending;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* What is known without a lookup. */
static struct fuse_entry_param plain_entry(const struct dirent *d)
{
	return (struct fuse_entry_param){
		.attr = { .st_ino = d->d_ino, .st_mode = DTTOIF(d->d_type) },
	};
}

/* An entry whose node can't be had (vanished, no more descriptors) is listed all the same. */
static struct fuse_entry_param looked_up_entry(struct mfs *fs, const struct mfs_handle *handle,
					       const struct dirent *d)
{
	struct mfs_node *node;
	struct stat st;

	if (is_dots(d->d_name) || mfs_node_lookup(fs, handle->node, d->d_name, &node, &st) < 0)
		return plain_entry(d);
	return mfs_entry(fs, node, &st);
}

/* Adds d to buf; false when there is no room left for it. */
static bool add_entry(fuse_req_t req, const struct mfs_handle *handle, const struct dirent *d,
		      bool plus, char *buf, size_t room, size_t *ret_used)
{
	struct fuse_entry_param entry;

	if (!plus) {
		entry = plain_entry(d);
		*ret_used = fuse_add_direntry(req, buf, room, d->d_name, &entry.attr, d->d_off);
		return *ret_used <= room;
	}
	/* No lookup for an entry that is not sent: nobody would forget it. */
	*ret_used = fuse_add_direntry_plus(req, NULL, 0, d->d_name, NULL, 0);
	if (*ret_used > room)
		return false;
	entry = looked_up_entry(mfs_of(req), handle, d);
	fuse_add_direntry_plus(req, buf, room, d->d_name, &entry, d->d_off);
	return true;
}

/* Fills buf; the bytes used, or -errno. */
static ssize_t list(fuse_req_t req, struct mfs_handle *handle, bool plus, char *buf, size_t size)
{
	size_t done = 0, used;
	struct dirent *d;
	int error = 0;

	while ((d = next_entry(handle, &error))) {
		if (!mfs_is_hidden(mfs_of(req), handle->node, d->d_name)) {
			if (!add_entry(req, handle, d, plus, buf + done, size - done, &used))
				break;
			done += used;
		}
		handle->offset = d->d_off;
		handle->pending = NULL;
	}
	/* What was listed before an error is sent; the next request meets the error again. */
	return done > 0 ? (ssize_t)done : error;
}

static void seek(struct mfs_handle *handle, off_t offset)
{
	if (handle->offset == offset)
		return;
	if (offset == 0)
		rewinddir(handle->dir);
	else
		seekdir(handle->dir, offset);
	handle->offset = offset;
	handle->pending = NULL;
}

static void reply_list(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi,
		       bool plus)
{
	struct mfs_handle *handle = mfs_handle_of(fi);
	char *buf = mfs_buffer(size);
	ssize_t n;

	if (!buf) {
		mfs_reply(req, -ENOMEM);
		return;
	}
	pthread_mutex_lock(&handle->lock);
	seek(handle, offset);
	n = list(req, handle, plus, buf, size);
	pthread_mutex_unlock(&handle->lock);
	if (n < 0)
		mfs_reply(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

void mfs_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	(void)ino;
	reply_list(req, size, offset, fi, false);
}

void mfs_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			struct fuse_file_info *fi)
{
	(void)ino;
	reply_list(req, size, offset, fi, true);
}
