/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync_seed.c - a copy of the source, made by other means, becomes a replica: sync --since
 *
 * The user vouches that what is in DEST is what the source was at a named checkpoint C.  Nobody can
 * know that but by reading all of it; what can be known is asked for, and what can't be is in
 * mirrorctl-sync(8).  Of the images at C there is a list (listing.h), with names and sizes.
 *
 *   - A file is believed to be an image of that list if it has its path, is a regular file and has
 *     its size.  By its path at C: what the image is called now, and what has that name now, is
 *     found out by its id, as in any replica.  So images that have swapped names since, or been
 * made anew, do no harm (I1).
 *   - One that has another size wasn't copied, or not at that checkpoint: it is compared by digest.
 *     One that is missing is copied in full.  Both with their reasons (I4).
 *   - The ids that copies carry in their extended attributes are never looked at.
 *   - What isn't in the list the sync would remove.  A file of that kind says that this is not the
 *     directory that is meant, and so does it if no file can be believed: then nothing is changed.
 *
 * Of the content nothing is read: digests of blocks that are never copied stay unknown.
 *
 * Crash behaviour.  The files are made durable first, as whoever copied them needn't have; then the
 * manifest, which has all that was decided: from then on it is a replica at C, of which a sync was
 * interrupted.  So a sync that is killed before has changed nothing, and after that any sync goes
 * on, with --since or without (I2).  It is incomplete until then, as nothing has proved that it
 * is at C: it gives no older checkpoints, and nobody restores from it.
 */
#include "config.h"

#include "tools/fail.h"
#include "tools/listing.h"
#include "tools/since.h"
#include "tools/sync_internal.h"
#include "tools/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERB "take for a copy"

bool sync_is_copy(const struct sync *s)
{
	/* one that was adopted is to be compared, all of it: that was promised (I1) */
	return s->options->since && !s->replica.has_manifest;
}

/* ---- what the source knows of the checkpoint ---- */

static int read_list(struct sync *s, const struct bmf_state *state,
		     const struct bmf_checkpoint **ret_checkpoint, struct listing *ret)
{
	const struct bmf_checkpoint *found;
	struct bmf_error why;
	int r;

	if (!state)
		return source_view_none(s->view.path, s->err);
	r = since_find(state, s->options->since, &found, s->err);
	if (r < 0)
		return r;
	if (!found->name)
		return fail_text(s->err, -ENODATA, "sync since", s->options->since, NULL,
				 "checkpoint %llu has no name, and only of named ones it is known "
				 "which images there were: see mirrorctl checkpoint create",
				 (unsigned long long)found->number);
	r = listing_load(s->view.store->dir_fd, state, found, ret, &why);
	if (r < 0)
		return fail_text(s->err, r, "sync since", s->options->since, NULL,
				 "which images there were can't be read (%s), so no copy can be "
				 "believed; mirrorctl adopt, and the next sync compares all of it",
				 why.text);
	*ret_checkpoint = found;
	return 0;
}

/* ---- what is there ---- */

static bool is_ignored(const char *path)
{
	char *top = strndup(path, strcspn(path, "/"));
	bool ignored = top && replica_ignores(top);

	free(top);
	return ignored;
}

/* A sync would remove it, whatever it is.  Directories go if nothing is in them. */
static int check_strangers(const struct sync *s, const struct tree *dest,
			   const struct listing *listing)
{
	char name[TEXT_NAME];
	const char *first = NULL;
	uint64_t n = 0;

	for (size_t i = 0; i < dest->nentries; i++) {
		const struct tree_entry *entry = &dest->entries[i];

		if (!S_ISREG(entry->node->st.st_mode) || is_ignored(entry->path) ||
		    listing_find(listing, entry->path))
			continue;
		if (n++ == 0)
			first = entry->path;
	}
	if (n == 0)
		return 0;
	return fail_text(s->err, -ENOTEMPTY, VERB, s->replica.path, NULL,
			 "%llu file(s) in it, such as '%s', the source hadn't at that checkpoint, "
			 "and a sync would remove them; give the directory that was copied to, or "
			 "move them away",
			 (unsigned long long)n, text_quote(first, name, sizeof(name)));
}

static int compare_items(const void *a, const void *b)
{
	const struct listing_item *x = *(const struct listing_item *const *)a;
	const struct listing_item *y = *(const struct listing_item *const *)b;
	int order = memcmp(x->image.b, y->image.b, sizeof(x->image.b));

	return order ? order : strcmp(x->path, y->path);
}

/* The names of each image one after the other; the caller frees it.  NULL: no memory. */
static const struct listing_item **by_image(const struct listing *listing)
{
	const struct listing_item **items = calloc(listing->n + 1, sizeof(struct listing_item *));

	for (size_t i = 0; items && i < listing->n; i++)
		items[i] = &listing->items[i];
	if (items && listing->n > 0)
		qsort(items, listing->n, sizeof(struct listing_item *), compare_items);
	return items;
}

static struct tree_node *file_at(const struct tree *dest, const char *path)
{
	struct tree_entry *entry = tree_find(dest, path);

	return entry && S_ISREG(entry->node->st.st_mode) ? entry->node : NULL;
}

/* Of an image with n names: the first that is as it should be, or else the first that is there. */
static int add_image(struct manifest *manifest, const struct tree *dest,
		     const struct listing_item *const items[], size_t n, uint64_t *seeds)
{
	static const struct bmf_stamp none;
	const struct listing_item *best = items[0];
	const struct tree_node *file = NULL;
	bool whole = false;

	for (size_t i = 0; i < n && !whole; i++) {
		const struct tree_node *there = file_at(dest, items[i]->path);

		whole = there && (uint64_t)there->st.st_size == items[i]->size;
		if (whole || (there && !file)) {
			best = items[i];
			file = there;
		}
	}
	*seeds += whole;
	return manifest_add(manifest, &best->image, best->path,
			    whole  ? FULL_NONE
			    : file ? FULL_SEED
				   : FULL_GONE,
			    false, file ? &file->stamp : &none);
}

static int list_images(struct manifest *manifest, const struct tree *dest,
		       const struct listing *listing, uint64_t *seeds)
{
	const struct listing_item **items = by_image(listing);
	size_t n;
	int r = items ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < listing->n; i += n) {
		for (n = 1;
		     i + n < listing->n && bmf_uuid_equal(&items[i]->image, &items[i + n]->image);)
			n++;
		/* without an id it has no history: what has its place is compared, or replaced */
		if (!bmf_uuid_is_none(&items[i]->image))
			r = add_image(manifest, dest, &items[i], n, seeds);
	}
	free(items);
	return r;
}

/*
 * A replica that was at a later checkpoint in that place is no copy of an earlier one, also if its
 * manifest is gone: its images have the names that they had when it was synced last (I1).
 */
static int check_place(const struct sync *s, const struct bmf_state *state,
		       const struct bmf_checkpoint *checkpoint)
{
	char uuid[BMF_UUID_TEXT];

	for (size_t i = 0; i < state->ncursors; i++) {
		const struct bmf_cursor *cursor = &state->cursors[i];
		uint64_t at = cursor->at > cursor->pending ? cursor->at : cursor->pending;

		if (at <= checkpoint->number || strcmp(cursor->label, s->replica.label) != 0)
			continue;
		return fail_text(s->err, -EEXIST, VERB, s->replica.path, NULL,
				 "the replica %s was there, at checkpoint %llu or on its way; if "
				 "this is what is "
				 "left of it: mirrorctl adopt; if it was copied anew: mirrorctl "
				 "replica forget",
				 bmf_uuid_format(&cursor->replica, uuid), (unsigned long long)at);
	}
	return 0;
}

/* What DEST is, if it is what the user says; or why it can't be. */
static int look_at(struct sync *s, const struct tree *dest, const struct bmf_state *state,
		   struct manifest *ret, uint64_t *ret_seeds)
{
	struct manifest manifest = { .source = state ? state->source : (struct bmf_uuid){ { 0 } } };
	const struct bmf_checkpoint *checkpoint = NULL;
	struct listing listing;
	uint64_t seeds = 0;
	int r = read_list(s, state, &checkpoint, &listing);

	if (r < 0)
		return r;
	manifest.checkpoint = checkpoint->number;
	manifest.checkpoint_uuid = checkpoint->uuid;
	manifest.block_shift = state->block_shift;
	r = check_place(s, state, checkpoint);
	if (r == 0)
		r = check_strangers(s, dest, &listing);
	if (r == 0) {
		r = list_images(&manifest, dest, &listing, &seeds);
		if (r < 0)
			fail_errno(s->err, r, VERB, s->replica.path, NULL);
	}
	listing_destroy(&listing);
	if (r == 0 && seeds == 0)
		r = fail_text(s->err, -ENODATA, VERB, s->replica.path, NULL,
			      "no image of the source is there as large as it was at that "
			      "checkpoint; give the directory that was copied to, or mirrorctl "
			      "adopt");
	if (r < 0) {
		manifest_destroy(&manifest);
		return r;
	}
	*ret = manifest;
	*ret_seeds = seeds;
	return 0;
}

int sync_check_copy(struct sync *s, const char *dest, const struct bmf_state *state)
{
	const struct bmf_uuid *source = state ? &state->source : NULL;
	struct manifest manifest;
	struct tree *tree = NULL;
	uint64_t seeds;
	int r = replica_look(dest, &s->view, source, true, &s->replica, s->err);

	if (r < 0)
		return r;
	if (sync_is_copy(s)) {
		r = replica_read_tree(&s->replica, &tree, s->err);
		if (r == 0)
			r = look_at(s, tree, state, &manifest, &seeds);
		if (r == 0)
			manifest_destroy(&manifest);
		tree_free(tree);
	}
	replica_close(&s->replica);
	s->replica.path = dest;
	return r;
}

int sync_seed(struct sync *s, const struct bmf_state *state)
{
	struct manifest manifest;
	uint64_t seeds;
	int r = look_at(s, s->dest, state, &manifest, &seeds);

	if (r < 0)
		return r;
	/* a new one, so that digests that are left of a former replica aren't believed */
	r = bmf_uuid_generate(&manifest.replica);
	if (r == 0 && !s->options->dry_run && syncfs(s->replica.fd) < 0)
		r = -errno;
	if (r < 0)
		fail_errno(s->err, r, VERB, s->replica.path, NULL);
	else if (!s->options->dry_run)
		r = replica_save(&s->replica, &manifest, s->err);
	else
		r = replica_set(&s->replica, &manifest, s->err);
	manifest_destroy(&manifest);
	if (r < 0)
		return r;
	s->replica.has_manifest = true;
	s->result->seeded = true;
	s->result->seeds = seeds;
	return 0;
}
