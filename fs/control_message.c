/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control_message.c - what all ioctls of control.h go through */
#include "config.h"

#include "fs/control_message.h"

#include "bitmapfile/tracker.h"
#include "fs/ops.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int mfs_control_receive(fuse_req_t req, unsigned int cmd, unsigned int flags, const void *in_buf,
			size_t in_nbytes, size_t out_nbytes, union mfs_control_message *ret)
{
	size_t in_expected = _IOC_DIR(cmd) & _IOC_WRITE ? _IOC_SIZE(cmd) : 0;
	size_t out_expected = _IOC_DIR(cmd) & _IOC_READ ? _IOC_SIZE(cmd) : 0;
	uid_t uid = fuse_req_ctx(req)->uid;

	if (flags & FUSE_IOCTL_COMPAT)
		return -ENOTTY;
	if (uid != 0 && uid != geteuid())
		return -EPERM;
	if (in_nbytes != in_expected || out_nbytes != out_expected)
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	if (in_nbytes > 0)
		memcpy(ret, in_buf, in_nbytes);
	return in_nbytes > 0 && ret->version != MFS_CONTROL_VERSION ? -EPROTONOSUPPORT : 0;
}

void mfs_control_reply(fuse_req_t req, int r, const union mfs_control_message *message,
		       size_t out_nbytes)
{
	if (r < 0)
		mfs_reply(req, r);
	else
		fuse_reply_ioctl(req, 0, message, out_nbytes);
}

int mfs_control_suspect(const struct mfs *fs, int fd)
{
	struct bmf_tracker *tracker;
	int r;

	if (!fs->source)
		return -EROFS;
	r = bmf_source_track(fs->source, fd, &tracker);
	if (r < 0)
		return r;
	bmf_tracker_fail(tracker, -EIO);
	bmf_tracker_put(tracker);
	return 0;
}
