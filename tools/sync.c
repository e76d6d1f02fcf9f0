/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync.c - brings a replica to a new checkpoint of its source
 *
 * The replica is at checkpoint C, the source makes a new one, N.  In order:
 *
 *   Y1  the source is told again that the replica is at C, if it doesn't know
 *   Y2  checkpoint N, pending for the replica: from here on changes go to generation N
 *   Y3  both trees are read, the plan is made; nothing has been changed yet
 *   Y4  the manifest says "incomplete", still at C; for each image either that its
 *       content is C's but for blocks that are dirty since C, or why it must be copied in full
 *   Y5  names, content, metadata; all of it durable
 *   Y6  the manifest says "complete", at N
 *   Y7  the source is told that the replica is at N; it lets generations before N go
 *
 * If there is nothing to change, Y4 and Y5 don't happen.
 *
 * Why a sync that is killed, or a power cut at either side, costs no more than the
 * next sync (I1, I2):
 *
 *   before Y4  The replica is untouched and complete at C.  C is where the source's
 *              cursor says, so all bits since C are kept.
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
 *   Y6 to Y7   The replica is complete at N; the source thinks it is at C or bound for
 *              N, so it keeps both.  Y1 of the next sync makes up for it, before a new
 *              pending checkpoint takes N's place.
 *
 * Content is read after Y2, so a block may hold a change that is later than N.  Such a
 * change has its bit in generation N or later, and the next sync copies that block.
 * If the source loses the change in a power cut, that bit, or its region being armed,
 * is durable all the same.  What was changed before N is made durable at the source before it
 * is read (sync_data.c), as its bits go at Y7.
 *
 * Somebody else's changes are noticed as the file's size and times aren't what the manifest
 * has.  In an incomplete replica they can't be told from ours; so Y4 names the images whose
 * files may be changed in Y5 ("busy"), and of all others that still holds.
 */
#include "config.h"

#include "tools/fail.h"
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

/* With that many files to be changed, one syncfs is cheaper than an fsync for each. */
#define FLUSH_EACH_MAX 64

/* How often a live tree is read again because names moved. */
#define WALKS_MAX 10

/* What is said of one image isn't repeated: it is among the full copies, with its reason. */
static void on_notice(void *arg, const char *text)
{
	struct sync *s = arg;
	char quoted[TEXT_NAME * 2];

	if (strncmp(text, "image '", 7) != 0)
		sync_warn(s->result, "%s", text_quote(text, quoted, sizeof(quoted)));
}

/* ---- opening both sides ---- */

/*
 * A directory that was never a source becomes one by its first sync; not by one that is
 * refused, so the destination is looked at before.
 */
static int check_dest_of_fresh(struct sync *s, const char *dest)
{
	struct replica replica;
	struct stat st;
	int r;

	if (s->view.mount_fd >= 0 ||
	    fstatat(s->view.fd, BMF_STATE_DIR, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = replica_look(dest, &s->view, NULL, &replica, s->err);
	if (r == 0)
		replica_close(&replica);
	return r;
}

/* The source's state, as far as it has one. */
static int open_source_side(struct sync *s, const char *source, const char *dest,
			    struct bmf_state **ret_state)
{
	int r = source_view_locate(source, &s->view, s->err);

	if (r == 0)
		r = check_dest_of_fresh(s, dest);
	if (r < 0)
		return r;
	s->view.notice = on_notice;
	s->view.notice_arg = s;
	if (!s->options->dry_run)
		r = source_view_track(&s->view, s->err);
	else
		r = source_view_read(&s->view, s->err);
	if (r == -ENOENT && s->options->dry_run) {
		*ret_state = NULL;
		return 0;
	}
	return r < 0 ? r : source_view_state(&s->view, ret_state, s->err);
}

static int open_dest_side(struct sync *s, const char *dest, const struct bmf_state *state)
{
	const struct bmf_uuid *source = state ? &state->source : NULL;

	if (s->options->dry_run)
		return replica_look(dest, &s->view, source, &s->replica, s->err);
	return replica_open(dest, &s->view, source, &s->replica, s->err);
}

/* Is the manifest's checkpoint one that the source has? */
static bool is_known(const struct bmf_state *state, const struct manifest *manifest)
{
	const struct bmf_checkpoint *found =
		state && manifest->checkpoint ? bmf_state_checkpoint(state, manifest->checkpoint)
					      : NULL;

	return found && bmf_uuid_equal(&found->uuid, &manifest->checkpoint_uuid);
}

/* Y1: before a new pending checkpoint makes the source forget the one that it is at. */
static int tell_again(struct sync *s, const struct bmf_state *state)
{
	const struct manifest *manifest = &s->replica.manifest;
	const struct bmf_cursor *cursor = bmf_state_cursor(state, &manifest->replica);
	struct bmf_checkpoint at = { .number = manifest->checkpoint,
				     .uuid = manifest->checkpoint_uuid };

	if (!is_known(state, manifest) || (cursor && cursor->at == at.number))
		return 0;
	return source_view_arrived(&s->view, &manifest->replica, &at, s->replica.label, s->err);
}

/* Y2, and the state that results; in a dry run what would result. */
static int make_checkpoint(struct sync *s, struct bmf_state **state)
{
	struct sync_result *result = s->result;
	struct source_view_commit commit = { 0 };
	int r;

	if (s->options->dry_run) {
		result->checkpoint = *state ? (*state)->generation + 1 : 1;
		return 0;
	}
	r = tell_again(s, *state);
	if (r == 0)
		r = source_view_commit(&s->view, &s->replica.manifest.replica, s->replica.label,
				       &commit, s->err);
	if (r < 0)
		return r;
	result->checkpoint = commit.checkpoint.number;
	result->checkpoint_uuid = commit.checkpoint.uuid;
	result->gate_ns = commit.gate_ns;
	s->untrackable = commit.untrackable > 0;
	if (s->untrackable)
		sync_warn(result, "%llu image(s) can't be tracked and are copied in full each time",
			  (unsigned long long)commit.untrackable);
	bmf_state_free(*state);
	*state = NULL;
	return source_view_state(&s->view, state, s->err);
}

/* ---- the plan ---- */

static int read_dest(struct sync *s)
{
	int moving, r = tree_new(s->replica.path, s->replica.fd, &s->dest);

	if (r < 0 || s->replica.fd < 0)
		return r < 0 ? bmf_error_set(s->err, r, "read replica: %s", fail_reason(r))
			     : tree_finish(s->dest);
	r = tree_add(s->dest, s->replica.fd, "", TREE_STAMPS | TREE_ONE_FILESYSTEM, s->err);
	if (r < 0)
		return r;
	moving =
		openat(s->replica.fd, PLAN_MOVING, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (moving >= 0) {
		r = tree_add(s->dest, moving, PLAN_MOVING "/", TREE_STAMPS | TREE_ONE_FILESYSTEM,
			     s->err);
		close(moving);
	}
	return r < 0 ? r : tree_finish(s->dest);
}

static int read_trees(struct sync *s)
{
	int r = tree_new(s->view.path, s->view.fd, &s->source);

	if (r < 0)
		return bmf_error_set(s->err, r, "read source: %s", fail_reason(r));
	r = tree_add(s->source, s->view.fd, "", TREE_HOLD, s->err);
	if (r == 0)
		r = tree_finish(s->source);
	return r < 0 ? r : read_dest(s);
}

static int plan_once(struct sync *s, struct plan_input *input)
{
	int r = read_trees(s);

	if (r < 0)
		return r;
	input->source = s->source;
	input->dest = s->dest;
	return plan_make(input, &s->plan, s->err);
}

static void forget_plan(struct sync *s)
{
	plan_free(s->plan);
	tree_free(s->source);
	tree_free(s->dest);
	s->plan = NULL;
	s->source = s->dest = NULL;
}

/*
 * A walk of a live tree may miss what is renamed at that moment.  To take such an image for
 * a removed one would leave it out of the replica, so the tree is read again until nothing
 * has moved meanwhile.
 */
static int plan_surely(struct sync *s, struct plan_input *input)
{
	struct bmf_moves before, after;
	int r;

	for (int i = 0; i < WALKS_MAX; i++) {
		forget_plan(s);
		r = source_view_moves(&s->view, &before, s->err);
		if (r == 0)
			r = plan_once(s, input);
		if (r == 0)
			r = source_view_moves(&s->view, &after, s->err);
		if (r < 0 || after.begun == before.ended)
			return r;
	}
	return sync_warn(s->result, "names were moved all the time while they were read: what was "
				    "missed follows with the next sync");
}

/* Y3 */
static int make_plan(struct sync *s, const struct bmf_state *state)
{
	struct sync_result *result = s->result;
	struct plan_input input = { .view = &s->view,
				    .state = state,
				    .manifest = &s->replica.manifest,
				    .known = is_known(state, &s->replica.manifest),
				    .to = result->checkpoint,
				    .estimate = s->options->dry_run,
				    .untrackable = s->untrackable };
	int r = plan_surely(s, &input);

	if (r == 0)
		r = names_list(s->plan, &s->steps);
	if (r < 0)
		return r;
	if (input.known) {
		result->from = input.manifest->checkpoint;
		result->from_uuid = input.manifest->checkpoint_uuid;
	}
	result->images = s->plan->images;
	result->images_changed = s->plan->images_changed;
	result->bytes_total = s->plan->bytes_total;
	result->armed_bytes = s->plan->armed_bytes;
	result->crash_bytes = s->plan->crash_bytes;
	result->names_changed = s->steps.n;
	s->flush_all = s->plan->images_changed + s->steps.n > FLUSH_EACH_MAX;
	return 0;
}

static int note_full_copies(struct sync *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->source->nnodes; i++) {
		const struct plan_node *node = &s->plan->nodes[i];

		if (node->work && node->reason != FULL_NONE)
			r = sync_note_full(s->result, node->source->first->path, node->reason);
	}
	return r;
}

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

/* Y5 */
static int update(struct sync *s)
{
	struct names_result names = { 0 };
	int r = names_apply(s->plan, &s->steps, s->replica.fd, &names, s->err);

	if (r < 0)
		return r;
	if (names.refused > 0) {
		char quoted[TEXT_NAME];

		sync_warn(s->result,
			  "%zu special file(s) can't be made without root's rights, such as '%s'",
			  names.refused, text_quote(names.refused_path, quoted, sizeof(quoted)));
	}
	r = sync_files(s);
	if (r == 0)
		r = sync_directories(s);
	return r < 0 ? r : sync_flush(s);
}

static bool has_work(const struct sync *s)
{
	return s->steps.n > 0 || s->plan->images_changed > 0 || s->plan->any_meta;
}

static void warn_of(struct sync *s, uint64_t n, const char *first, const char *what)
{
	char quoted[TEXT_NAME];

	if (n > 0)
		sync_warn(s->result, "%s: %llu file(s), such as '%s'", what, (unsigned long long)n,
			  text_quote(first ? first : "?", quoted, sizeof(quoted)));
}

/* Y4 to Y7 */
static int carry_out(struct sync *s, const struct bmf_state *state)
{
	struct bmf_checkpoint at = { .number = s->result->checkpoint,
				     .uuid = s->result->checkpoint_uuid };
	struct bmf_error why;
	int r = 0;

	if (has_work(s)) {
		r = mark_incomplete(s, state);
		if (r == 0)
			r = update(s);
	}
	if (r == 0)
		r = save_manifest(s, true, state);
	if (r < 0)
		return r;
	warn_of(s, s->nowner, s->first_owner, "owner or mode couldn't be set");
	warn_of(s, s->nxattrs, s->first_xattrs, "extended attributes couldn't be set");
	warn_of(s, s->nvanished, s->first_vanished, "removed while the sync went on");
	/* The replica is what counts; the source asks it the next time. */
	if (source_view_arrived(&s->view, &s->replica.manifest.replica, &at, s->replica.label,
				&why) < 0)
		sync_warn(s->result, "%s", why.text);
	return 0;
}

static int run(struct sync *s, const char *source, const char *dest)
{
	struct bmf_state *state = NULL;
	int r = open_source_side(s, source, dest, &state);

	if (r == 0)
		r = open_dest_side(s, dest, state);
	if (r == 0 && stop_signal())
		r = -ECANCELED;
	if (r == 0)
		r = make_checkpoint(s, &state);
	if (r == 0)
		r = make_plan(s, state);
	if (r == 0)
		r = note_full_copies(s);
	if (r == 0)
		r = s->options->dry_run ? sync_files(s) : carry_out(s, state);
	bmf_state_free(state);
	return r;
}

static void close_all(struct sync *s)
{
	struct bmf_error why;

	if (source_view_close(&s->view, &why) < 0)
		sync_warn(s->result, "%s", why.text);
	names_destroy(&s->steps);
	forget_plan(s);
	replica_close(&s->replica);
	free(s->copy.buffer);
	free(s->first_owner);
	free(s->first_xattrs);
	free(s->first_vanished);
}

int sync_run(const char *source, const char *dest, const struct sync_options *options,
	     struct sync_result *ret, struct bmf_error *err)
{
	struct sync s = { .options = options,
			  .view = { .fd = -1, .mount_fd = -1, .path = source },
			  .replica = { .fd = -1, .path = dest },
			  .result = ret,
			  .err = err };
	struct timespec begin, end;
	int r;

	*ret = (struct sync_result){ .dry_run = options->dry_run };
	*err = (struct bmf_error){ 0 };
	clock_gettime(CLOCK_MONOTONIC, &begin);
	s.copy.buffer = malloc(COPY_BUFFER);
	r = s.copy.buffer ? run(&s, source, dest) : -ENOMEM;
	if (r < 0 && err->code == 0)
		bmf_error_set(err, r, "sync to '%s': %s", dest, fail_reason(r));
	close_all(&s);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ret->seconds =
		(double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	return r;
}
