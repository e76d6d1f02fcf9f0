/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep.c - the upkeep of trackers between rollovers
 *
 * Every pass takes each tracker one step towards rest: regions that nobody has
 * touched since the last pass are disarmed; an image that nobody has open and to
 * which nothing has happened since then gets a clean sidecar; a tracker that is
 * clean and without users leaves memory.  What could not be noted of a failed fsync is
 * tried again.
 */
#include "config.h"

#include "bitmapfile/tracker_internal.h"

#include <errno.h>
#include <stdlib.h>

static void clean_tracker(struct bmf_tracker *t)
{
	int r = bmf_tracker_sync_image(t);

	if (r < 0)
		return;
	pthread_mutex_lock(&t->lock);
	r = bmf_tracker_clean_locked(t);
	if (r < 0 && r != -EAGAIN)
		bmf_source_notice(t->source, t, "save sidecar: %s", bmf_errno_text(r));
	pthread_mutex_unlock(&t->lock);
}

static void keep_tracker(struct bmf_tracker *t)
{
	bool clean = false;

	/* a stamp that is taken now would not be the image's, should a crash bring it back */
	if (atomic_load(&t->unlinked))
		return;
	pthread_mutex_lock(&t->lock);
	bmf_tracker_note_doubt_locked(t);
	if (atomic_load(&t->mode) == BMF_MODE_TRACKED &&
	    (atomic_load(&t->in_use) || atomic_load(&t->unsaved))) {
		bool was_active =
			atomic_exchange(&t->active, false) || !bmf_bits_is_empty(t->touched);

		clean = !was_active && atomic_load(&t->openers) == 0;
		if (!clean)
			bmf_tracker_disarm_locked(t);
	}
	pthread_mutex_unlock(&t->lock);
	if (clean)
		clean_tracker(t);
}

/* May the tracker leave memory?  With table_lock held, and no other user. */
static bool is_at_rest(struct bmf_tracker *t)
{
	if (atomic_load(&t->unlinked)) /* but a checkpoint that is being made may have it yet */
		return !atomic_load(&t->source->committing) || !bmf_tracker_needs_save(t);
	if (atomic_load(&t->failed))
		return false; /* the error sticks to the image */
	if (atomic_load(&t->mode) == BMF_MODE_TRACKED)
		return !atomic_load(&t->in_use) && !atomic_load(&t->unsaved) &&
		       !(atomic_load(&t->folded) && atomic_load(&t->source->committing));
	/*
	 * An untracked one holds bits that matter only from a rollover until it is
	 * adopted at the end of that.
	 */
	return !atomic_load(&t->source->committing);
}

/*
 * Need it wait for bmf_source_keep()?  One of a file that no checkpoint knows has
 * nothing to save, one that is saved has nothing more, and there may be very many of both.
 * Others, whose sidecar is lost, keep their reason until they are adopted.
 */
static bool may_go_at_once(struct bmf_tracker *t)
{
	if (atomic_load(&t->unlinked) || !is_at_rest(t))
		return false;
	return !t->loaded || atomic_load(&t->mode) == BMF_MODE_TRACKED ||
	       (!t->has_id && t->reason == BMF_REASON_NEW);
}

void bmf_tracker_put(struct bmf_tracker *t)
{
	struct bmf_tracker *dropped = NULL;

	if (!t)
		return;
	pthread_mutex_lock(&t->source->table_lock);
	if (--t->refs == 0 && may_go_at_once(t)) {
		bmf_source_unlist_locked(t->source, t);
		dropped = t;
	}
	pthread_mutex_unlock(&t->source->table_lock);
	bmf_tracker_free(dropped);
}

/* Takes one tracker at rest out of the table; NULL when there is none. */
static struct bmf_tracker *take_resting(struct bmf_source *s, size_t bucket)
{
	struct bmf_tracker *t;

	pthread_mutex_lock(&s->table_lock);
	t = s->table[bucket];
	while (t && (t->refs > 0 || !is_at_rest(t)))
		t = t->next;
	if (t)
		bmf_source_unlist_locked(s, t);
	pthread_mutex_unlock(&s->table_lock);
	return t;
}

void bmf_source_keep(struct bmf_source *s)
{
	struct bmf_tracker **all;
	size_t n;

	bmf_source_renew(s);
	if (bmf_source_collect(s, &all, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		keep_tracker(all[i]);
		bmf_tracker_put(all[i]);
	}
	free(all);

	for (size_t bucket = 0; bucket < BMF_TABLE_BUCKETS; bucket++) {
		struct bmf_tracker *t;

		while ((t = take_resting(s, bucket)) != NULL)
			bmf_tracker_free(t);
	}
}
