/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_checkpoint.c - opens both sides of a sync, and makes the checkpoint: Y1 and Y2 */
#include "config.h"

#include "tools/argument_order.h"
#include "tools/fail.h"
#include "tools/hooks.h"
#include "tools/journal.h"
#include "tools/progress.h"
#include "tools/stop.h"
#include "tools/switched.h"
#include "tools/sync_internal.h"
#include "tools/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* What is said of one image isn't repeated: it is among the full copies, with its reason. */
static void on_notice(void *arg, const char *text)
{
	struct sync *s = arg;
	char quoted[TEXT_NAME * 2];

	if (strncmp(text, "image '", 7) != 0)
		sync_warn(s->result, "%s", text_quote(text, quoted, sizeof(quoted)));
}

/* Would it be refused?  Nothing is made in it. */
static int look_first(struct sync *s, const char *dest, const struct bmf_uuid *source)
{
	struct replica replica;
	int r = replica_look(dest, &s->view, source, false, &replica, s->err);

	if (r < 0)
		return r;
	r = sync_keep_check(s, &replica);
	replica_close(&replica);
	return r;
}

/*
 * A directory that was never a source, such as a replica, becomes one by its first sync; not by
 * one that is refused, so the destination is looked at before.
 */
static int check_dest_of_fresh(struct sync *s, const char *dest)
{
	struct bmf_uuid source;
	bool known;

	if (source_view_has_state(&s->view))
		return 0;
	if (s->options->since)
		return source_view_none(s->view.path, s->err);
	known = source_view_identify(&s->view, &source) == 0;
	return look_first(s, dest, known ? &source : NULL);
}

/* Of a follower: a source without its mirrorfs is one that went away, or another directory. */
static int check_source(const struct sync *s, struct bmf_error *err)
{
	const struct sync_pair *pair = s->options->pair;

	if (!s->options->mounted || s->view.read_only)
		return 0;
	if (s->view.mount_fd < 0)
		return fail_text(
			err, -ENODEV, "open source", s->view.path, NULL,
			"no mirrorfs is mounted there; mount it, or sync without --follow");
	if (!pair || bmf_uuid_is_none(&pair->source) ||
	    bmf_uuid_equal(&s->view.info.source, &pair->source))
		return 0;
	return fail_text(err, -ESTALE, "open source", s->view.path, NULL,
			 "it is another source than before");
}

/* The source's state, as far as it has one. */
int sync_open_source(struct sync *s, const char *source, const char *dest,
		     struct bmf_state **ret_state)
{
	int r = source_view_locate(source, &s->view, s->err);

	if (r == 0)
		r = check_source(s, s->err);
	if (r == 0)
		r = argument_order_check("sync", &s->view, dest, s->err);
	if (r == 0)
		r = check_dest_of_fresh(s, dest);
	if (r == 0)
		r = sync_check_filter(s);
	if (r < 0)
		return r;
	s->fresh = !source_view_has_state(&s->view);
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

/* A dry run doesn't publish it, so it counts from where the replica's manifest is. */
static int warn_of_journal(struct sync *s)
{
	struct stat st;

	if (s->replica.fd < 0 ||
	    fstatat(s->replica.fd, BMF_STATE_DIR "/" JOURNAL_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return sync_warn(s->result,
			 "an update of the replica was committed, and would be published "
			 "first: what that changes is counted once more");
}

/* While the source is switched over, the mark is that of this very sync. */
static int check_switched(const struct sync *s, const struct bmf_state *state)
{
	int r = switched_check_dest(&s->replica, "open destination", s->err);

	if (r < 0)
		return r;
	return s->options->switching ? 0 : switched_check(&s->view, state, &s->replica, s->err);
}

static int look_if_switched(const struct sync *s, const struct bmf_state *state, const char *dest,
			    bool copied)
{
	return s->options->switching ? 0 : switched_look(&s->view, state, dest, copied, s->err);
}

int sync_open_dest(struct sync *s, const char *dest, const struct bmf_state *state)
{
	const struct bmf_uuid *source = state ? &state->source : NULL;
	const struct sync_pair *pair = s->options->pair;
	const struct replica_demand demand = { .only = pair ? &pair->replica : NULL,
					       .copied = s->options->since && !pair };
	int r = 0;

	if (demand.copied)
		r = sync_check_copy(s, dest, state);
	else if (s->options->in_place && s->options->keeps && !sync_goes_on(s))
		r = look_first(s, dest, source);
	if (r < 0)
		return r;
	if (s->options->dry_run) {
		r = replica_look(dest, &s->view, source, demand.copied, &s->replica, s->err);
		if (r == 0)
			r = check_switched(s, state);
		return r < 0 ? r : warn_of_journal(s);
	}
	r = look_if_switched(s, state, dest, demand.copied);
	if (r < 0)
		return r;
	r = replica_open(dest, &s->view, source, &demand, &s->replica, s->err);
	s->busy = r == -EBUSY;
	if (r == 0)
		r = check_switched(s, state);
	if (r == 0)
		r = sync_publish(s);
	if (r < 0)
		return r;
	s->digests_fd = replica_open_digests(&s->replica);
	if (s->digests_fd < 0)
		return fail_errno(s->err, s->digests_fd, "open digests of", s->replica.path, NULL);
	return 0;
}

/* Is the manifest's checkpoint one that the source has? */
bool sync_knows(const struct bmf_state *state, const struct manifest *manifest)
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

	if (!sync_knows(state, manifest) || (cursor && cursor->at == at.number))
		return 0;
	return source_view_arrived(&s->view, &manifest->replica, &at, s->replica.label, s->err);
}

/*
 * The images of which all is needed for a reason that the source can't know: it preserves the
 * blocks of others only as far as they have changed since the replica's checkpoint.
 */
static int list_whole(const struct sync *s, struct source_view_request *request,
		      struct bmf_uuid **ret)
{
	const struct manifest *manifest = &s->replica.manifest;
	struct bmf_uuid *whole = calloc(manifest->nimages + 1, sizeof(*whole));
	size_t n = 0;

	if (!whole)
		return -ENOMEM;
	for (size_t i = 0; i < manifest->nimages; i++) {
		const struct manifest_image *entry = &manifest->images[i];
		bool touched;

		if (!plan_find_file(s->dest, manifest, entry, &touched) || touched ||
		    entry->reason != FULL_NONE)
			whole[n++] = entry->image;
	}
	request->whole = *ret = whole;
	request->nwhole = n;
	return 0;
}

/* The hooks that are to be ended, and how that is told. */
struct frozen {
	struct sync *sync;
	struct hooks *hooks; /* NULL: they have been, or there are none */
};

/* That the post-hook failed doesn't keep the sync from going on. */
static void thaw(struct frozen *frozen, bool reached)
{
	struct sync *s = frozen->sync;
	struct bmf_error why;

	if (!frozen->hooks)
		return;
	if (hooks_end(frozen->hooks, reached, &s->result->frozen_ns, &why) < 0) {
		s->result->hook_failed = true;
		if (s->options->alert)
			s->options->alert(s->options->alert_arg, why.text);
	}
	frozen->hooks = NULL;
	progress_enter(PROGRESS_CHECKPOINT); /* what is left of it */
}

static void on_reached(void *arg)
{
	thaw(arg, true);
}

static int commit(struct sync *s, const struct bmf_state *state, struct frozen *frozen,
		  struct source_view_commit *ret)
{
	const struct manifest *manifest = &s->replica.manifest;
	struct source_view_request request = { .replica = &manifest->replica,
					       .label = s->replica.label,
					       .reached = frozen->hooks ? on_reached : NULL,
					       .reached_arg = frozen };
	struct bmf_uuid *whole = NULL;
	int r = 0;

	if (!s->everything && sync_knows(state, manifest)) {
		request.from = manifest->checkpoint;
		r = list_whole(s, &request, &whole);
	}
	if (r == 0)
		r = source_view_commit(&s->view, &request, ret, s->err);
	free(whole);
	return r;
}

static int commit_with_hooks(struct sync *s, const struct bmf_state *state,
			     struct source_view_commit *ret)
{
	struct hooks_request request = { .pre = s->options->pre_hook,
					 .post = s->options->post_hook,
					 .source = s->view.path,
					 .source_fd = s->view.fd,
					 .number = state->generation + 1 };
	struct frozen frozen = { .sync = s };
	int r;

	if (request.pre)
		progress_enter(PROGRESS_HOOK);
	r = hooks_begin(&request, &frozen.hooks, s->err);
	if (r < 0)
		return r;
	/* who is frozen doesn't wait until a terminal takes what is told (I3) */
	if (!frozen.hooks)
		progress_enter(PROGRESS_CHECKPOINT);
	r = stop_signal() ? -ECANCELED : commit(s, state, &frozen, ret);
	thaw(&frozen, false);
	return r;
}

int sync_checkpoint(struct sync *s, struct bmf_state **state)
{
	struct sync_result *result = s->result;
	struct source_view_commit made = { 0 };
	int r;

	if (s->options->dry_run) {
		result->checkpoint = *state ? (*state)->generation + 1 : 1;
		return 0;
	}
	r = tell_again(s, *state);
	if (r == 0)
		r = commit_with_hooks(s, *state, &made);
	if (r < 0)
		return r;
	result->checkpoint = made.checkpoint.number;
	result->checkpoint_uuid = made.checkpoint.uuid;
	result->gate_ns = made.gate_ns;
	result->names_ns = made.names_ns;
	s->untrackable = made.untrackable > 0;
	if (s->untrackable)
		sync_warn(result,
			  "%llu image(s) can't be tracked and are copied in full each time: they "
			  "can't be given an id (not writable for their owner, immutable, or no "
			  "extended attributes there)",
			  (unsigned long long)made.untrackable);
	bmf_state_free(*state);
	*state = NULL;
	return source_view_state(&s->view, state, s->err);
}
