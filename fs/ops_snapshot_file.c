/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops_snapshot_file.c - requests on open files of snapshots
 *
 * Their content never changes, so the kernel keeps what it has cached from one opening to the
 * next.  Nothing is kept here for one that is open.
 */
#include "config.h"

#include "fs/buffer.h"
#include "fs/control_message.h"
#include "fs/ops_snapshot.h"
#include "fs/snapshot_image.h"

#include <errno.h>
#include <fcntl.h>

void mfs_snapshot_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);

	if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC)) {
		mfs_reply(req, -EROFS);
	} else if (mfs_snapshot_begin(req, node)) {
		fi->direct_io = (fi->flags & O_DIRECT) != 0;
		fi->keep_cache = 1;
		fuse_reply_open(req, fi);
		mfs_snapshot_end(node);
	}
}

static ssize_t read_image(const struct mfs_snapshot_node *node, void *buf, size_t size,
			  off_t offset)
{
	if (!buf)
		return -ENOMEM;
	return mfs_snapshot_image_read(node->image, buf, size, offset);
}

void mfs_snapshot_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			  struct fuse_file_info *fi)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);
	void *buf = mfs_buffer(size);
	ssize_t n;

	(void)fi;
	if (!mfs_snapshot_begin(req, node))
		return;
	n = read_image(node, buf, size, offset);
	if (n < 0)
		mfs_reply(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
	mfs_snapshot_end(node);
}

/* SEEK_DATA and SEEK_HOLE; the kernel does the others itself. */
void mfs_snapshot_op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
			   struct fuse_file_info *fi)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);
	off_t found;

	(void)fi;
	if (!mfs_snapshot_begin(req, node))
		return;
	found = mfs_snapshot_image_seek(node->image, offset, whence);
	if (found < 0)
		mfs_reply(req, (int)found);
	else
		fuse_reply_lseek(req, found);
	mfs_snapshot_end(node);
}

/* --- ioctls */

static int do_image(const struct mfs *fs, const struct mfs_snapshot_node *node,
		    struct mfs_control_snapshot_image *message)
{
	unsigned int block_shift = bmf_source_block_shift(fs->source);
	uint64_t size = (uint64_t)node->st.st_size;
	int map_fd = -1;
	int r = mfs_snapshot_image_share(node->image, &map_fd);

	if (r < 0)
		return r;
	*message = (struct mfs_control_snapshot_image){
		.version = MFS_CONTROL_VERSION,
		.block_shift = block_shift,
		.image_fd = mfs_snapshot_image_fd(node->image),
		.map_fd = map_fd,
		.status_fd = mfs_snapshot_status_fd(node->snapshot),
		.nblocks = (size >> block_shift) + ((size & ((1u << block_shift) - 1)) != 0),
		.size = size,
	};
	return 0;
}

static int do_release(const struct mfs_snapshot_node *node,
		      const struct mfs_control_snapshot_release *message)
{
	if (message->offset > UINT64_MAX - message->nbytes)
		return -EINVAL;
	mfs_snapshot_image_release(node->image, message->offset, message->nbytes);
	return 0;
}

static int carry_out(const struct mfs *fs, const struct mfs_snapshot_node *node, unsigned int cmd,
		     union mfs_control_message *message)
{
	switch (cmd) {
	case MFS_CONTROL_SNAPSHOT_IMAGE:
		return do_image(fs, node, &message->snapshot_image);
	case MFS_CONTROL_SNAPSHOT_RELEASE:
		return do_release(node, &message->snapshot_release);
	default: /* MFS_CONTROL_SUSPECT: is_known() let no other in */
		return mfs_control_suspect(fs, mfs_snapshot_image_fd(node->image));
	}
}

static bool is_known(unsigned int cmd)
{
	return cmd == MFS_CONTROL_SNAPSHOT_IMAGE || cmd == MFS_CONTROL_SNAPSHOT_RELEASE ||
	       cmd == MFS_CONTROL_SUSPECT;
}

void mfs_snapshot_op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
			   struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
			   size_t in_nbytes, size_t out_nbytes)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);
	union mfs_control_message message;
	int r = -ENOTTY;

	(void)arg;
	(void)fi;
	if (S_ISREG(node->st.st_mode) && is_known(cmd))
		r = mfs_control_receive(req, cmd, flags, in_buf, in_nbytes, out_nbytes, &message);
	if (r < 0) {
		mfs_reply(req, r);
	} else if (mfs_snapshot_begin(req, node)) {
		r = carry_out(mfs_of(req), node, cmd, &message);
		mfs_snapshot_end(node);
		mfs_control_reply(req, r, &message, out_nbytes);
	}
}
