/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync.c - brings a replica to a new checkpoint of its source
 *
 * The replica is at checkpoint C, the source makes a new one, N.  In order:
 *
 *   Y0  what an earlier sync has committed in the replica is published (publish.c); a directory
 *       that is a copy of C becomes a replica that is at C, but incomplete (sync_seed.c)
 *   Y1  the source is told again that the replica is at C, if it doesn't know
 *   Y2  the replica's tree is read, then checkpoint N made, pending for the replica: from here
 *       on changes go to generation N.  Of a mounted source N is a snapshot too
 *   Y3  the source's tree is read, the plan is made; nothing has been changed yet
 *   Y4  the update is staged, and committed as a journal (sync_stage.c)
 *   Y5  it is published: names, content, metadata; all of it durable (publish.c)
 *   Y6  the manifest says "complete", at N
 *   Y7  the source is told that the replica is at N; it lets generations before N go
 *
 * If there is nothing to change, Y4 and Y5 don't happen.  With --in-place there is no journal:
 *
 *   Y4  the manifest says "incomplete", still at C; for each image either that its
 *       content is C's but for blocks that are dirty since C, or why it must be copied in full
 *   Y5  names, content, metadata, all in the replica itself
 *
 * Why a sync that is killed, or a power cut at either side, costs no more than the
 * next sync (I1, I2):
 *
 *   to Y4      The replica is untouched and complete at C.  C is where the source's
 *              cursor says, so all bits since C are kept.
 *   in Y5      There is a journal, from which anybody finishes it without the source.
 *   Y6 to Y7   The replica is complete at N; the source thinks it is at C or bound for
 *              N, so it keeps both.  Y1 of the next sync makes up for it, before a new
 *              pending checkpoint takes N's place.
 *
 * And in place:
 *
 *   in Y5      Some blocks hold C's content, some a later one, some are torn; each of
 *              the last two kinds is dirty in [C, N), or belongs to an image that Y4 has
 *              named as one to be copied in full.  The next sync copies the
 *              dirty blocks of [C, N+1), a superset, and those images again in full,
 *              for the same reason (I4).  It needs no memory of how far this one came.
 *              Names and metadata are compared in full in every sync.  A file that
 *              is on its way is in .mirrorfs/moving; it is found by its inode, which the
 *              manifest has.  A file that this sync made is not in the manifest that Y4
 *              wrote, so it is removed and made again.  Sizes: if the replica's file was cut
 *              off, then the source's was since C, so whatever it has there now is dirty;
 *              and what is missing counts as dirty anyway (plan.c).
 *   Y5 to Y6   As in Y5.  Nothing is called complete before it is durable.
 *
 * Of a mounted source names, metadata and content are those of the snapshot: exactly what was
 * there at N, whatever guests do meanwhile (source_image.h).  The daemon preserves what they
 * overwrite for as long as it runs; that it still does is asked after the plan and before the
 * journal is committed (in place: before Y6), as
 * what was read in between from the images themselves would look the same if it had gone.  Of one
 * that isn't mounted it is asked there whether somebody has written to what was read.
 *
 * What is copied must not be newer than what a power cut leaves at the source (I1).  The
 * snapshot is what the source's cache had at N, and the bits of what changed before N go at
 * Y7.  If a block of it were not on the disk by then, a power cut would put an older one
 * in its place with no bit to say so.  So each image is made durable before it is read
 * (sync_data.c).  What guests write later has its bit in generation N, or its region is armed.
 *
 * The source preserves only what this sync seems to need: blocks that changed in [C, N), and all of
 * an image that has no history or is named in Y2 (sync_checkpoint.c).  Where that turns
 * out to be too little, the sync begins anew, hooks included, with all of it preserved.
 *
 * Somebody else's changes are noticed as the file's size and times aren't what the manifest
 * has.  In an incomplete replica they can't be told from ours; so Y4 names the images whose
 * files may be changed in Y5 ("busy"), and of all others that still holds.
 */
#include "config.h"

#include "tools/fail.h"
#include "tools/publish.h"
#include "tools/stop.h"
#include "tools/sync_internal.h"
#include "tools/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the replica ---- */

/*
 * The images as the plan has them (Y4), or as they are now (Y6).  Files without an id can't be
 * recognised the next time, so they aren't listed.
 */
static int list_images(struct sync *s, struct manifest *manifest, bool complete)
{
	bool names = s->steps.n > 0; /* they move the ctime of whatever they concern */
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->source->nnodes; i++) {
		const struct plan_node *node = &s->plan->nodes[i];

		if (!S_ISREG(node->source->st.st_mode) || !node->has_id || node->vanished)
			continue;
		r = manifest_add(manifest, &node->id, node->source->first->path,
				 complete ? FULL_NONE : node->reason,
				 !complete && (names || node->work || node->meta), &node->stamp);
	}
	return r;
}

static int save_manifest(struct sync *s, bool complete, const struct bmf_state *state)
{
	const struct manifest *old = &s->replica.manifest;
	struct manifest next = { .replica = old->replica,
				 .source = state->source,
				 .checkpoint = old->checkpoint,
				 .checkpoint_uuid = old->checkpoint_uuid,
				 .complete = complete,
				 .block_shift = state->block_shift };
	int r;

	if (complete) {
		next.checkpoint = s->result->checkpoint;
		next.checkpoint_uuid = s->result->checkpoint_uuid;
	}
	r = list_images(s, &next, complete);
	if (r < 0)
		bmf_error_set(s->err, r, "list images: %s", fail_reason(r));
	else
		r = replica_save(&s->replica, &next, s->err);
	manifest_destroy(&next);
	return r;
}

/*
 * Y4.  A manifest that says "incomplete" already will do, if the disk is too full for a new
 * one: every reason for a full copy but that somebody touched a busy image is found again by
 * the next sync.  What isn't busy in it and is changed now will look as if somebody had touched
 * it, if this sync is killed too: one full copy more, never one less.
 */
static int mark_incomplete(struct sync *s, const struct bmf_state *state)
{
	bool marked = !s->replica.manifest.complete;
	int r = save_manifest(s, false, state);

	return marked && (r == -ENOSPC || r == -EDQUOT) ? 0 : r;
}

static void warn_of(struct sync *s, uint64_t n, const char *first, const char *what)
{
	char text[TEXT_FILES];

	if (n > 0)
		sync_warn(s->result, "%s", text_files(what, n, first, text));
}

static void tell(void *arg, const char *text)
{
	sync_warn(((struct sync *)arg)->result, "%s", text);
}

/* Y0, and Y5 to Y6: what an earlier sync, or this one, has committed. */
int sync_publish(struct sync *s)
{
	struct publish_report report;
	int r = publish(&s->replica, s->options->threads, &report, s->err);

	if (r == 0)
		publish_tell(&report, tell, s);
	publish_report_destroy(&report);
	return r;
}

/* Y5 */
static int update(struct sync *s)
{
	struct names_result names = { 0 };
	int r = names_apply(s->plan, &s->steps, s->replica.fd, &names, s->err);

	if (r < 0)
		return r;
	warn_of(s, names.refused, names.refused_path, PUBLISH_SPECIAL_REFUSED);
	r = sync_files(s);
	if (r == 0)
		r = sync_directories(s);
	return r < 0 ? r : sync_flush(s);
}

static bool has_work(const struct sync *s)
{
	return s->steps.n > 0 || s->plan->images_changed > 0 || s->plan->any_meta;
}

/* Y4 to Y6 in the replica itself, which is incomplete meanwhile. */
static int update_in_place(struct sync *s, const struct bmf_state *state)
{
	int r = mark_incomplete(s, state);

	if (r == 0)
		r = sync_explain_full(s, update(s));
	/* a daemon that is gone has preserved nothing any more, nor has one that couldn't go on */
	if (r == 0)
		r = sync_confirm(s);
	if (r == 0)
		r = save_manifest(s, true, state);
	if (r == 0)
		replica_trim_digests(&s->replica, s->digests_fd);
	return r;
}

/* Y4 to Y6 by way of a journal: at every moment the replica is at one checkpoint, or leads to it.
 */
static int update_by_journal(struct sync *s, const struct bmf_state *state)
{
	int r = sync_stage(s, state);

	/* its memory: publishing has a ring of its own */
	copy_ring_free(s->copy.ring);
	s->copy.ring = NULL;
	return r < 0 ? r : sync_publish(s);
}

/* Y4 to Y7 */
static int carry_out(struct sync *s, const struct bmf_state *state)
{
	struct bmf_checkpoint at = { .number = s->result->checkpoint,
				     .uuid = s->result->checkpoint_uuid };
	struct bmf_error why;
	int r;

	if (!has_work(s) && !s->keep_delta) {
		r = sync_confirm(s);
		if (r == 0)
			r = save_manifest(s, true, state);
	} else if (s->options->in_place) {
		r = update_in_place(s, state);
	} else {
		r = update_by_journal(s, state);
	}
	if (r < 0)
		return r;
	warn_of(s, s->nowner, s->first_owner, PUBLISH_OWNER_REFUSED);
	warn_of(s, s->nxattrs, s->first_xattrs, PUBLISH_XATTRS_REFUSED);
	warn_of(s, s->nvanished, s->first_vanished, "removed while the sync went on");
	/* The replica is what counts; the source asks it the next time. */
	if (source_view_arrived(&s->view, &s->replica.manifest.replica, &at, s->replica.label,
				&why) < 0)
		sync_warn(s->result, "%s", why.text);
	return sync_keep_end(s, state);
}

int sync_explain(struct sync *s, int r)
{
	struct bmf_error why;
	bool broken;

	if (r == -ECANCELED || source_view_confirm(&s->view, &broken, &why) == 0)
		return r;
	s->result->snapshot_broken = broken;
	*s->err = why;
	return why.code;
}

int sync_explain_full(struct sync *s, int r)
{
	struct bmf_error why = *s->err;
	const char *way;

	if (r != -ENOSPC && r != -EDQUOT)
		return r;
	if (!s->replica.manifest.complete)
		way = "the replica is incomplete until a sync is finished: make room, and sync "
		      "again";
	else if (s->keep_delta)
		way = "nothing was changed: make room";
	else
		way = "nothing was changed: make room, or sync with --in-place";
	return bmf_error_set(s->err, r, "%s; %s", why.text, way);
}

static int run(struct sync *s, const char *source, const char *dest)
{
	struct bmf_state *state = NULL;
	int r = sync_open_source(s, source, dest, &state);

	if (r == 0)
		r = sync_open_dest(s, dest, state);
	if (r == 0)
		r = replica_read_tree(&s->replica, &s->dest, s->err);
	if (r == 0 && stop_signal())
		r = -ECANCELED;
	if (r == 0 && s->options->since)
		r = sync_since(s, state);
	if (r == 0)
		r = sync_keep_begin(s, state);
	if (r == 0)
		r = sync_checkpoint(s, &state);
	if (r == 0)
		r = sync_plan(s, state);
	if (r == 0)
		r = sync_note_full_copies(s);
	if (r == 0)
		r = s->options->dry_run ? sync_files(s) : carry_out(s, state);
	if (r == 0 && state)
		s->result->pair = (struct sync_pair){ .source = state->source,
						      .replica = s->replica.manifest.replica };
	bmf_state_free(state);
	return r;
}

static void close_all(struct sync *s)
{
	struct bmf_error why;

	if (source_view_close(&s->view, &why) < 0)
		sync_warn(s->result, "%s", why.text);
	names_destroy(&s->steps);
	sync_forget_plan(s);
	if (s->digests_fd >= 0)
		close(s->digests_fd);
	replica_close(&s->replica);
	copy_ring_free(s->copy.ring);
	free(s->buffer);
	free(s->first_owner);
	free(s->first_xattrs);
	free(s->first_vanished);
}

/* What would make another go of it worth while. */
struct missed {
	bool lost; /* not all blocks of the source were preserved */
	bool busy; /* another has the replica's lock */
};

/*
 * everything: all blocks of the source are preserved, and not only those that seem to be needed.
 */
static int sync_once(const char *source, const char *dest, const struct sync_options *options,
		     bool everything, struct sync_result *ret, struct missed *ret_missed,
		     struct bmf_error *err)
{
	struct sync s = { .options = options,
			  .view = { .fd = -1, .mount_fd = -1, .tree_fd = -1, .path = source },
			  .replica = { .fd = -1, .path = dest },
			  .digests_fd = -1,
			  .copy = { .old_fd = -1 },
			  .everything = everything,
			  .result = ret,
			  .err = err };
	int r;

	*ret = (struct sync_result){ .dry_run = options->dry_run };
	*err = (struct bmf_error){ 0 };
	s.buffer = malloc(SYNC_BUFFER);
	r = s.buffer ? copy_ring_new(options->threads, &s.copy.ring) : -ENOMEM;
	if (r == 0)
		r = run(&s, source, dest);
	if (r < 0 && err->code == 0)
		bmf_error_set(err, r, "sync to '%s': %s", dest, fail_reason(r));
	*ret_missed = (struct missed){ .lost = s.lost, .busy = s.busy };
	close_all(&s);
	return r;
}

/* What the first run has to tell is told, whatever comes of the second. */
static void carry_over(struct sync_result *first, struct sync_result *second)
{
	second->hook_failed |= first->hook_failed;
	second->seeded |= first->seeded;
	second->seeds += first->seeds;
	for (size_t i = 0; i < first->nwarnings; i++)
		if (!sync_has_warned(second, first->warnings[i]))
			sync_warn(second, "%s", first->warnings[i]);
	sync_result_destroy(first);
}

/* What is asked for, with what is known of it by now. */
struct wanted {
	struct sync_options options;
	struct sync_pair pair; /* for the options; NULL there: not known yet */
};

/*
 * From now on it has to be that replica: its filesystem may go while a lock is waited for, or
 * before another go, and nobody has asked for a new one below its mount point.
 */
static void keep_to(struct wanted *wanted, const struct bmf_uuid *replica)
{
	if (wanted->options.pair)
		return;
	wanted->pair.replica = *replica;
	wanted->options.pair = &wanted->pair;
}

/*
 * As soon as nobody else has the replica's lock.  Nothing is held meanwhile, neither the source's
 * lock, which the other may be waiting for, nor what was read of its state, which the other
 * changes.
 */
static int sync_in_turn(const char *source, const char *dest, struct wanted *wanted,
			struct sync_result *ret, struct missed *ret_missed, struct bmf_error *err)
{
	struct lock_wait wait = { 0 };
	struct bmf_uuid replica;
	int r;

	for (;;) {
		r = sync_once(source, dest, &wanted->options, false, ret, ret_missed, err);
		if (r == 0 || !ret_missed->busy)
			break;
		/* one that nobody knows yet; but for a copy a bare directory isn't taken anyhow */
		replica = replica_identify(dest);
		if (!wanted->options.since || !bmf_uuid_is_none(&replica))
			keep_to(wanted, &replica);
		if (!replica_await(dest, &wait))
			break;
		sync_result_destroy(ret);
	}
	return r < 0 && ret_missed->busy && stop_signal() ? -ECANCELED : r;
}

int sync_run(const char *source, const char *dest, const struct sync_options *options,
	     struct sync_result *ret, struct bmf_error *err)
{
	struct timespec begin, end;
	const struct bmf_uuid replica = replica_identify(dest);
	struct wanted wanted = { .options = *options };
	struct sync_result first;
	struct missed missed;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (!bmf_uuid_is_none(&replica))
		keep_to(&wanted, &replica);
	r = sync_in_turn(source, dest, &wanted, ret, &missed, err);
	if (r < 0 && missed.lost) {
		/* as after any sync that ended in the middle, but with nothing left to chance */
		first = *ret;
		r = sync_once(source, dest, &wanted.options, true, ret, &missed, err);
		carry_over(&first, ret);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	ret->seconds =
		(double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	return r;
}
