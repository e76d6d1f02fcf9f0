/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot.c - read-only views of the whole source at a checkpoint
 *
 *   NEW ──► LISTED ──► LEAVING ──► GONE
 *
 * NEW: being made; nobody finds it by its name, which is taken all the same.  LEAVING: deleted,
 * and broken with it, but writers that were in the gate may be using its images.  GONE:
 * they aren't; the kernel may still know of its nodes.
 *
 * Writers get at the snapshots by a list that is never changed, only replaced: by publish()
 * while the gate is closed, by delete() with the gate drained before anything is freed.
 *
 * What an image's writers and the preserving thread meet is told through
 * mfs_snapshot_failed_image(), which only sets a flag and a text: it is called in the gate, and
 * while a file of preserve.c is in use. The space is given back later, by mfs_snapshots_keep().
 */
#include "config.h"

#include "fs/snapshot_internal.h"

#include "fs/dentries.h"
#include "fs/fs.h"
#include "fs/log.h"
#include "fs/preserve.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A write that hangs in its storage lets a deleted snapshot stay for a while longer. */
#define DRAIN_TIMEOUT_MS 2000

/* --- breaking */

static void break_snapshot(struct mfs_snapshot *s, int error, const char *reason)
{
	int32_t whole = 0;

	pthread_mutex_lock(&s->lock);
	/* the reason first: who sees that it is broken may ask for it */
	if (!s->reason[0])
		snprintf(s->reason, sizeof(s->reason), "%s", reason);
	pthread_mutex_unlock(&s->lock);
	if (atomic_compare_exchange_strong(s->common.broken, &whole, error) && error != -ESTALE)
		mfs_log(LOG_WARNING, "keep snapshot '%s': %s; it is broken, guests go on", s->name,
			reason);
}

static const char *reason_of(int error)
{
	switch (error) {
	case -E2BIG:
		return "-o preserve_limit is reached";
	case -ENOSPC:
		return "the disk is full, or the rest of it is kept for guests";
	case -ETIMEDOUT:
		return "a guest would have had to wait for longer than -o preserve_timeout";
	default:
		return mfs_reason(error);
	}
}

void mfs_snapshot_failed_image(void *arg, const struct mfs_snapshot_image *image, int error,
			       const char *verb)
{
	struct mfs_snapshot *s = arg;
	char path[PATH_MAX], reason[MFS_CONTROL_REASON];
	ssize_t n =
		readlink(mfs_proc_path(mfs_snapshot_image_fd(image)).text, path, sizeof(path) - 1);

	if (atomic_load(s->common.broken) != 0)
		return;
	path[n > 0 ? n : 0] = '\0';
	snprintf(reason, sizeof(reason), "%s '%.300s': %s", verb, path, reason_of(error));
	for (char *c = reason; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = '?'; /* one line, whatever an image is called */
	break_snapshot(s, error, reason);
}

/* --- freeing */

/* What requests need; the nodes themselves stay. */
static void free_content(struct mfs_snapshot *s)
{
	if (!s->tree)
		return;
	for (size_t i = 0; i < s->tree->nnodes; i++) {
		mfs_snapshot_image_close(s->tree->nodes[i]->image);
		s->tree->nodes[i]->image = NULL;
	}
	mfs_snapshot_tree_strip(s->tree);
}

void mfs_snapshot_free(struct mfs_snapshot *s)
{
	free_content(s);
	mfs_snapshot_tree_free(s->tree);
	free(s->retired);
	if (s->common.broken)
		munmap((void *)s->common.broken, sizeof(*s->common.broken));
	if (s->status_fd >= 0)
		close(s->status_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct mfs_snapshot *mfs_snapshot_find_locked(struct mfs *fs, const char *name)
{
	struct mfs_snapshot *s = fs->snapshots.first;

	while (s && (s->stage > LISTED || strcmp(s->name, name) != 0))
		s = s->next;
	return s;
}

int mfs_snapshots_open_preserve_locked(struct mfs *fs)
{
	const struct mfs_preserve_options options = {
		.limit_nbytes = fs->snapshots.preserve_limit,
		.failed = mfs_snapshot_image_preserve_failed,
	};
	struct mfs_snapshots *snapshots = &fs->snapshots;

	if (snapshots->preserve)
		return 0;
	return mfs_preserve_open(fs->io, bmf_source_dir_fd(fs->source), &options,
				 &snapshots->preserve);
}

void mfs_snapshot_settle(struct mfs *fs, struct mfs_snapshot *s,
			 const struct bmf_checkpoint *checkpoint)
{
	pthread_mutex_lock(&fs->snapshots.lock);
	s->checkpoint = *checkpoint;
	s->stage = LISTED;
	pthread_mutex_unlock(&fs->snapshots.lock);
}

/* --- letting go */

/* Nobody writes for it any more: its images go with the last request that reads them. */
static void images_gone(struct mfs_snapshot *s)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	s->gone = true;
	last = s->users == 0;
	pthread_mutex_unlock(&s->lock);
	if (last)
		free_content(s);
}

/* Of one that is LEAVING.  0, or why it has to be tried again later. */
static int let_go_locked(struct mfs *fs, struct mfs_snapshot *s)
{
	struct mfs_snapshots *snapshots = &fs->snapshots;
	struct mfs_snapshot_list *old;
	bool hidden;
	int r;

	pthread_mutex_lock(&snapshots->lock);
	hidden = mfs_snapshot_hide_locked(snapshots, s, &old);
	pthread_mutex_unlock(&snapshots->lock);
	if (!hidden)
		return -ENOMEM;
	if (old)
		s->retired = old;
	r = mfs_gate_drain(&fs->gate, DRAIN_TIMEOUT_MS);
	if (r < 0)
		return r;
	free(s->retired);
	s->retired = NULL;
	pthread_mutex_lock(&snapshots->lock);
	s->stage = GONE;
	pthread_mutex_unlock(&snapshots->lock);
	images_gone(s);
	mfs_snapshot_unref(s, 1);
	return 0;
}

/* Lets go of all that are LEAVING. */
static void let_go(struct mfs *fs)
{
	struct mfs_snapshots *snapshots = &fs->snapshots;
	struct mfs_snapshot *s;
	int r = 0;

	pthread_mutex_lock(&snapshots->going);
	while (r == 0) {
		pthread_mutex_lock(&snapshots->lock);
		for (s = snapshots->first; s && s->stage != LEAVING;)
			s = s->next;
		pthread_mutex_unlock(&snapshots->lock);
		if (!s)
			break;
		r = let_go_locked(fs, s);
	}
	pthread_mutex_unlock(&snapshots->going);
}

static void leave_locked(struct mfs_snapshot *s)
{
	s->stage = LEAVING;
	mfs_dentries_drop(s->fs->dentries, s->name);
	break_snapshot(s, -ESTALE, "it was deleted"); /* writers need not preserve any more */
}

void mfs_snapshot_discard(struct mfs *fs, struct mfs_snapshot *s)
{
	pthread_mutex_lock(&fs->snapshots.lock);
	leave_locked(s);
	pthread_mutex_unlock(&fs->snapshots.lock);
	let_go(fs);
}

int mfs_snapshot_delete(struct mfs *fs, const char *name)
{
	struct mfs_snapshot *s;

	pthread_mutex_lock(&fs->snapshots.lock);
	s = mfs_snapshot_find_locked(fs, name);
	if (s && s->stage == LISTED)
		leave_locked(s);
	else
		s = NULL;
	pthread_mutex_unlock(&fs->snapshots.lock);
	if (!s)
		return -ENOENT;
	let_go(fs);
	return 0;
}

void mfs_snapshots_disown(struct mfs *fs, const struct mfs_handle *owner)
{
	bool found = false;

	pthread_mutex_lock(&fs->snapshots.lock);
	for (struct mfs_snapshot *s = fs->snapshots.first; s; s = s->next)
		if (s->owner == owner && s->stage == LISTED) {
			leave_locked(s);
			found = true;
		}
	pthread_mutex_unlock(&fs->snapshots.lock);
	if (found)
		let_go(fs);
}

/* --- references */

void mfs_snapshot_ref(struct mfs_snapshot *s, uint64_t n)
{
	atomic_fetch_add(&s->refs, n);
}

void mfs_snapshot_unref(struct mfs_snapshot *s, uint64_t n)
{
	struct mfs_snapshots *snapshots = &s->fs->snapshots;
	struct mfs_snapshot **link = &snapshots->first;

	if (!s || atomic_fetch_sub(&s->refs, n) > n)
		return;
	pthread_mutex_lock(&snapshots->lock);
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	pthread_mutex_unlock(&snapshots->lock);
	mfs_snapshot_free(s);
}

bool mfs_snapshot_use(struct mfs_snapshot *s)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	ok = !s->gone;
	if (ok) {
		s->users++;
		mfs_snapshot_ref(s, 1);
	}
	pthread_mutex_unlock(&s->lock);
	return ok;
}

void mfs_snapshot_unuse(struct mfs_snapshot *s)
{
	bool last;

	pthread_mutex_lock(&s->lock);
	last = --s->users == 0 && s->gone;
	pthread_mutex_unlock(&s->lock);
	if (last)
		free_content(s);
	mfs_snapshot_unref(s, 1);
}

/* --- looking */

struct mfs_snapshot *mfs_snapshot_get(struct mfs *fs, const char *name)
{
	struct mfs_snapshot *s;

	pthread_mutex_lock(&fs->snapshots.lock);
	s = mfs_snapshot_find_locked(fs, name);
	if (s && s->stage == LISTED)
		mfs_snapshot_ref(s, 1);
	else
		s = NULL;
	pthread_mutex_unlock(&fs->snapshots.lock);
	return s;
}

struct mfs_snapshot *mfs_snapshot_next(struct mfs *fs, struct mfs_snapshot *after)
{
	struct mfs_snapshot *s;

	pthread_mutex_lock(&fs->snapshots.lock);
	s = after ? after->next : fs->snapshots.first;
	while (s && s->stage != LISTED)
		s = s->next;
	if (s)
		mfs_snapshot_ref(s, 1);
	pthread_mutex_unlock(&fs->snapshots.lock);
	if (after)
		mfs_snapshot_unref(after, 1);
	return s;
}

static uint64_t preserved_nbytes(const struct mfs_snapshot *s)
{
	uint64_t nbytes = 0;

	for (size_t i = 0; i < s->tree->nnodes; i++)
		if (s->tree->nodes[i]->image)
			nbytes += mfs_snapshot_image_preserved(s->tree->nodes[i]->image);
	return nbytes;
}

int mfs_snapshot_info(struct mfs *fs, struct mfs_control_snapshot_info *ret)
{
	struct mfs_snapshot *s = mfs_snapshot_get(fs, ret->name);

	if (!s)
		return -ENOENT;
	ret->owned = s->owner != NULL;
	ret->number = s->checkpoint.number;
	ret->uuid = s->checkpoint.uuid;
	ret->time_ns = s->checkpoint.time_ns;
	ret->images = s->images;
	ret->preserved = 0;
	if (mfs_snapshot_use(s)) {
		ret->preserved = preserved_nbytes(s);
		mfs_snapshot_unuse(s);
	}
	ret->broken = atomic_load(s->common.broken);
	ret->reason[0] = '\0';
	if (ret->broken) {
		pthread_mutex_lock(&s->lock);
		memcpy(ret->reason, s->reason, sizeof(ret->reason));
		pthread_mutex_unlock(&s->lock);
	}
	mfs_snapshot_unref(s, 1);
	return 0;
}

struct mfs_snapshot_node *mfs_snapshot_top(struct mfs_snapshot *s)
{
	return s->tree->nodes[0];
}

const struct mfs_snapshot_tree *mfs_snapshot_tree(const struct mfs_snapshot *s)
{
	return s->tree;
}

uint64_t mfs_snapshot_id(const struct mfs_snapshot *s)
{
	return s->id;
}

const char *mfs_snapshot_name(const struct mfs_snapshot *s)
{
	return s->name;
}

int mfs_snapshot_status_fd(const struct mfs_snapshot *s)
{
	return s->status_fd;
}

/* --- all of them */

/* One that is broken, also by being deleted, and still has what it preserved; in use, or NULL. */
static struct mfs_snapshot *use_next_broken(struct mfs *fs)
{
	struct mfs_snapshot *s;

	pthread_mutex_lock(&fs->snapshots.lock);
	for (s = fs->snapshots.first; s; s = s->next) {
		if (s->discarded || s->stage == NEW || atomic_load(s->common.broken) == 0)
			continue;
		s->discarded = true;
		if (mfs_snapshot_use(s))
			break;
	}
	pthread_mutex_unlock(&fs->snapshots.lock);
	return s;
}

void mfs_snapshots_keep(struct mfs *fs)
{
	struct mfs_snapshot *s;

	let_go(fs);
	while ((s = use_next_broken(fs))) {
		for (size_t i = 0; i < s->tree->nnodes; i++)
			if (s->tree->nodes[i]->image)
				mfs_snapshot_image_discard(s->tree->nodes[i]->image);
		mfs_snapshot_unuse(s);
	}
}

void mfs_snapshots_open(struct mfs *fs, const struct mfs_snapshots_options *options)
{
	struct mfs_snapshots *snapshots = &fs->snapshots;
	int r;

	pthread_mutex_init(&snapshots->lock, NULL);
	pthread_mutex_init(&snapshots->going, NULL);
	snapshots->preserve_limit = options->preserve_limit;
	snapshots->timeout_ms = options->preserve_timeout * 1000;
	if (!fs->source)
		return;
	pthread_mutex_lock(&snapshots->lock);
	r = mfs_snapshots_open_preserve_locked(fs);
	pthread_mutex_unlock(&snapshots->lock);
	if (r < 0) /* a full disk is no reason not to serve (I3) */
		mfs_log(LOG_WARNING, "make '%s/preserve': %s; snapshots will try again",
			BMF_STATE_DIR, mfs_reason(r));
}

void mfs_snapshots_close(struct mfs *fs)
{
	struct mfs_snapshots *snapshots = &fs->snapshots;
	struct mfs_snapshot *s;

	free(atomic_load(&snapshots->active));
	while ((s = snapshots->first)) {
		snapshots->first = s->next;
		mfs_snapshot_free(s);
	}
	mfs_preserve_close(snapshots->preserve);
	pthread_mutex_destroy(&snapshots->going);
	pthread_mutex_destroy(&snapshots->lock);
}
