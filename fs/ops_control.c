/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ops_control.c - the requests of mirrorctl: ioctls on the live tree, mostly its root (control.h)
 */
#include "config.h"

#include "fs/control_message.h"
#include "fs/ops_snapshot.h"
#include "fs/rollover.h"
#include "fs/snapshot_image.h"
#include "fs/switchover.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
		.flags = (fs->source ? 0 : MFS_INFO_READ_ONLY) |
			 (fs->notrack ? MFS_INFO_NOTRACK : 0) |
			 (mfs_seal_is_sealed(&fs->seal) ? MFS_INFO_SEALED : 0),
	};
	pthread_mutex_lock(&fs->instant_lock);
	info->instant = fs->instant;
	pthread_mutex_unlock(&fs->instant_lock);
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

static int do_checkpoint_name(struct mfs *fs, const struct mfs_control_checkpoint_name *message)
{
	struct bmf_checkpoint checkpoint = { .number = message->number, .uuid = message->uuid };

	if (!is_terminated(message->name, sizeof(message->name)))
		return -EINVAL;
	return bmf_source_name(fs->source, &checkpoint, message->name[0] ? message->name : NULL);
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

static void list_images(const struct mfs *fs, const struct mfs_snapshot_tree *tree,
			struct mfs_control_snapshot_images *message)
{
	uint64_t i = message->next;

	message->n = 0;
	for (; i < tree->nnodes && message->n < MFS_CONTROL_IMAGES; i++) {
		const struct mfs_snapshot_node *node = tree->nodes[i];
		bool has_xattrs = node->nxattrs > 0 || node->xattr_error != 0;

		if (!node->image)
			continue;
		message->listed[message->n++] = (struct mfs_control_listed){
			.inode = mfs_snapshot_attributes(fs, node).st_ino,
			.image_fd = mfs_snapshot_image_fd(node->image),
			.flags = has_xattrs ? 0 : MFS_LISTED_NO_XATTRS,
		};
	}
	message->next = i < tree->nnodes ? i : 0;
}

static int do_snapshot_images(struct mfs *fs, struct mfs_control_snapshot_images *message)
{
	struct mfs_snapshot *snapshot;
	int r = -ENOENT;

	if (!is_terminated(message->name, sizeof(message->name)))
		return -EINVAL;
	snapshot = mfs_snapshot_get(fs, message->name);
	if (!snapshot)
		return -ENOENT;
	if (mfs_snapshot_use(snapshot)) {
		list_images(fs, mfs_snapshot_tree(snapshot), message);
		mfs_snapshot_unuse(snapshot);
		r = 0;
	}
	mfs_snapshot_unref(snapshot, 1);
	return r;
}

static int carry_out(struct mfs *fs, struct mfs_handle *handle, pid_t process, unsigned int cmd,
		     union mfs_control_message *message)
{
	if (!fs->source && cmd != MFS_CONTROL_INFO)
		return -EROFS;
	if (fs->notrack && cmd != MFS_CONTROL_INFO)
		return -EOPNOTSUPP; /* a checkpoint would promise what nobody keeps (I1) */
	switch (cmd) {
	case MFS_CONTROL_INFO:
		return do_info(fs, &message->info);
	case MFS_CONTROL_COMMIT:
		return do_commit(fs, handle, &message->commit);
	case MFS_CONTROL_ARRIVED:
		return do_arrived(fs, &message->arrived);
	case MFS_CONTROL_FORGET:
		return bmf_source_forget(fs->source, &message->forget.replica);
	case MFS_CONTROL_CHECKPOINT_NAME:
		return do_checkpoint_name(fs, &message->checkpoint_name);
	case MFS_CONTROL_HOLD:
		return mfs_switchover_hold(fs, handle, process, &message->hold);
	case MFS_CONTROL_SEAL:
		return mfs_switchover_seal(fs, handle, &message->seal);
	case MFS_CONTROL_SNAPSHOT_DELETE:
		return do_snapshot_delete(fs, &message->snapshot_delete);
	case MFS_CONTROL_SNAPSHOT_INFO:
		return do_snapshot_info(fs, &message->snapshot_info);
	case MFS_CONTROL_SNAPSHOT_IMAGES:
		return do_snapshot_images(fs, &message->snapshot_images);
	default: /* MFS_CONTROL_FLUSH: is_known() let no other in */
		return bmf_source_flush(fs->source);
	}
}

static bool is_known(unsigned int cmd)
{
	return cmd == MFS_CONTROL_INFO || cmd == MFS_CONTROL_COMMIT || cmd == MFS_CONTROL_ARRIVED ||
	       cmd == MFS_CONTROL_FORGET || cmd == MFS_CONTROL_HOLD || cmd == MFS_CONTROL_SEAL ||
	       cmd == MFS_CONTROL_FLUSH || cmd == MFS_CONTROL_CHECKPOINT_NAME ||
	       cmd == MFS_CONTROL_SNAPSHOT_DELETE || cmd == MFS_CONTROL_SNAPSHOT_INFO ||
	       cmd == MFS_CONTROL_SNAPSHOT_IMAGES;
}

void mfs_op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		  struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
		  size_t in_nbytes, size_t out_nbytes)
{
	struct mfs *fs = mfs_of(req);
	const struct mfs_node *node = mfs_node_of(fs, ino);
	bool suspect = cmd == MFS_CONTROL_SUSPECT && S_ISREG(node->type);
	union mfs_control_message message;
	int r = -ENOTTY;

	(void)arg;
	if (suspect || (ino == FUSE_ROOT_ID && is_known(cmd)))
		r = mfs_control_receive(req, cmd, flags, in_buf, in_nbytes, out_nbytes, &message);
	if (r == 0)
		r = suspect ? mfs_control_suspect(fs, node->fd)
			    : carry_out(fs, mfs_handle_of(fi), fuse_req_ctx(req)->pid, cmd,
					&message);
	mfs_control_reply(req, r, &message, out_nbytes);
}
