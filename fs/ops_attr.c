/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ops_attr.c - requests for attributes: of a node, of the filesystem, of a link its target */
#include "config.h"

#include "fs/creds.h"
#include "fs/image.h"
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The descriptor of a node keeps working when its last name is gone. */
static void reply_attributes(fuse_req_t req, const struct mfs_node *node)
{
	struct mfs *fs = mfs_of(req);
	struct stat st;

	if (fstat(node->fd, &st) < 0) {
		mfs_reply(req, -errno);
		return;
	}
	st = mfs_attributes(fs, &st);
	fuse_reply_attr(req, &st, MFS_TIMEOUT);
}

void mfs_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	reply_attributes(req, mfs_node_of(mfs_of(req), ino));
}

static int set_mode(struct mfs_node *node, mode_t mode)
{
	if (chmod(mfs_proc_path(node->fd).text, mode & 07777) < 0)
		return -errno;
	mfs_creds_may_have_privileges(node);
	return 0;
}

static int set_owner(const struct mfs_node *node, const struct stat *attr, int valid)
{
	uid_t uid = valid & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
	gid_t gid = valid & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;

	return fchownat(node->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno
											 : 0;
}

static struct timespec time_to_set(struct timespec time, int valid, int set, int now)
{
	if (valid & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return valid & set ? time : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int set_times(const struct mfs_node *node, const struct stat *attr, int valid)
{
	struct timespec times[2] = {
		time_to_set(attr->st_atim, valid, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW),
		time_to_set(attr->st_mtim, valid, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW),
	};

	if (utimensat(node->fd, "", times, AT_EMPTY_PATH) == 0)
		return 0;
	/* Before Linux 5.8 there was no AT_EMPTY_PATH here. */
	if (errno == EINVAL && utimensat(AT_FDCWD, mfs_proc_path(node->fd).text, times, 0) == 0)
		return 0;
	return -errno;
}

static int set_size(fuse_req_t req, struct mfs_node *node, off_t size,
		    const struct fuse_file_info *fi)
{
	const struct mfs_handle *handle = fi ? mfs_handle_of(fi) : NULL;
	struct mfs *fs = mfs_of(req);

	if (!S_ISREG(node->type))
		return -EINVAL;
	mfs_creds_drop_privileges(fs, fuse_req_ctx(req), node);
	if (handle && handle->tracker)
		return mfs_image_truncate(fs, handle->tracker, handle->fd, size);
	return mfs_image_truncate_node(fs, node, size);
}

#define SET_OWNER (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)
#define SET_TIMES                                                              \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW | \
	 FUSE_SET_ATTR_MTIME_NOW)

/* Owner before mode, as a new owner takes set-user-ID away. */
static int set_metadata(struct mfs *fs, struct mfs_node *node, const struct stat *attr, int valid)
{
	int r = 0;

	mfs_names_change_begin(fs);
	mfs_image_touch(fs, node);
	if (valid & SET_OWNER)
		r = set_owner(node, attr, valid);
	if (r == 0 && (valid & FUSE_SET_ATTR_MODE))
		r = set_mode(node, attr->st_mode);
	if (r == 0 && (valid & SET_TIMES))
		r = set_times(node, attr, valid);
	mfs_names_change_end(fs);
	return r;
}

/* The size before the times, which it changes. */
static int set_attributes(fuse_req_t req, struct mfs_node *node, const struct stat *attr, int valid,
			  const struct fuse_file_info *fi)
{
	struct mfs *fs = mfs_of(req);
	int r = 0;

	if (valid & ~FUSE_SET_ATTR_SIZE & ~SET_TIMES)
		r = set_metadata(fs, node, attr, valid & ~SET_TIMES);
	if (r == 0 && (valid & FUSE_SET_ATTR_SIZE))
		r = set_size(req, node, attr->st_size, fi);
	if (r == 0 && (valid & SET_TIMES))
		r = set_metadata(fs, node, attr, valid & SET_TIMES);
	return r;
}

void mfs_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid,
		    struct fuse_file_info *fi)
{
	struct mfs_node *node = mfs_node_of(mfs_of(req), ino);
	int r = set_attributes(req, node, attr, valid, fi);

	if (r < 0)
		mfs_reply(req, r);
	else
		reply_attributes(req, node);
}

void mfs_op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs sfs;

	if (fstatvfs(mfs_node_of(mfs_of(req), ino)->fd, &sfs) < 0)
		mfs_reply(req, -errno);
	else
		fuse_reply_statfs(req, &sfs);
}

void mfs_op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[PATH_MAX + 1];
	ssize_t n;

	n = readlinkat(mfs_node_of(mfs_of(req), ino)->fd, "", target, sizeof(target) - 1);
	if (n < 0) {
		mfs_reply(req, -errno);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}
