/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_message.h - what all ioctls of control.h go through
 *
 * Whoever can open a file or the root directory can send anything: who, sizes and versions are
 * checked here; strings and numbers are left to those who use them.
 */
#ifndef FS_CONTROL_MESSAGE_H
#define FS_CONTROL_MESSAGE_H

#include "fs/control.h"

#include <fuse_lowlevel.h>

struct mfs;

union mfs_control_message {
	uint32_t version; /* comes first in all of them */
	struct mfs_control_info info;
	struct mfs_control_commit commit;
	struct mfs_control_arrived arrived;
	struct mfs_control_forget forget;
	struct mfs_control_checkpoint_name checkpoint_name;
	struct mfs_control_flush flush;
	struct mfs_control_hold hold;
	struct mfs_control_seal seal;
	struct mfs_control_snapshot_delete snapshot_delete;
	struct mfs_control_snapshot_info snapshot_info;
	struct mfs_control_snapshot_images snapshot_images;
	struct mfs_control_snapshot_image snapshot_image;
	struct mfs_control_snapshot_release snapshot_release;
};

/*
 * Takes what came with a request whose cmd is known; what did not come is zero.  0, -ENOTTY,
 * -EPERM, -EINVAL, or -EPROTONOSUPPORT: not answered yet.
 */
int mfs_control_receive(fuse_req_t req, unsigned int cmd, unsigned int flags, const void *in_buf,
			size_t in_nbytes, size_t out_nbytes, union mfs_control_message *ret);

/* Answers: an error when r is a negative errno, else the message. */
void mfs_control_reply(fuse_req_t req, int r, const union mfs_control_message *message,
		       size_t out_nbytes);

/*
 * Carries out MFS_CONTROL_SUSPECT for the image that fd (O_PATH will do) is open on: to its
 * guest it is as if its own fsync had failed.  0 or -errno.
 */
int mfs_control_suspect(const struct mfs *fs, int fd);

#endif
