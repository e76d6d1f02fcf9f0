/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync_keep.c - what a sync does for older checkpoints of its replica
 *
 * Trees, where the filesystem has reflinks and --keep is given: before anything is changed, the
 * checkpoint that the replica is at gets its own, if a sync that was killed after it was complete
 * couldn't give it one; when the replica is complete at the new one, that gets its own.
 *
 * Deltas elsewhere: what leads back is staged with the update.  A replica that has such gets one
 * by every sync, also without --keep, because all of them lead through those that come later.
 *
 * In the end what is older than the last N is let go of, and deltas that lead nowhere any more.
 */
#include "config.h"

#include "tools/checkpoints.h"
#include "tools/clone.h"
#include "tools/fail.h"
#include "tools/progress.h"
#include "tools/replica_place.h"
#include "tools/sync_internal.h"
#include "tools/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int64_t sync_time_of(const struct sync *s, const struct bmf_state *state)
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

static bool has_any(const struct sync *s)
{
	return faccessat(s->replica.store->dir_fd, CHECKPOINTS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
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
	if (there)
		return 0;
	progress_enter(PROGRESS_KEEPING);
	return checkpoints_keep(&s->replica, fd, sync_time_of(s, state), s->err);
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

/*
 * Will what is overwritten be wanted?  By this sync's --keep, or by deltas that there are, each of
 * which is worth nothing without those that come after it.
 */
static bool wants_delta(const struct sync *s, const struct checkpoints *kept)
{
	if (s->options->keeps && s->options->keep <= 1)
		return false;
	return (s->options->keeps && !s->keep_trees) ||
	       checkpoints_delta_from(kept, &s->replica.manifest.checkpoint_uuid);
}

/* What is in doubt is no checkpoint, and what leads through it is none any more. */
static void begin_delta(struct sync *s)
{
	const struct manifest *manifest = &s->replica.manifest;
	const char *touched;
	char name[TEXT_NAME];

	if (manifest->checkpoint == 0)
		return;
	touched = checkpoints_touched(&s->replica, s->dest);
	s->keep_delta = manifest->complete && !touched;
	if (!manifest->complete && !manifest_is_seeded(manifest))
		sync_warn(s->result, "older checkpoints are lost: the replica was incomplete");
	else if (touched)
		sync_warn(s->result, "older checkpoints are lost: somebody changed '%s'",
			  text_quote(touched, name, sizeof(name)));
}

static int refuse_in_place(struct sync *s, const char *path)
{
	s->result->refused = true;
	return fail_text(
		s->err, -EOPNOTSUPP, "keep checkpoints of", path, NULL,
		"its filesystem has no reflinks, and a sync in place keeps nothing of what "
		"it overwrites; sync without --in-place, or with --keep 0");
}

int sync_keep_check(struct sync *s, const struct replica *look)
{
	int r, parent = -1;

	if (s->options->dry_run || look->has_manifest || !s->options->in_place ||
	    !s->options->keeps || s->options->keep == 0)
		return 0;
	if (look->fd < 0) {
		parent = replica_place_open_parent(look->path, s->err);
		if (parent < 0)
			return parent;
	}
	r = clone_works(parent < 0 ? look->fd : parent);
	if (parent >= 0)
		close(parent);
	if (r < 0)
		return fail_errno(s->err, r, "clone in", look->path, NULL);
	return r == 1 ? 0 : refuse_in_place(s, look->path);
}

static int begin(struct sync *s, const struct bmf_state *state, int fd)
{
	struct checkpoints kept;
	bool wanted;
	int r;

	if (s->options->keeps && s->options->keep > 0) {
		r = clone_works(fd);
		if (r < 0)
			return fail_errno(s->err, r, "clone in", s->replica.path, NULL);
		s->keep_trees = r == 1;
		if (!s->keep_trees && s->options->in_place)
			return refuse_in_place(s, s->replica.path);
	}
	r = read_kept(s, &kept);
	if (r < 0)
		return r;
	wanted = wants_delta(s, &kept);
	checkpoints_destroy(&kept);
	if (wanted && s->options->in_place)
		return refuse_in_place(s, s->replica.path);
	if (wanted)
		begin_delta(s);
	return s->keep_trees ? make_up(s, state, fd) : 0;
}

int sync_keep_begin(struct sync *s, const struct bmf_state *state)
{
	int r, fd;

	if (s->options->dry_run || (!s->options->keeps && !has_any(s)))
		return 0;
	fd = checkpoints_open(&s->replica, s->err);
	if (fd < 0)
		return fd;
	r = checkpoints_clean(&s->replica, fd, s->err);
	if (r == 0)
		r = begin(s, state, fd);
	close(fd);
	return r;
}

/* Of each kind the newest, and whatever its age the one that the replica is at. */
static bool *choose(const struct sync *s, const struct checkpoints *kept)
{
	const struct bmf_uuid *current = &s->replica.manifest.checkpoint_uuid, *at = current;
	uint64_t trees = s->options->keeps ? s->options->keep : UINT64_MAX, deltas = trees;
	bool *keep = calloc(kept->n + 1, sizeof(*keep));

	for (size_t i = 0; keep && trees > 0 && i < kept->n; i++)
		if (!kept->items[i].is_delta && bmf_uuid_equal(&kept->items[i].uuid, current)) {
			keep[i] = true;
			trees--;
		}
	for (size_t i = 0; keep && i < kept->n; i++)
		if (!kept->items[i].is_delta && !keep[i] && trees > 0) {
			keep[i] = true;
			trees--;
		}
	/* no more than there are: damaged ones might lead in a circle */
	for (size_t i = 0; keep && i < kept->n && deltas > 1; i++, deltas--) {
		const struct checkpoint *delta = checkpoints_delta_from(kept, at);

		if (!delta)
			break;
		keep[delta - kept->items] = true;
		at = &delta->uuid;
	}
	return keep;
}

/* The oldest first: of deltas those are left that lead as far as they did. */
static int prune(struct sync *s, int fd)
{
	struct checkpoints kept;
	int r = read_kept(s, &kept);
	bool *keep;

	if (r < 0)
		return r;
	keep = choose(s, &kept);
	if (!keep)
		r = fail_errno(s->err, -ENOMEM, "clean up", s->replica.path, NULL);
	for (size_t i = kept.n; r == 0 && i > 0; i--)
		if (!keep[i - 1])
			r = checkpoints_remove(&s->replica, fd, &kept.items[i - 1], s->err);
	free(keep);
	checkpoints_destroy(&kept);
	return r;
}

int sync_keep_end(struct sync *s, const struct bmf_state *state)
{
	int r = 0, fd;

	if (!s->options->keeps && !has_any(s))
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
