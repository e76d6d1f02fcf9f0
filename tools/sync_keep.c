/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync_keep.c - what a sync with --keep does for older checkpoints of its replica
 *
 * Before anything is changed, the checkpoint that the replica is at gets its tree, if a sync
 * that was killed after it was complete couldn't give it one.  When the replica is complete at
 * the new one, that gets its own, and what is older than the last N is let go of.
 */
#include "config.h"

#include "tools/checkpoints.h"
#include "tools/clone.h"
#include "tools/fail.h"
#include "tools/sync_internal.h"

#include <errno.h>
#include <unistd.h>

/* Of the checkpoint that the replica is at; when it got there, if the source has let go of it. */
static int64_t time_of(const struct sync *s, const struct bmf_state *state)
{
	const struct manifest *manifest = &s->replica.manifest;

	if (!sync_knows(state, manifest))
		return manifest->time_ns;
	return bmf_state_checkpoint(state, manifest->checkpoint)->time_ns;
}

static int read_kept(const struct sync *s, struct checkpoints *ret)
{
	return checkpoints_read(s->replica.fd, s->replica.path, &s->replica.manifest.replica, false,
				ret, s->err);
}

static int keep_current(struct sync *s, const struct bmf_state *state, int fd)
{
	const struct manifest *manifest = &s->replica.manifest;
	struct checkpoints kept;
	bool there;
	int r = read_kept(s, &kept);

	if (r < 0)
		return r;
	there = checkpoints_tree(&kept, &manifest->checkpoint_uuid);
	checkpoints_destroy(&kept);
	return there ? 0 : checkpoints_keep(&s->replica, fd, time_of(s, state), s->err);
}

/* Has the sync before this one ended without its tree?  What is in doubt is no checkpoint. */
static int make_up(struct sync *s, const struct bmf_state *state, int fd)
{
	const struct manifest *manifest = &s->replica.manifest;

	if (!manifest->complete || manifest->checkpoint == 0 ||
	    checkpoints_touched(&s->replica, s->dest))
		return 0;
	return keep_current(s, state, fd);
}

static int begin(struct sync *s, const struct bmf_state *state, int fd, bool clones)
{
	s->keep_trees = clones && s->options->keep > 0;
	if (s->keep_trees)
		return make_up(s, state, fd);
	if (s->options->keep == 0)
		return 0;
	s->result->refused = true;
	return fail_text(s->err, -EOPNOTSUPP, "keep checkpoints of", s->replica.path, NULL,
			 "its filesystem has no reflinks; sync without --keep");
}

int sync_keep_begin(struct sync *s, const struct bmf_state *state)
{
	int r, fd;

	if (!s->options->keeps || s->options->dry_run)
		return 0;
	fd = checkpoints_open(&s->replica, s->err);
	if (fd < 0)
		return fd;
	r = checkpoints_clean(&s->replica, fd, s->err);
	if (r == 0) {
		r = clone_works(fd);
		if (r < 0)
			fail_errno(s->err, r, "clone in", s->replica.path, NULL);
	}
	if (r >= 0)
		r = begin(s, state, fd, r == 1);
	close(fd);
	return r;
}

/* The newest first, and whatever its age the one that the replica is at. */
static int prune(struct sync *s, int fd)
{
	uint64_t left = s->options->keep;
	struct checkpoints kept;
	int r = read_kept(s, &kept);

	if (r < 0)
		return r;
	if (left > 0 && checkpoints_tree(&kept, &s->replica.manifest.checkpoint_uuid))
		left--;
	for (size_t i = 0; r == 0 && i < kept.n; i++) {
		const struct checkpoint *checkpoint = &kept.items[i];

		if (s->options->keep > 0 &&
		    bmf_uuid_equal(&checkpoint->uuid, &s->replica.manifest.checkpoint_uuid))
			continue;
		if (left > 0)
			left--;
		else
			r = checkpoints_remove(&s->replica, fd, checkpoint, s->err);
	}
	checkpoints_destroy(&kept);
	return r;
}

int sync_keep_end(struct sync *s, const struct bmf_state *state)
{
	int r = 0, fd;

	if (!s->options->keeps)
		return 0;
	fd = checkpoints_open(&s->replica, s->err);
	if (fd < 0)
		return fd;
	if (s->keep_trees)
		r = keep_current(s, state, fd);
	if (r == 0)
		r = prune(s, fd);
	close(fd);
	return r;
}
