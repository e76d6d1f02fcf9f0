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
#include "fs/log.h"
#include "fs/ops.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * How long a checkpoint may hold up all writers because one of them does not come back
 * from its storage (I3).
 */
#define GATE_TIMEOUT_MS 2000

union message {
	uint32_t version; /* comes first in all of them */
	struct mfs_control_info info;
	struct mfs_control_commit commit;
	struct mfs_control_arrived arrived;
	struct mfs_control_flush flush;
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* NULL for an empty one: nothing is known of where the replica is. */
static const char *label_of(const char label[MFS_CONTROL_LABEL])
{
	return label[0] ? label : NULL;
}

static bool is_terminated(const char label[MFS_CONTROL_LABEL])
{
	return memchr(label, '\0', MFS_CONTROL_LABEL) != NULL;
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

static int commit_locked(struct mfs *fs, struct mfs_control_commit *message)
{
	struct bmf_commit commit;
	struct bmf_error err;
	uint64_t start, gate_ns;
	int r;

	start = monotonic_ns();
	r = mfs_gate_close(&fs->gate, GATE_TIMEOUT_MS);
	if (r < 0) {
		mfs_log(LOG_WARNING, "make checkpoint: a write has been in flight for %d ms",
			GATE_TIMEOUT_MS);
		return r;
	}
	bmf_source_advance(fs->source);
	mfs_gate_open(&fs->gate);
	gate_ns = monotonic_ns() - start;

	r = bmf_source_commit(fs->source, &message->replica, label_of(message->label), &commit,
			      &err);
	if (r < 0) {
		mfs_log(LOG_ERR, "%s", mfs_reason_of(&err));
		return r;
	}
	message->number = commit.checkpoint.number;
	message->uuid = commit.checkpoint.uuid;
	message->time_ns = commit.checkpoint.time_ns;
	message->gate_ns = gate_ns;
	message->images = commit.images;
	message->adopted = commit.adopted;
	message->untrackable = commit.untrackable;
	return 0;
}

static int do_commit(struct mfs *fs, struct mfs_control_commit *message)
{
	int r;

	if (!is_terminated(message->label))
		return -EINVAL;
	pthread_mutex_lock(&fs->rollover);
	r = commit_locked(fs, message);
	pthread_mutex_unlock(&fs->rollover);
	return r;
}

static int do_arrived(struct mfs *fs, const struct mfs_control_arrived *message)
{
	struct bmf_checkpoint checkpoint = { .number = message->number, .uuid = message->uuid };

	if (!is_terminated(message->label))
		return -EINVAL;
	return bmf_source_arrived(fs->source, &message->replica, &checkpoint,
				  label_of(message->label));
}

static int carry_out(struct mfs *fs, unsigned int cmd, union message *message)
{
	if (!fs->source && cmd != MFS_CONTROL_INFO)
		return -EROFS;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) && message->version != MFS_CONTROL_VERSION)
		return -EPROTONOSUPPORT;
	switch (cmd) {
	case MFS_CONTROL_INFO:
		return do_info(fs, &message->info);
	case MFS_CONTROL_COMMIT:
		return do_commit(fs, &message->commit);
	case MFS_CONTROL_ARRIVED:
		return do_arrived(fs, &message->arrived);
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
	       cmd == MFS_CONTROL_FLUSH;
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
	(void)fi;
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
	r = carry_out(mfs_of(req), cmd, &message);
	if (r < 0)
		mfs_reply(req, r);
	else
		fuse_reply_ioctl(req, 0, &message, out_nbytes);
}
