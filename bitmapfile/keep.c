/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep.c - the upkeep of trackers between rollovers
 *
 * Every pass takes each tracker one step towards rest: regions that nobody has
 * touched since the last pass are disarmed; an image that nobody has open and to
 * which nothing has happened since then gets a clean sidecar; a tracker that is
 * clean and without users leaves memory.
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
		bmf_source_notice(t->source, t, "save sidecar: %s", strerror(-r));
	pthread_mutex_unlock(&t->lock);
}

static void keep_tracker(struct bmf_tracker *t)
{
	bool clean = false;

	pthread_mutex_lock(&t->lock);
	if (atomic_load(&t->mode) == BMF_MODE_TRACKED &&
	    (atomic_load(&t->in_use) || atomic_load(&t->unsaved))) {
		bool was_active = atomic_exchange(&t->active, false) ||
				  !bmf_bits_is_empty(t->touched);

		clean = !was_active && atomic_load(&t->openers) == 0;
		if (!clean)
			bmf_tracker_disarm_locked(t);
	}
	pthread_mutex_unlock(&t->lock);
	if (clean)
		clean_tracker(t);
}

/* May the tracker leave memory?  With table_lock held, and no other user. */
static bool is_at_rest(const struct bmf_tracker *t)
{
	struct bmf_tracker *u = (struct bmf_tracker *)t;

	if (atomic_load(&u->unlinked))
		return true;
	if (atomic_load(&u->failed))
		return false; /* the error sticks to the image */
	if (atomic_load(&u->mode) == BMF_MODE_TRACKED)
		return !atomic_load(&u->in_use) && !atomic_load(&u->unsaved);
	/*
	 * An untracked one holds bits that matter only from a rollover until it is
	 * adopted at the end of that.
	 */
	return !atomic_load(&u->source->committing);
}

static void unlink_from_table(struct bmf_source *s, struct bmf_tracker **link)
{
	struct bmf_tracker *t = *link;

	*link = t->next;
	s->ntrackers--;
}

/* Takes one tracker at rest out of the table; NULL when there is none. */
static struct bmf_tracker *take_resting(struct bmf_source *s, size_t bucket)
{
	struct bmf_tracker *found = NULL;

	pthread_mutex_lock(&s->table_lock);
	for (struct bmf_tracker **link = &s->table[bucket]; *link; link = &(*link)->next)
		if ((*link)->refs == 0 && is_at_rest(*link)) {
			found = *link;
			unlink_from_table(s, link);
			break;
		}
	pthread_mutex_unlock(&s->table_lock);
	return found;
}

void bmf_source_keep(struct bmf_source *s)
{
	struct bmf_tracker **all;
	size_t n;

	if (bmf_source_collect(s, &all, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		keep_tracker(all[i]);
		bmf_tracker_put(all[i]);
	}
	free(all);

	for (size_t bucket = 0; bucket < BMF_TABLE_BUCKETS; bucket++) {
		struct bmf_tracker *t;

		while ((t = take_resting(s, bucket)) != NULL) {
			if (atomic_load(&t->unlinked) && t->has_id)
				bmf_store_remove_sidecar(s->store, &t->id);
			bmf_tracker_free(t);
		}
	}
}
