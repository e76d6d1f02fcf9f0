/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollover.c - a new checkpoint of a source while it is in use, and the snapshot of it
 *
 *   1  names and metadata are held up, and the tree is read           (only with a snapshot)
 *   2  the gate is closed: no write is in flight
 *   3  the new generation begins; sizes and times are taken again, and writers see the snapshot
 *   4  gate and names are open again
 *   5  the checkpoint becomes durable (bitmapfile/rollover.c, R2 to R5)
 *
 * So the snapshot and the generation begin at the same instant, for all images.  What takes
 * time in proportion to the number of files is in 1, where guests' writes go on, but for one
 * fstat for each image that is in use in 3.
 */
#include "config.h"

#include "fs/rollover.h"

#include "fs/fs.h"
#include "fs/log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

/*
 * How long a checkpoint may hold up all writers, or all changes of names, because one of them
 * does not come back from its storage (I3).
 */
#define HOLD_TIMEOUT_MS 2000

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Who waits for it may thaw what was frozen. */
static void note_instant(struct mfs *fs, const struct bmf_uuid *token)
{
	pthread_mutex_lock(&fs->instant_lock);
	fs->instant = *token;
	pthread_mutex_unlock(&fs->instant_lock);
}

/* 2 and 3; snapshot may be NULL. */
static int begin_generation(struct mfs *fs, struct mfs_snapshot *snapshot,
			    struct mfs_control_commit *message)
{
	uint64_t start = monotonic_ns();
	int r = mfs_gate_close(&fs->gate, HOLD_TIMEOUT_MS);

	if (r < 0) {
		mfs_log(LOG_WARNING, "make checkpoint: given up, a write took over %d ms",
			HOLD_TIMEOUT_MS);
		return r;
	}
	if (snapshot)
		r = mfs_snapshot_publish(fs, snapshot);
	if (r == 0)
		bmf_source_advance(fs->source);
	mfs_gate_open(&fs->gate);
	message->gate_ns = monotonic_ns() - start;
	note_instant(fs, &message->token);
	return r;
}

/* Others wait behind us while we wait for a change of names that hangs: not for long (I3). */
static int hold_names(struct mfs *fs)
{
	struct timespec until;
	int r;

	/* the clock of the day: ThreadSanitizer knows of no lock that waits by the other one */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HOLD_TIMEOUT_MS / 1000;
	r = -pthread_rwlock_timedwrlock(&fs->namespace, &until);
	if (r < 0)
		mfs_log(LOG_WARNING,
			"make checkpoint: given up, a change of a name took over %d ms",
			HOLD_TIMEOUT_MS);
	return r;
}

/* 1 to 4 */
static int begin_with_snapshot(struct mfs *fs, struct mfs_handle *owner,
			       struct mfs_control_commit *message, struct mfs_snapshot **ret)
{
	const struct mfs_snapshot_request request = {
		.name = message->name[0] ? message->name : NULL,
		.from = message->from,
		.whole = message->whole,
		.nwhole = message->nwhole,
		.owner = message->flags & MFS_COMMIT_OWNED ? owner : NULL,
	};
	uint64_t start = monotonic_ns();
	struct bmf_error err;
	int r;

	/* first, so that what broken ones kept is no part of the limit any more */
	mfs_snapshots_keep(fs);
	r = hold_names(fs);
	if (r < 0)
		return r;
	r = mfs_snapshot_new(fs, &request, ret, &err);
	if (r == 0)
		r = begin_generation(fs, *ret, message);
	else if (r != -EEXIST && r != -EINVAL)
		mfs_log(LOG_ERR, "%s", err.text);
	pthread_rwlock_unlock(&fs->namespace);
	message->names_ns = monotonic_ns() - start;
	return r;
}

/* 5 */
static int commit(struct mfs *fs, struct mfs_control_commit *message, struct bmf_commit *ret)
{
	const char *label = message->label[0] ? message->label : NULL;
	struct bmf_error err;
	int r = bmf_source_commit(fs->source, &message->replica, label, ret, &err);

	if (r < 0)
		mfs_log(LOG_ERR, "%s", err.text);
	return r;
}

static void answer(struct mfs_control_commit *message, const struct bmf_commit *commit)
{
	message->number = commit->checkpoint.number;
	message->uuid = commit->checkpoint.uuid;
	message->time_ns = commit->checkpoint.time_ns;
	message->images = commit->images;
	message->adopted = commit->adopted;
	message->untrackable = commit->untrackable;
}

static void keep_snapshot(struct mfs *fs, struct mfs_handle *owner,
			  struct mfs_control_commit *message, struct mfs_snapshot *snapshot,
			  const struct bmf_checkpoint *checkpoint)
{
	snprintf(message->name, sizeof(message->name), "%s", mfs_snapshot_name(snapshot));
	if (message->flags & MFS_COMMIT_OWNED)
		owner->owns_snapshots = true;
	mfs_snapshot_settle(fs, snapshot, checkpoint);
}

int mfs_rollover(struct mfs *fs, struct mfs_handle *owner, struct mfs_control_commit *message)
{
	struct mfs_snapshot *snapshot = NULL;
	struct bmf_commit made = { 0 };
	int r;

	pthread_mutex_lock(&fs->rollover);
	if (message->flags & MFS_COMMIT_HOLD)
		r = begin_with_snapshot(fs, owner, message, &snapshot);
	else
		r = begin_generation(fs, NULL, message);
	if (r == 0)
		r = commit(fs, message, &made);
	pthread_mutex_unlock(&fs->rollover);
	if (r == 0) {
		answer(message, &made);
		if (snapshot)
			keep_snapshot(fs, owner, message, snapshot, &made.checkpoint);
	} else if (snapshot) {
		mfs_snapshot_discard(fs, snapshot);
	}
	return r;
}
