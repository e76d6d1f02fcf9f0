/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops_xattr.c - requests for extended attributes
 *
 * Those that are mirrorfs's own can't be seen, made or removed: an image's id is
 * what its bitmaps hang on, and a copy that took it along would pass for it.
 */
#include "config.h"

#include "fs/creds.h"
#include "fs/image.h"
#include "fs/ops.h"
#include "fs/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

void mfs_reply_xattr(fuse_req_t req, const char *buf, ssize_t n, size_t size)
{
	if (n < 0)
		mfs_reply(req, (int)n);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else if ((size_t)n > size)
		mfs_reply(req, -ERANGE);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

void mfs_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct mfs_proc_path path = mfs_proc_path(mfs_node_of(mfs_of(req), ino)->fd);
	char *value = NULL;
	ssize_t n;

	if (size > MFS_XATTR_MAX)
		size = MFS_XATTR_MAX;
	if (mfs_xattr_is_hidden(name)) {
		mfs_reply(req, -ENODATA);
		return;
	}
	if (size > 0) {
		value = malloc(size);
		if (!value) {
			mfs_reply(req, -ENOMEM);
			return;
		}
	}
	n = getxattr(path.text, name, value, size);
	mfs_reply_xattr(req, value, n < 0 ? -errno : n, size);
	free(value);
}

/* Takes the hidden names out of a list; its new length. */
static ssize_t filter(char *list, ssize_t n)
{
	char *to = list;
	size_t length;

	for (const char *name = list; name < list + n; name += length) {
		length = strlen(name) + 1;
		if (mfs_xattr_is_hidden(name))
			continue;
		memmove(to, name, length);
		to += length;
	}
	return to - list;
}

void mfs_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct mfs_proc_path path = mfs_proc_path(mfs_node_of(mfs_of(req), ino)->fd);
	char *list = malloc(MFS_XATTR_MAX);
	ssize_t n;

	if (!list) {
		mfs_reply(req, -ENOMEM);
		return;
	}
	/* In full also when only its size is asked for: that is the size after filtering. */
	n = listxattr(path.text, list, MFS_XATTR_MAX);
	n = n < 0 ? -errno : filter(list, n);
	mfs_reply_xattr(req, list, n, size);
	free(list);
}

void mfs_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		     size_t size, int flags)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_node *node = mfs_node_of(fs, ino);
	int r = 0;

	if (mfs_xattr_is_hidden(name)) {
		mfs_reply(req, -EPERM);
		return;
	}
	mfs_names_change_begin(fs);
	mfs_image_touch(fs, node);
	if (setxattr(mfs_proc_path(node->fd).text, name, value, size, flags) < 0)
		r = -errno;
	mfs_names_change_end(fs);
	mfs_creds_may_have_privileges(node);
	mfs_reply(req, r);
}

void mfs_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct mfs *fs = mfs_of(req);
	struct mfs_node *node = mfs_node_of(fs, ino);
	int r = 0;

	if (mfs_xattr_is_hidden(name)) {
		mfs_reply(req, -EPERM);
		return;
	}
	mfs_names_change_begin(fs);
	mfs_image_touch(fs, node);
	if (removexattr(mfs_proc_path(node->fd).text, name) < 0)
		r = -errno;
	mfs_names_change_end(fs);
	mfs_reply(req, r);
}
