/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollover.c - a new checkpoint of a whole source
 *
 *   R1  advance: the generation moves on in memory; no write is in flight
 *   R2  the state with the new checkpoint becomes durable: the atomic point
 *   R3  the sidecars of the images that changed before R1 are saved
 *   R4  images without a history get an id and a sidecar that begins at R1
 *       (all are seen, also those whose names move meanwhile: visit_all)
 *   R5  sidecars whose image is gone are removed, but those of images that went since R1
 *   R6  the replica arrives: its cursor moves, the state becomes durable
 *
 * What a crash leaves:
 *   before R2   the old generation goes on.  Writes since R1 lie in regions that
 *               are armed, or their bits were saved under the old number.
 *   before R3   a checkpoint that no replica is at.  An image's bits of the old generation
 *               are lost as far as they weren't saved, but the regions are armed,
 *               and count for the old generation and the new one.
 *   before R4   images without sidecar: all dirty.
 *   before R6   the replica knows better than the source where it is, and says so
 *               at the next sync.
 *
 * R4 may call an image unchanged since R1 that has no tracker in memory: a
 * write would have made one, and `committing` keeps those from leaving.
 */
#include "config.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/tracker_internal.h"
#include "bitmapfile/walk.h"

#include <errno.h>
#include <stdlib.h>

/* Walks of the tree at most, the last of them with moves held up. */
#define WALKS_MAX 4

void bmf_source_advance(struct bmf_source *s)
{
	/* before the generation moves: see R4 at the top */
	atomic_store(&s->committing, true);
	atomic_fetch_add(&s->generation, 1);
}

uint64_t bmf_source_generation(struct bmf_source *s)
{
	return atomic_load(&s->generation);
}

void bmf_source_move_begin(struct bmf_source *s)
{
	pthread_rwlock_rdlock(&s->moves_lock);
	atomic_fetch_add(&s->moves.begun, 1);
}

void bmf_source_move_end(struct bmf_source *s)
{
	atomic_fetch_add(&s->moves.ended, 1);
	pthread_rwlock_unlock(&s->moves_lock);
}

struct bmf_moves bmf_source_moves(struct bmf_source *s)
{
	/* the ended ones first: never more than have begun */
	uint64_t ended = atomic_load(&s->moves.ended);

	return (struct bmf_moves){ .begun = atomic_load(&s->moves.begun), .ended = ended };
}

static int set_label(struct bmf_cursor *cursor, const char *label)
{
	char *copy;

	if (!label)
		return 0;
	copy = strdup(label);
	if (!copy)
		return -ENOMEM;
	free(cursor->label);
	cursor->label = copy;
	return 0;
}

/* Makes `next` the state, durably; takes it over in any case. */
static int replace_state(struct bmf_source *s, struct bmf_state *next)
{
	struct bmf_state *old;
	int r = bmf_store_save_state(s->store, next);

	if (r < 0) {
		bmf_state_free(next);
		return r;
	}
	pthread_mutex_lock(&s->state_lock);
	old = s->state;
	s->state = next;
	pthread_mutex_unlock(&s->state_lock);
	bmf_state_free(old);
	return 0;
}

/* What a change of cursors comes to: the state without what nobody needs, or the error r. */
static int settle_state(struct bmf_source *s, struct bmf_state *next, int r)
{
	if (r < 0) {
		bmf_state_free(next);
		return r;
	}
	bmf_state_trim(next);
	return replace_state(s, next);
}

/* R2 */
static int commit_state(struct bmf_source *s, const struct bmf_uuid *replica, const char *label,
			struct bmf_checkpoint *ret)
{
	struct bmf_state *next = NULL;
	struct bmf_cursor *cursor;
	struct bmf_uuid uuid;
	int r;

	r = bmf_source_state(s, &next);
	if (r < 0)
		return r;
	/* an earlier commit that failed has used up numbers in memory */
	next->generation = atomic_load(&s->generation) - 1;
	r = bmf_uuid_generate(&uuid);
	if (r == 0)
		r = bmf_state_add_checkpoint(next, &uuid, s->io->now_ns(s->io), ret);
	if (r == 0 && replica && !bmf_uuid_is_none(replica)) {
		r = bmf_state_cursor_get_or_add(next, replica, &cursor);
		if (r == 0) {
			cursor->pending = ret->number;
			r = set_label(cursor, label);
		}
	}
	r = settle_state(s, next, r);
	if (r == 0)
		atomic_store(&s->durable_generation, ret->number);
	return r;
}

/* R3, and flush: everything that readers of the sidecars would miss. */
static int save_unsaved(struct bmf_source *s)
{
	struct bmf_tracker **all;
	int r, result = 0;
	size_t n;

	r = bmf_source_collect(s, &all, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct bmf_tracker *t = all[i];

		pthread_mutex_lock(&t->lock);
		if (bmf_tracker_needs_save(t)) {
			r = bmf_tracker_save_locked(t, BMF_SAVE_IN_USE, 0, 0);
			if (r < 0 && result == 0)
				result = r;
		}
		pthread_mutex_unlock(&t->lock);
		bmf_tracker_put(t);
	}
	free(all);
	return result;
}

struct adoption {
	struct bmf_source *source;
	struct bmf_commit *commit;
	struct bmf_error *err;
	bool leftovers_only;   /* no adoption: not at a checkpoint */
	int64_t later_than_ns; /* then: only those that were changed later */
	struct bmf_state *state;
	struct bmf_ids seen; /* of all images */
};

static int ids_add(struct bmf_ids *ids, const struct bmf_uuid *id)
{
	if (ids->n == ids->capacity) {
		size_t capacity = ids->capacity ? ids->capacity * 2 : 256;
		struct bmf_uuid *grown = realloc(ids->ids, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		ids->ids = grown;
		ids->capacity = capacity;
	}
	ids->ids[ids->n++] = *id;
	return 0;
}

static void ids_clear(struct bmf_ids *ids)
{
	free(ids->ids);
	*ids = (struct bmf_ids){ 0 };
}

enum settled {
	UNKNOWN,  /* there is no history */
	LEFTOVER, /* there is, but for what a crash left armed */
	SETTLED,  /* all that a reader needs is in the sidecar: no tracker need be made */
};

/* Of an image that has no tracker: one of these, or an error that tells nothing of it. */
static int look_at(struct adoption *a, int fd, struct bmf_uuid *ret_id)
{
	struct bmf_history history;
	enum settled found = UNKNOWN;
	int r;

	r = bmf_history_load(a->source->store, a->state, fd, a->source->crashed_at, 0, &history,
			     NULL);
	if (r < 0)
		return r;
	if (history.reason == BMF_REASON_NONE)
		found = history.sidecar->in_use ? LEFTOVER : SETTLED;
	*ret_id = history.id;
	bmf_history_destroy(&history);
	return (int)found;
}

/*
 * Makes its sidecar tell all that changed before R1, as what a crash left armed is in no bits until
 * somebody loads it (I1).  Where every image has been seen, R3 sees to that.
 */
static bool settle(struct bmf_source *s, int fd)
{
	struct bmf_tracker *t;
	int r = 0;

	if (atomic_load(&s->leftovers_gone))
		return true;
	if (bmf_source_track(s, fd, &t) < 0)
		return false;
	pthread_mutex_lock(&t->lock);
	if (bmf_tracker_needs_save(t))
		r = bmf_tracker_save_locked(t, BMF_SAVE_IN_USE, 0, 0);
	pthread_mutex_unlock(&t->lock);
	bmf_tracker_put(t);
	return r == 0;
}

void bmf_source_unlinking(struct bmf_source *s, int fd)
{
	struct bmf_uuid id;

	if (!atomic_load(&s->committing) || bmf_identity_read(s->io, fd, &id) < 0 || !settle(s, fd))
		return;
	pthread_mutex_lock(&s->table_lock);
	ids_add(&s->spared, &id);
	pthread_mutex_unlock(&s->table_lock);
}

/* Only at a checkpoint: what an adopted image was at it is what the new history starts from. */
static bool may_adopt(const struct adoption *a, struct bmf_tracker *t)
{
	return !a->leftovers_only && atomic_load(&t->mode) == BMF_MODE_UNTRACKED;
}

static int adopt(struct adoption *a, struct bmf_tracker *t)
{
	bool synced;
	int r;

	pthread_mutex_lock(&t->lock);
	r = bmf_tracker_identify_locked(t);
	pthread_mutex_unlock(&t->lock);
	if (r < 0) {
		a->commit->untrackable++;
		return 0;
	}
	synced = bmf_tracker_sync_image(t) == 0;
	pthread_mutex_lock(&t->lock);
	if (may_adopt(a, t)) {
		r = bmf_tracker_adopt_locked(t);
		if (r < 0)
			a->commit->untrackable++; /* all dirty, until a later rollover */
		else
			a->commit->adopted++;
		if (r != -ENOMEM)
			r = 0;
	} else if (bmf_tracker_needs_save(t)) {
		/* it came out of a crash just now; unless somebody uses it that is over */
		r = -EAGAIN;
		if (synced && atomic_load(&t->openers) == 0 && !atomic_load(&t->active))
			r = bmf_tracker_clean_locked(t);
		if (r == -EAGAIN)
			r = bmf_tracker_save_locked(t, BMF_SAVE_IN_USE, 0, 0);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int visit_image(const struct bmf_walk_entry *entry, void *arg)
{
	struct adoption *a = arg;
	struct bmf_tracker *t;
	struct bmf_uuid id;
	int r;

	if (!S_ISREG(entry->st->st_mode))
		return 0;
	if (a->leftovers_only && bmf_stamp_time(&entry->st->st_ctim) <= a->later_than_ns)
		return 0;
	a->commit->images++;
	if (!bmf_source_has(a->source, entry->st)) {
		r = look_at(a, entry->fd, &id);
		if (r == SETTLED)
			return ids_add(&a->seen, &id);
		if (r == UNKNOWN && a->leftovers_only)
			return 0;
	} else if (a->leftovers_only) {
		return 0;
	}

	r = bmf_source_track(a->source, entry->fd, &t);
	if (r < 0)
		return bmf_error_set(a->err, r, "track '%s': %s", entry->path, bmf_errno_text(r));
	if (may_adopt(a, t) || bmf_tracker_needs_save(t))
		r = adopt(a, t);
	pthread_mutex_lock(&t->lock);
	if (r == 0 && t->has_id)
		r = ids_add(&a->seen, &t->id);
	pthread_mutex_unlock(&t->lock);
	bmf_tracker_put(t);
	return r;
}

static int compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct bmf_uuid));
}

/* Trackers are in use by names that the walk may have missed while they moved. */
static int note_tracked(struct adoption *a)
{
	struct bmf_tracker **all;
	size_t n;
	int r = bmf_source_collect(a->source, &all, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		pthread_mutex_lock(&all[i]->lock);
		if (r == 0 && all[i]->has_id && !atomic_load(&all[i]->unlinked))
			r = ids_add(&a->seen, &all[i]->id);
		pthread_mutex_unlock(&all[i]->lock);
		bmf_tracker_put(all[i]);
	}
	free(all);
	return r;
}

/* The checkpoint has them yet, and its snapshot's readers need their bits. */
static int note_spared(struct adoption *a)
{
	struct bmf_source *s = a->source;
	int r = 0;

	pthread_mutex_lock(&s->table_lock);
	for (size_t i = 0; r == 0 && i < s->spared.n; i++)
		r = ids_add(&a->seen, &s->spared.ids[i]);
	pthread_mutex_unlock(&s->table_lock);
	return r;
}

static int remove_if_unseen(const struct bmf_uuid *image, void *arg)
{
	struct adoption *a = arg;

	if (a->seen.n == 0 ||
	    !bsearch(image, a->seen.ids, a->seen.n, sizeof(*image), compare_uuids))
		bmf_store_remove_sidecar(a->source->store, image);
	return 0;
}

/*
 * Sees every image.  One whose name moves may not be found, and a sidecar that
 * nobody has looked at after a crash would be read as if all were well (I1).  So the walk is
 * repeated until nothing has moved meanwhile; if need be, with moves held up: by then
 * there is nothing left to do but to look.
 */
static int visit_all(struct adoption *a, struct bmf_error *err)
{
	struct bmf_source *s = a->source;

	for (int attempt = 1;; attempt++) {
		bool hold = attempt == WALKS_MAX, still;
		struct bmf_moves before;
		int r;

		if (hold)
			pthread_rwlock_wrlock(&s->moves_lock);
		a->commit->images = a->commit->untrackable = 0;
		a->seen.n = 0;
		before = bmf_source_moves(s);
		r = bmf_walk(s->io, s->store->source_fd, visit_image, a, err);
		still = bmf_source_moves(s).begun == before.ended;
		if (hold)
			pthread_rwlock_unlock(&s->moves_lock);
		if (r < 0)
			return r;
		if (still || hold)
			return 0;
	}
}

/* R4 and R5 */
static int adopt_all(struct bmf_source *s, struct bmf_commit *commit, struct bmf_error *err)
{
	struct adoption a = { .source = s, .commit = commit, .err = err };
	int r;

	r = bmf_source_state(s, &a.state);
	if (r == 0)
		r = visit_all(&a, err);
	if (r == 0) {
		atomic_store(&s->leftovers_gone, true);
		r = bmf_store_sync_names(s->store);
	}
	if (r == 0 && note_tracked(&a) == 0 && note_spared(&a) == 0) {
		if (a.seen.n > 0)
			qsort(a.seen.ids, a.seen.n, sizeof(*a.seen.ids), compare_uuids);
		/* what can't be removed now will be another time */
		bmf_store_each_sidecar(s->store, remove_if_unseen, &a);
	}
	bmf_state_free(a.state);
	ids_clear(&a.seen);
	return r;
}

int bmf_source_commit(struct bmf_source *s, const struct bmf_uuid *replica, const char *label,
		      struct bmf_commit *ret, struct bmf_error *err)
{
	struct bmf_commit commit = { 0 };
	int r;

	pthread_mutex_lock(&s->rollover_lock);
	r = commit_state(s, replica, label, &commit.checkpoint);
	if (r < 0)
		bmf_error_set(err, r, "save state: %s", bmf_errno_text(r));
	if (r == 0) {
		r = save_unsaved(s);
		if (r < 0)
			bmf_error_set(err, r, "save sidecars: %s", bmf_errno_text(r));
	}
	if (r == 0) {
		struct bmf_error why = { 0 };

		r = adopt_all(s, &commit, &why);
		if (r < 0)
			bmf_error_set(err, r, "%s", why.code ? why.text : bmf_errno_text(r));
	}
	atomic_store(&s->committing, false);
	pthread_mutex_lock(&s->table_lock);
	ids_clear(&s->spared);
	pthread_mutex_unlock(&s->table_lock);
	pthread_mutex_unlock(&s->rollover_lock);
	if (r == 0)
		*ret = commit;
	return r;
}

/* What a crash left armed is in no tracker's bits, until somebody uses the image. */
int bmf_source_settle_locked(struct bmf_source *s, int64_t later_than_ns)
{
	struct bmf_commit commit = { 0 };
	struct adoption a = { .source = s,
			      .commit = &commit,
			      .leftovers_only = true,
			      .later_than_ns = later_than_ns };
	int r = bmf_source_state(s, &a.state);

	if (r == 0)
		r = visit_all(&a, NULL);
	bmf_state_free(a.state);
	ids_clear(&a.seen);
	return r;
}

int bmf_source_flush(struct bmf_source *s)
{
	int r;

	pthread_mutex_lock(&s->rollover_lock);
	/* the leftovers first: the walk passes by what a guest has opened meanwhile */
	r = atomic_load(&s->leftovers_gone) ? 0 : bmf_source_settle_locked(s, INT64_MIN);
	if (r == 0)
		r = save_unsaved(s);
	if (r == 0)
		atomic_store(&s->leftovers_gone, true);
	pthread_mutex_unlock(&s->rollover_lock);
	return r;
}

int bmf_source_arrived(struct bmf_source *s, const struct bmf_uuid *replica,
		       const struct bmf_checkpoint *checkpoint, const char *label)
{
	const struct bmf_checkpoint *known;
	struct bmf_state *next = NULL;
	struct bmf_cursor *cursor;
	int r;

	pthread_mutex_lock(&s->rollover_lock);
	r = bmf_source_state(s, &next);
	if (r == 0) {
		known = bmf_state_checkpoint(next, checkpoint->number);
		if (!known || !bmf_uuid_equal(&known->uuid, &checkpoint->uuid))
			r = -ENOENT;
	}
	if (r == 0)
		r = bmf_state_cursor_get_or_add(next, replica, &cursor);
	if (r == 0)
		r = set_label(cursor, label);
	if (r == 0) {
		cursor->at = checkpoint->number;
		if (cursor->pending <= cursor->at)
			cursor->pending = 0;
		cursor->time_ns = s->io->now_ns(s->io);
	}
	r = settle_state(s, next, r);
	pthread_mutex_unlock(&s->rollover_lock);
	return r;
}

int bmf_source_forget(struct bmf_source *s, const struct bmf_uuid *replica)
{
	struct bmf_state *next = NULL;
	int r;

	pthread_mutex_lock(&s->rollover_lock);
	r = bmf_source_state(s, &next);
	if (r == 0)
		r = bmf_state_forget(next, replica);
	r = settle_state(s, next, r);
	pthread_mutex_unlock(&s->rollover_lock);
	return r;
}

int bmf_source_name(struct bmf_source *s, const struct bmf_checkpoint *checkpoint, const char *name)
{
	struct bmf_state *next = NULL;
	int r;

	pthread_mutex_lock(&s->rollover_lock);
	r = bmf_source_state(s, &next);
	if (r == 0)
		r = bmf_state_name(next, checkpoint, name);
	r = settle_state(s, next, r);
	pthread_mutex_unlock(&s->rollover_lock);
	return r;
}
