/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * switchover.c - the last moments of a source, whose guests are to go on from a replica
 *
 *   1  every change waits, and none is in flight            (HOLD)
 *   2  a checkpoint is made, and the replica brought to it  (COMMIT; mirrorctl)
 *   3  the mark becomes durable                             (SEAL)
 *   4  what waits is refused
 *
 * A crash up to 3 leaves a source that goes on, and a replica that is as after any sync; nothing
 * that waited was acknowledged.  After 3 it leaves a source that is sealed at the next mount,
 * whether or not anybody heard of 4.
 */
#include "config.h"

#include "fs/switchover.h"

#include "bitmapfile/seal_mark.h"
#include "fs/fs.h"
#include "fs/log.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void mfs_switchover_begin(struct mfs *fs, const char *source)
{
	struct bmf_error err = { 0 };
	struct bmf_seal seal;
	int r = bmf_seal_load(fs->io, fs->source_fd, &seal, &err);

	if (r == -ENOENT)
		return;
	mfs_seal_begin_sealed(&fs->seal);
	if (r < 0) {
		mfs_log(LOG_WARNING,
			"mount '%s': read-only: %s, so it may have been switched over; if not: "
			"mirrorctl switchover --undo",
			source, err.text);
		return;
	}
	mfs_log(LOG_WARNING,
		"mount '%s': read-only: it was switched over to the replica '%s'; if guests don't "
		"run from there: mirrorctl switchover --undo",
		source, seal.label);
	bmf_seal_destroy(&seal);
}

/* The one that checkpoints have been made up to. */
static int generation_of(struct mfs *fs, uint64_t *ret)
{
	struct bmf_state *state;
	int r = bmf_source_state(fs->source, &state);

	if (r < 0)
		return r;
	*ret = state->generation;
	bmf_state_free(state);
	return 0;
}

/* -1: it is in another namespace, or a thread that isn't its process's first, or this is an old
 * kernel. */
static int open_process(pid_t process)
{
	return process > 0 ? (int)syscall(SYS_pidfd_open, process, 0) : -1;
}

int mfs_switchover_hold(struct mfs *fs, struct mfs_handle *owner, pid_t process,
			const struct mfs_control_hold *message)
{
	int r;

	if (message->timeout_ms > MFS_HOLD_MAX_MS)
		return -EINVAL;
	if (message->timeout_ms == 0) {
		mfs_seal_release(&fs->seal, owner);
		return 0;
	}
	atomic_store(&owner->holds, true);
	/* a checkpoint that is being made has had its instant before */
	pthread_mutex_lock(&fs->rollover);
	r = mfs_seal_hold(&fs->seal, owner, open_process(process), message->timeout_ms);
	if (r == 0) {
		r = generation_of(fs, &owner->held_generation);
		if (r < 0)
			mfs_seal_release(&fs->seal, owner);
	}
	pthread_mutex_unlock(&fs->rollover);
	return r;
}

/* Is it one of ours, and was it made while all was held? */
static int check_checkpoint(struct mfs *fs, const struct mfs_handle *owner,
			    const struct mfs_control_seal *message)
{
	const struct bmf_checkpoint *found;
	struct bmf_state *state;
	int r = bmf_source_state(fs->source, &state);

	if (r < 0)
		return r;
	found = bmf_state_checkpoint(state, message->number);
	if (!found || !bmf_uuid_equal(&found->uuid, &message->uuid) ||
	    message->number <= owner->held_generation)
		r = -ESTALE;
	bmf_state_free(state);
	return r;
}

struct marking {
	struct mfs *fs;
	const struct mfs_handle *owner;
	struct mfs_control_seal *message;
};

static int make_mark(void *arg)
{
	const struct marking *marking = arg;
	struct mfs *fs = marking->fs;
	const struct bmf_seal seal = {
		.replica = marking->message->replica,
		.number = marking->message->number,
		.checkpoint = marking->message->uuid,
		.time_ns = fs->io->now_ns(fs->io),
		.label = marking->message->label,
	};
	int r = check_checkpoint(fs, marking->owner, marking->message);

	if (r < 0)
		return r;
	r = bmf_seal_save(fs->io, fs->source_fd, &seal);
	if (r < 0)
		mfs_log(LOG_ERR, "switch over: make the mark: %s", mfs_reason(r));
	else
		mfs_log(LOG_WARNING, "switched over to the replica '%s': read-only", seal.label);
	return r;
}

static int remove_mark(void *arg)
{
	struct mfs *fs = arg;
	int r = bmf_seal_remove(fs->io, fs->source_fd);

	if (r == -ENOENT) /* it could not even be read */
		r = 0;
	if (r == 0)
		mfs_log(LOG_WARNING, "the switchover was undone: changes go on");
	return r;
}

int mfs_switchover_seal(struct mfs *fs, struct mfs_handle *owner, struct mfs_control_seal *message)
{
	struct marking marking = { .fs = fs, .owner = owner, .message = message };

	if ((message->flags & ~MFS_SEAL_UNDO) != 0 ||
	    !memchr(message->label, '\0', sizeof(message->label)))
		return -EINVAL;
	if (message->flags & MFS_SEAL_UNDO)
		return mfs_seal_open(&fs->seal, remove_mark, fs);
	return mfs_seal_close(&fs->seal, owner, make_mark, &marking);
}
