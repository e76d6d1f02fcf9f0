/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracker_save.c - the disk's half of a tracker: load, save, clean, adopt, give up
 *
 * What is on disk goes through these states; "armed" is the in-place map.
 *
 *   none ----adopt----> in use, nothing armed ----arm----> in use, armed
 *    ^ ^                     ^   |                            |
 *    |  \--give up-----------|---+----------------------------+
 *    |                       |                                |
 *  (all dirty)             clean <-------clean--------- disarm (save)
 *
 * A save begins by rolling the tracker to the source's generation, so that the
 * sidecar holds every bit of the generations that have ended.  While a rollover
 * is in memory only (its state not yet durable), the bits of the new
 * generation are written under the number of the last durable one: that is the
 * generation which a crash would resume.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/identity.h"
#include "bitmapfile/tracker_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static void close_sidecar_fd(struct bmf_tracker *t)
{
	if (t->sidecar_fd >= 0)
		t->source->io->close(t->source->io, t->sidecar_fd);
	t->sidecar_fd = -1;
}

/* Takes the current generation's bits out of a history's last section. */
static struct bmf_bits *detach_current(struct bmf_sidecar *sidecar)
{
	return sidecar->sections[--sidecar->nsections].bits;
}

static void note_reason(struct bmf_tracker *t, const struct bmf_error *err)
{
	switch (t->reason) {
	case BMF_REASON_NONE:
	case BMF_REASON_NEW:
		return;
	case BMF_REASON_DAMAGED:
	case BMF_REASON_VERSION:
	case BMF_REASON_NO_ID:
		bmf_source_notice(t->source, t, "%s, all of it counts as changed: %s",
				  bmf_reason_text(t->reason), err->text);
		return;
	default:
		bmf_source_notice(t->source, t, "%s, all of it counts as changed",
				  bmf_reason_text(t->reason));
	}
}

/*
 * A sidecar that isn't believed now must not be believed later either (I1): from here on
 * the image changes without it being told.  Not so one that says itself that
 * the content is in doubt, and one that belongs to another file.
 */
static int disown_sidecar(struct bmf_tracker *t)
{
	switch (t->reason) {
	case BMF_REASON_NEW:
	case BMF_REASON_MISSING:
	case BMF_REASON_COPIED:
	case BMF_REASON_IO_ERROR:
		return 0;
	default:
		return t->has_id ? bmf_store_remove_sidecar(t->source->store, &t->id) : 0;
	}
}

static int take_history(struct bmf_tracker *t, struct bmf_history *history,
			const struct bmf_error *err)
{
	int r;

	atomic_store(&t->size, history->stamp.size);
	t->reason = history->reason;
	t->has_id = history->has_id && history->reason != BMF_REASON_COPIED;
	t->id = history->id;
	if (!history->sidecar) {
		note_reason(t, err);
		r = disown_sidecar(t);
		if (r < 0)
			bmf_source_notice(t->source, t, "remove sidecar: %s, it can't be opened",
					  bmf_errno_text(r));
		return r;
	}

	t->sidecar = history->sidecar;
	history->sidecar = NULL;
	t->reason = t->sidecar->reason;
	bmf_bits_free(atomic_load(&t->bits));
	atomic_store(&t->generation, t->sidecar->active);
	atomic_store(&t->bits, detach_current(t->sidecar));
	/*
	 * After a crash: what was armed is in the bits now, but not on disk.  There it is in use,
	 * but by a session that vouches for nothing that comes now: so it is saved before that.
	 */
	atomic_store(&t->unsaved, t->sidecar->in_use);
	atomic_store(&t->in_use, false);
	atomic_store(&t->mode, BMF_MODE_TRACKED);
	return 0;
}

int bmf_tracker_load_locked(struct bmf_tracker *t)
{
	struct bmf_source *s = t->source;
	struct bmf_history history;
	struct bmf_state *state = NULL;
	struct bmf_error err = { 0 };
	int r;

	r = bmf_source_state(s, &state);
	if (r == 0) {
		/* the state on disk may be one step behind during a rollover */
		state->generation = atomic_load(&s->generation);
		r = bmf_history_load(s->store, state, t->fd, s->crashed_at, 0, &history, &err);
	}
	bmf_state_free(state);
	if (r == 0) {
		r = take_history(t, &history, &err);
		bmf_history_destroy(&history);
	}
	t->loaded = r == 0;
	return r;
}

/* A section of the document to be written: borrowed bits, or a merged copy. */
static int add_copy(struct bmf_sidecar *doc, uint64_t first, uint64_t last,
		    const struct bmf_bits *bits)
{
	struct bmf_bits *copy = bmf_bits_new();
	int r = copy ? bmf_bits_union_into(copy, bits) : -ENOMEM;

	if (r == 0)
		r = bmf_sidecar_add_section(doc, first, last, copy);
	if (r < 0)
		bmf_bits_free(copy);
	return r;
}

/*
 * Adds a section to the document, under the numbers that the state on disk knows: a
 * generation beyond the durable one goes into the last that is not.  If the image rested up to
 * that, it gets a section of its own, or merging would lead from it into what is before.
 */
static int add_durable(struct bmf_sidecar *doc, uint64_t first, uint64_t last,
		       const struct bmf_bits *bits, uint64_t durable)
{
	struct bmf_section *end;

	if (first <= durable)
		return add_copy(doc, first, last < durable ? last : durable, bits);
	if (doc->nsections == 0) /* adopted in a generation that isn't durable yet */
		return add_copy(doc, durable, durable, bits);
	end = &doc->sections[doc->nsections - 1];
	if (end->first == durable || !bmf_bits_is_empty(end->bits))
		return bmf_bits_union_into(end->bits, bits);
	end->last = durable - 1;
	return add_copy(doc, durable, durable, bits);
}

/* Everything that the tracker knows, as a sidecar of its own. */
static int compose(struct bmf_tracker *t, struct bmf_sidecar **ret)
{
	uint64_t durable = atomic_load(&t->source->durable_generation);
	uint64_t generation = atomic_load(&t->generation);
	struct bmf_sidecar *doc = bmf_sidecar_new();
	int r = 0;

	if (!doc)
		return -ENOMEM;
	doc->image = t->id;
	doc->block_shift = t->source->block_shift;
	doc->region_shift = t->source->region_shift;
	doc->since = t->sidecar->since < durable ? t->sidecar->since : durable;
	doc->active = durable;
	doc->reason = t->reason;
	doc->suspect = t->sidecar->suspect;
	doc->session = t->source->session.id;
	doc->crash_generation = t->sidecar->crash_generation;
	doc->crash_nbytes = t->sidecar->crash_nbytes;
	for (size_t i = 0; r == 0 && i < t->sidecar->nsections; i++)
		r = add_durable(doc, t->sidecar->sections[i].first, t->sidecar->sections[i].last,
				t->sidecar->sections[i].bits, durable);
	if (r == 0)
		r = add_durable(doc, generation, generation, atomic_load(&t->bits), durable);
	if (r < 0) {
		bmf_sidecar_free(doc);
		return r;
	}
	*ret = doc;
	return 0;
}

/* Drops and merges generations, in memory as in the document. */
static int trim(struct bmf_tracker *t, struct bmf_sidecar *doc)
{
	struct bmf_state *state = NULL;
	int r = bmf_source_state(t->source, &state);

	if (r == 0)
		r = bmf_chain_trim(doc, state, NULL);
	if (r == 0)
		doc->source = state->source;
	bmf_state_free(state);
	return r;
}

/*
 * Makes the document's sections, but for the current generation's, those of the
 * tracker.  Not while a rollover is in memory only: then they are numbered otherwise.
 */
static void take_sections(struct bmf_tracker *t, struct bmf_sidecar *doc)
{
	if (doc->active != atomic_load(&t->generation) || doc->nsections == 0 ||
	    doc->sections[doc->nsections - 1].first != doc->active) {
		for (size_t i = 0; i < doc->nsections; i++)
			bmf_bits_free(doc->sections[i].bits);
		free(doc->sections);
		doc->sections = t->sidecar->sections;
		doc->nsections = t->sidecar->nsections;
		doc->since = t->sidecar->since;
		t->sidecar->sections = NULL;
		t->sidecar->nsections = 0;
		return;
	}
	bmf_bits_free(detach_current(doc));
}

/*
 * After a save that failed: does the name still lead to the file that sidecar_fd is open on?  A
 * failing fsync of the directory comes after the rename, and then either may be found later.
 */
static bool old_one_counts(struct bmf_tracker *t)
{
	struct bmf_sidecar *found;
	bool same;

	if (t->sidecar_fd < 0 || bmf_store_load_sidecar(t->source->store, &t->id, &found, NULL) < 0)
		return false;
	same = found->nonce == t->sidecar->nonce;
	bmf_sidecar_free(found);
	return same;
}

int bmf_tracker_save_locked(struct bmf_tracker *t, unsigned int flags, uint64_t arm_first,
			    uint64_t arm_n)
{
	struct bmf_sidecar *doc = NULL;
	bool in_use = flags & BMF_SAVE_IN_USE;
	int r, fd = -1;

	r = bmf_tracker_roll_locked(t);
	if (r < 0)
		return r;

	if (in_use)
		bmf_source_vouch(t->source);
	/* S1 and S2 of tracker.c: the flag before the copy of the bits. */
	atomic_store(&t->unsaved, false);
	r = compose(t, &doc);
	if (r == 0)
		r = trim(t, doc);
	if (r == 0)
		r = bmf_stamp_take(t->source->io, t->fd, &doc->stamp);
	if (r == 0)
		r = bmf_bits_union_into(doc->armed, t->armed);
	if (r == 0)
		r = bmf_bits_set(doc->armed, arm_first, arm_n);
	if (r == 0) {
		doc->in_use = in_use;
		r = bmf_store_save_sidecar(t->source->store, doc, !(flags & BMF_SAVE_LAZY_NAME),
					   &fd);
	}
	if (r < 0) {
		/*
		 * The next arming must reach the sidecar that counts: where it can't be told
		 * which that is, it saves whole.  A full disk has room for arming in place.
		 */
		bmf_sidecar_free(doc);
		if (!old_one_counts(t))
			close_sidecar_fd(t);
		atomic_store(&t->unsaved, true);
		return r;
	}
	/*
	 * Bits that went under an older number must be saved again under their own before
	 * any replica gets to that checkpoint: rollover.c does so in R3.  If the checkpoint
	 * comes to nothing they are where they belong.
	 */
	atomic_store(&t->folded, doc->active != atomic_load(&t->generation));
	t->reason = doc->reason; /* what was dropped has a reason of its own (I4) */
	take_sections(t, doc);
	bmf_sidecar_free(t->sidecar);
	t->sidecar = doc;
	close_sidecar_fd(t);
	t->sidecar_fd = fd;
	t->doubt_unsaved = false;
	atomic_store(&t->in_use, in_use);
	return bmf_bits_set(t->armed, arm_first, arm_n);
}

static int clear_all(struct bmf_bits *bits)
{
	uint64_t from = 0, first, n;

	while (bmf_bits_next(bits, from, BMF_BITS_MAX, &first, &n)) {
		int r = bmf_bits_clear(bits, first, n);

		if (r < 0)
			return r;
		from = first + n;
	}
	return 0;
}

void bmf_tracker_disarm_locked(struct bmf_tracker *t)
{
	struct bmf_bits *before = bmf_bits_new();
	uint64_t from = 0, first, n;
	bool any = false;

	if (!before || bmf_bits_union_into(before, t->armed) < 0) {
		bmf_bits_free(before);
		return;
	}
	while (bmf_bits_next(t->armed, from, BMF_BITS_MAX, &first, &n)) {
		for (uint64_t region = first; region < first + n; region++) {
			if (bmf_bits_test(t->touched, region))
				continue;
			any = bmf_bits_clear(t->armed, region, 1) == 0 || any;
		}
		from = first + n;
	}
	/* a touch between the test and here only costs that region a pass */
	clear_all(t->touched);
	t->armed_lately = 0;
	if (any && bmf_tracker_save_locked(t, BMF_SAVE_IN_USE, 0, 0) < 0) {
		bmf_source_notice(t->source, t, "save sidecar: failed, will be tried again");
		/* they still are in the sidecar that counts: writes there need no disk */
		if (t->sidecar_fd >= 0)
			bmf_bits_union_into(t->armed, before);
	}
	bmf_bits_free(before);
}

int bmf_tracker_sync_image(struct bmf_tracker *t)
{
	const struct bmf_io *io = t->source->io;
	int fd, r;

	fd = io->reopen(io, t->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	r = io->fsync(io, fd);
	io->close(io, fd);
	if (r < 0)
		bmf_tracker_fail(t, r);
	return r;
}

int bmf_tracker_clean_locked(struct bmf_tracker *t)
{
	int r = clear_all(t->armed);
	bool was_in_use;

	if (r < 0)
		return r;
	/*
	 * in_use before the tests: a writer or bmf_tracker_touch() that comes now
	 * finds it cleared and waits for the lock; one that came before is seen here.
	 */
	was_in_use = atomic_exchange(&t->in_use, false);
	r = 0;
	if (atomic_load(&t->active) || atomic_load(&t->openers) > 0)
		r = -EAGAIN;
	if (r == 0)
		r = bmf_tracker_save_locked(t, 0, 0, 0);
	if (r < 0 && was_in_use)
		atomic_store(&t->in_use, true);
	return r;
}

/*
 * Does the id belong to another file by now?  A copy and its original have the same; when
 * neither had a sidecar both were taken for their own when they were loaded.
 */
static bool is_taken(struct bmf_tracker *t)
{
	struct bmf_sidecar *sidecar;
	struct bmf_stamp stamp;
	bool taken;

	if (atomic_load(&t->mode) == BMF_MODE_TRACKED ||
	    bmf_store_load_sidecar(t->source->store, &t->id, &sidecar, NULL) < 0)
		return false;
	taken = bmf_stamp_take(t->source->io, t->fd, &stamp) == 0 &&
		!bmf_stamp_same_file(&sidecar->stamp, &stamp);
	bmf_sidecar_free(sidecar);
	return taken;
}

int bmf_tracker_identify_locked(struct bmf_tracker *t)
{
	struct bmf_uuid id;
	int r;

	if (t->has_id && !is_taken(t))
		return 0;
	r = bmf_uuid_generate(&id);
	if (r == 0)
		r = bmf_identity_write(t->source->io, t->fd, &id);
	if (r < 0) {
		if (t->reason != BMF_REASON_NO_ID)
			bmf_source_notice(t->source, t, "set id: %s, it can't be tracked",
					  bmf_errno_text(r));
		t->reason = BMF_REASON_NO_ID;
		return r;
	}
	if (t->has_id)
		t->reason = BMF_REASON_COPIED;
	t->id = id;
	t->has_id = true;
	return 0;
}

/* What no sidecar on disk tells of is all dirty: the guest may go on (I3).  cause: 0, none to be
 * told. */
static void forget_history(struct bmf_tracker *t, int cause)
{
	atomic_store(&t->mode, BMF_MODE_UNTRACKED);
	clear_all(t->armed); /* what stays is cleared before a new sidecar counts */
	bmf_sidecar_free(t->sidecar);
	t->sidecar = NULL;
	close_sidecar_fd(t);
	t->reason = BMF_REASON_UNTRACKED;
	t->doubt_unsaved = false;
	atomic_store(&t->in_use, false);
	bmf_source_notice(t->source, t, "%s, all of it counts as changed%s%s",
			  bmf_reason_text(t->reason), cause < 0 ? ": " : "",
			  cause < 0 ? bmf_errno_text(cause) : "");
}

int bmf_tracker_adopt_locked(struct bmf_tracker *t)
{
	/* Whether the name is durable makes no difference: without it, all is dirty. */
	unsigned int flags = BMF_SAVE_LAZY_NAME;
	struct bmf_sidecar *fresh;
	int r;

	r = bmf_tracker_roll_locked(t);
	if (r < 0)
		return r;
	fresh = bmf_sidecar_new();
	if (!fresh)
		return -ENOMEM;
	fresh->since = atomic_load(&t->generation);
	fresh->suspect = atomic_load(&t->failed) != 0;
	if (t->reason == BMF_REASON_NONE)
		t->reason = BMF_REASON_NEW;
	if (clear_all(t->armed) < 0) {
		bmf_sidecar_free(fresh);
		return -ENOMEM;
	}
	t->sidecar = fresh;
	/* S1 of tracker.c: from here on writers arm, and wait for the lock to do so. */
	atomic_store(&t->in_use, false);
	atomic_store(&t->mode, BMF_MODE_TRACKED);
	if (atomic_load(&t->openers) > 0 || atomic_load(&t->active))
		flags |= BMF_SAVE_IN_USE;
	r = bmf_tracker_save_locked(t, flags, 0, 0);
	if (r < 0) {
		/*
		 * A part of it may be on disk, and must not count later.  But there was
		 * none before, durably: where there is none now nothing need be removed,
		 * and a commit that fails is no reason to refuse writes (I3).
		 */
		if (bmf_store_has_sidecar(t->source->store, &t->id) == 0)
			forget_history(t, r);
		else
			bmf_tracker_give_up_locked(t, r);
	}
	return r;
}

int bmf_tracker_give_up_locked(struct bmf_tracker *t, int cause)
{
	int r = bmf_store_remove_sidecar(t->source->store, &t->id);

	if (r < 0) {
		bmf_source_notice(t->source, t, "remove sidecar: %s, its writes are refused",
				  bmf_errno_text(r));
		return r;
	}
	forget_history(t, cause);
	return 0;
}

void bmf_tracker_note_doubt_locked(struct bmf_tracker *t)
{
	int r = t->doubt_unsaved ? bmf_tracker_save_locked(t, BMF_SAVE_IN_USE, 0, 0) : 0;

	if (r < 0)
		bmf_tracker_give_up_locked(t, r);
}
