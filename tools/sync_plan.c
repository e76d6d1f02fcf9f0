/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_plan.c - reads both trees, and makes the plan of a sync: Y3 */
#include "config.h"

#include "tools/fail.h"
#include "tools/progress.h"
#include "tools/sync_internal.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* With that many files to be changed, one syncfs is cheaper than an fsync for each. */
#define FLUSH_EACH_MAX 64

/* How often a live tree is read again because names moved. */
#define WALKS_MAX 10

static bool has_images(const struct tree *tree)
{
	for (size_t i = 0; i < tree->nentries; i++)
		if (S_ISREG(tree->entries[i].node->st.st_mode))
			return true;
	return false;
}

/* There may be nothing of that kind just now, as there may be tomorrow. */
static bool is_of_a_kind(const char *pattern)
{
	return strpbrk(pattern, "*?");
}

/* Of a live tree, which may be read several times, each once. */
static int warn_of_unmatched(struct sync *s)
{
	char name[TEXT_NAME], text[TEXT_NAME + 128];
	const char *pattern;
	bool include;
	size_t at = 0;
	int r = 0;

	while (r == 0 && (pattern = filter_next_unmatched(s->options->filter, &at, &include))) {
		if (!include && is_of_a_kind(pattern))
			continue;
		snprintf(text, sizeof(text), "--%s '%s' matches nothing%s",
			 include ? "include" : "exclude", text_quote(pattern, name, sizeof(name)),
			 *pattern == '/' ? ": '/' is the top of the source" : "");
		if (!sync_has_warned(s->result, text))
			r = sync_warn(s->result, "%s", text);
	}
	return r;
}

/*
 * A pattern with a mistake in it would empty a replica: one of which nothing would be left isn't
 * what anybody wants.
 */
static bool leaves_nothing(struct filter *filter, struct tree *tree)
{
	return filter_tree(filter, tree) > 0 && !has_images(tree);
}

static int refuse_filter(struct sync *s)
{
	return fail_text(s->err, -EINVAL, "sync", s->view.path, NULL,
			 "none of its images is left by --include and --exclude, so nothing is "
			 "copied, or removed");
}

/* Asked of a live tree: nobody knows if names were moved meanwhile, or it can't be read. */
static bool leaves_nothing_now(struct sync *s)
{
	struct bmf_moves before, after;
	struct tree *tree;
	bool nothing;

	if (source_view_moves(&s->view, &before, NULL) < 0 ||
	    tree_new(s->view.path, s->view.fd, &tree) < 0)
		return false;
	nothing = tree_add(tree, s->view.fd, "", 0, NULL) == 0 &&
		  leaves_nothing(s->options->filter, tree) &&
		  source_view_moves(&s->view, &after, NULL) == 0 && after.begun == before.ended;
	tree_free(tree);
	return nothing;
}

int sync_check_filter(struct sync *s)
{
	if (!s->options->filter || !leaves_nothing_now(s))
		return 0;
	s->result->refused = true;
	return refuse_filter(s);
}

static int leave_out(struct sync *s)
{
	return leaves_nothing(s->options->filter, s->source) ? refuse_filter(s)
							     : warn_of_unmatched(s);
}

static int read_source(struct sync *s)
{
	/* nothing moves in a snapshot, and it costs the daemon no descriptor */
	unsigned int flags = source_view_has_snapshot(&s->view) ? 0 : TREE_HOLD;
	int r = tree_new(s->view.path, s->view.tree_fd, &s->source);

	if (r < 0)
		return bmf_error_set(s->err, r, "read source: %s", fail_reason(r));
	r = tree_add(s->source, s->view.tree_fd, "", flags, s->err);
	if (r == 0 && s->options->filter)
		r = leave_out(s);
	return r < 0 ? r : tree_finish(s->source);
}

static int plan_once(struct sync *s, struct plan_input *input)
{
	int r = read_source(s);

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
	s->plan = NULL;
	s->source = NULL;
}

/*
 * A dry run makes no snapshot.  A walk of a live tree may miss what is renamed at that
 * moment, and such an image would seem to be removed, so the tree is read again until nothing has
 * moved meanwhile.
 */
static int plan_live(struct sync *s, struct plan_input *input)
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
				    "missed is not in this account");
}

/* What was read of a snapshot counts if that is still there. */
static int plan_source(struct sync *s, struct plan_input *input)
{
	if (s->options->dry_run && s->view.mount_fd >= 0)
		return plan_live(s, input);
	return sync_explain(s, plan_once(s, input));
}

/* Not what is removed to be made anew, or from where things wait for their places. */
static void note_removals(struct sync *s)
{
	for (size_t i = 0; i < s->steps.n; i++) {
		const struct name_step *step = &s->steps.steps[i];

		if ((step->kind == NAME_UNLINK || step->kind == NAME_RMDIR) &&
		    !tree_find(s->source, step->path) && !tree_is_in(BMF_STATE_DIR, step->path))
			text_note(&s->result->names_removed, &s->result->first_removed, step->path);
	}
}

int sync_plan(struct sync *s, const struct bmf_state *state)
{
	struct sync_result *result = s->result;
	struct plan_input input = { .view = &s->view,
				    .state = state,
				    .manifest = &s->replica.manifest,
				    .known = sync_knows(state, &s->replica.manifest),
				    .to = result->checkpoint,
				    .estimate = s->options->dry_run,
				    .untrackable = s->untrackable };
	int r;

	progress_enter(PROGRESS_PLANNING);
	r = plan_source(s, &input);
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
	result->adopted = manifest_is_adopted(&s->replica.manifest);
	note_removals(s);
	/* such as the directory on which another filesystem is to be mounted */
	if (s->fresh && result->images == 0)
		r = sync_warn(result, "the source has no images, and was no source before: is its "
				      "filesystem mounted?");
	s->flush_all = s->plan->images_changed + s->steps.n > FLUSH_EACH_MAX;
	return r;
}

/* I4 */
int sync_note_full_copies(struct sync *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->source->nnodes; i++) {
		struct plan_node *node = &s->plan->nodes[i];

		if (!node->work || node->reason == FULL_NONE)
			continue;
		node->full = s->result->nfull;
		r = sync_note_full(s->result, node->source->first->path, node->reason,
				   node->by_digest);
	}
	return r;
}

void sync_forget_plan(struct sync *s)
{
	forget_plan(s);
	tree_free(s->dest);
	s->dest = NULL;
}
