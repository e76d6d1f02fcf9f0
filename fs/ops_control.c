/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops_control.c - the requests of mirrorctl: ioctls on the root directory (control.h)
 *
 * Whoever can open the root directory can send anything: sizes, versions and strings
 * are checked before use.
 */
#include "config.h"

#include "bitmapfile/tracker.h"
#include "fs/control.h"
#include "fs/image.h"
#include "fs/ops.h"
#include "fs/rollover.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

union message {
	uint32_t version; /* comes first in all of them */
	struct mfs_control_info info;
	struct mfs_control_commit commit;
	struct mfs_control_arrived arrived;
	struct mfs_control_flush flush;
	struct mfs_control_snapshot_delete snapshot_delete;
	struct mfs_control_snapshot_info snapshot_info;
};

/* NULL for an empty one: nothing is known of where the replica is. */
static const char *label_of(const char label[MFS_CONTROL_LABEL])
{
	return label[0] ? label : NULL;
}

static bool is_terminated(const char *text, size_t room)
{
	return memchr(text, '\0', room) != NULL;
}

static int add_tracking(struct mfs *fs, struct mfs_control_info *info)
{
	struct bmf_moves moves = bmf_source_moves(fs->source);
	struct bmf_state *state;
	int r;

	r = bmf_source_state(fs->source, &state);
	if (r < 0)
		return r;
	info->block_shift = state->block_shift;
	info->source = state->source;
	info->generation = state->generation;
	info->moves_begun = moves.begun;
	info->moves_ended = moves.ended;
	bmf_state_free(state);
	return 0;
}

static int do_info(struct mfs *fs, struct mfs_control_info *info)
{
	struct stat st;

	if (fstat(fs->source_fd, &st) < 0)
		return -errno;
	*info = (struct mfs_control_info){
		.version = MFS_CONTROL_VERSION,
		.pid = getpid(),
		.source_fd = fs->source_fd,
		.source_dev = st.st_dev,
		.source_ino = st.st_ino,
		.flags = fs->source ? 0 : MFS_INFO_READ_ONLY,
	};
	return fs->source ? add_tracking(fs, info) : 0;
}

static int do_commit(struct mfs *fs, struct mfs_handle *handle, struct mfs_control_commit *message)
{
	if (!is_terminated(message->label, sizeof(message->label)) ||
	    !is_terminated(message->name, sizeof(message->name)) ||
	    (message->flags & ~(MFS_COMMIT_HOLD | MFS_COMMIT_OWNED)) != 0 ||
	    message->nwhole > MFS_CONTROL_WHOLE)
		return -EINVAL;
	return mfs_rollover(fs, handle, message);
}

static int do_arrived(struct mfs *fs, const struct mfs_control_arrived *message)
{
	struct bmf_checkpoint checkpoint = { .number = message->number, .uuid = message->uuid };

	if (!is_terminated(message->label, sizeof(message->label)))
		return -EINVAL;
	return bmf_source_arrived(fs->source, &message->replica, &checkpoint,
				  label_of(message->label));
}

static int do_snapshot_delete(struct mfs *fs, const struct mfs_control_snapshot_delete *message)
{
	if (!is_terminated(message->name, sizeof(message->name)))
		return -EINVAL;
	return mfs_snapshot_delete(fs, message->name);
}

static int do_snapshot_info(struct mfs *fs, struct mfs_control_snapshot_info *message)
{
	if (!is_terminated(message->name, sizeof(message->name)))
		return -EINVAL;
	return mfs_snapshot_info(fs, message);
}

static int carry_out(struct mfs *fs, struct mfs_handle *handle, unsigned int cmd,
		     union message *message)
{
	if (!fs->source && cmd != MFS_CONTROL_INFO)
		return -EROFS;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) && message->version != MFS_CONTROL_VERSION)
		return -EPROTONOSUPPORT;
	switch (cmd) {
	case MFS_CONTROL_INFO:
		return do_info(fs, &message->info);
	case MFS_CONTROL_COMMIT:
		return do_commit(fs, handle, &message->commit);
	case MFS_CONTROL_ARRIVED:
		return do_arrived(fs, &message->arrived);
	case MFS_CONTROL_SNAPSHOT_DELETE:
		return do_snapshot_delete(fs, &message->snapshot_delete);
	case MFS_CONTROL_SNAPSHOT_INFO:
		return do_snapshot_info(fs, &message->snapshot_info);
	default: /* MFS_CONTROL_FLUSH: is_known() let no other in */
		return bmf_source_flush(fs->source);
	}
}

/* mirrorctl's fsync of that image has failed: to its guest it is as if its own had. */
static int suspect(fuse_req_t req, fuse_ino_t ino)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *node = mfs_node_of(fs, ino);
	uid_t uid = fuse_req_ctx(req)->uid;
	struct bmf_tracker *tracker;
	int r;

	if (!S_ISREG(node->type))
		return -ENOTTY;
	if (uid != 0 && uid != geteuid())
		return -EPERM;
	r = mfs_image_track(fs, node, &tracker);
	if (r < 0)
		return r;
	bmf_tracker_fail(tracker, -EIO);
	bmf_tracker_put(tracker);
	return 0;
}

static bool is_known(unsigned int cmd)
{
	return cmd == MFS_CONTROL_INFO || cmd == MFS_CONTROL_COMMIT || cmd == MFS_CONTROL_ARRIVED ||
	       cmd == MFS_CONTROL_FLUSH || cmd == MFS_CONTROL_SNAPSHOT_DELETE ||
	       cmd == MFS_CONTROL_SNAPSHOT_INFO;
}

void mfs_op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		  struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
		  size_t in_nbytes, size_t out_nbytes)
{
	size_t in_expected = _IOC_DIR(cmd) & _IOC_WRITE ? _IOC_SIZE(cmd) : 0;
	size_t out_expected = _IOC_DIR(cmd) & _IOC_READ ? _IOC_SIZE(cmd) : 0;
	uid_t uid = fuse_req_ctx(req)->uid;
	union message message;
	int r;

	(void)arg;
	if (cmd == MFS_CONTROL_SUSPECT) {
		mfs_reply(req, suspect(req, ino));
		return;
	}
	if (ino != FUSE_ROOT_ID || !is_known(cmd) || (flags & FUSE_IOCTL_COMPAT)) {
		mfs_reply(req, -ENOTTY);
		return;
	}
	if (uid != 0 && uid != geteuid()) {
		mfs_reply(req, -EPERM);
		return;
	}
	if (in_nbytes != in_expected || out_nbytes != out_expected) {
		mfs_reply(req, -EINVAL);
		return;
	}
	memset(&message, 0, sizeof(message));
	if (in_nbytes > 0)
		memcpy(&message, in_buf, in_nbytes);
	r = carry_out(mfs_of(req), mfs_handle_of(fi), cmd, &message);
	if (r < 0)
		mfs_reply(req, r);
	else
		fuse_reply_ioctl(req, 0, &message, out_nbytes);
}
