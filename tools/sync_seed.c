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
 *     So is one that is older than the checkpoint, see is_older().
 *     One that is missing is copied in full.  All with their reasons (I4).
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

#include "bitmapfile/identity.h"
#include "tools/fail.h"
#include "tools/listing.h"
#include "tools/since.h"
#include "tools/sync_internal.h"
#include "tools/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERB "take for a copy"

/* What is found while the images of the list are looked for. */
struct search {
	const struct tree *dest;
	int64_t checkpoint_ns; /* when it was made, since 1970 */
	uint64_t seeds;	       /* images that are believed */
	uint64_t older;	       /* names of others that lack nothing but youth */
};

/* Is the destination no replica yet, but said to be a copy? */
static bool is_copy(const struct sync *s)
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

/*
 * Was the file there before the checkpoint was?  A name can be deleted and made again, and what was
 * copied for the former one lacks what changed before the new one, with no bit to say so (I1).
 *
 * What is in a file got there after the file was born.  No cp, rsync or tar sets that time, and
 * nothing moves it later: ctime would say only that the last of all changes came after the
 * checkpoint, perhaps a chmod, or the end of a copy that had begun before.  It has to do where the
 * filesystem doesn't tell.  Either may lag behind the clock that the checkpoint was timed with, by
 * the kernel's tick or the filesystem's granularity: that makes a file older, so it is read.
 */
static bool is_older(const struct search *search, const struct tree_node *file)
{
	const struct timespec *since = &file->st.st_ctim;
	struct timespec born;
	struct statx stx;
	int fd = tree_open(search->dest, file), r;

	if (fd < 0)
		return true; /* somebody is moving it */
	r = statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx);
	close(fd);
	if (r == 0 && (stx.stx_mask & STATX_BTIME)) {
		born.tv_sec = stx.stx_btime.tv_sec;
		born.tv_nsec = stx.stx_btime.tv_nsec;
		since = &born;
	}
	return bmf_stamp_time(since) <= search->checkpoint_ns;
}

/* Why the item's file can't be believed, or FULL_NONE; *ret_file is NULL if there is none. */
static enum full_reason judge(struct search *search, const struct listing_item *item,
			      const struct tree_node **ret_file)
{
	const struct tree_node *file = file_at(search->dest, item->path);

	*ret_file = file;
	if (!file)
		return FULL_GONE;
	if ((uint64_t)file->st.st_size != item->size)
		return FULL_SEED;
	if (!is_older(search, file))
		return FULL_NONE;
	search->older++;
	return FULL_OLDER;
}

/* Of an image with n names: the first that is as it should be, or else the first that is there. */
static int add_image(struct manifest *manifest, struct search *search,
		     const struct listing_item *const items[], size_t n)
{
	static const struct bmf_stamp none;
	const struct listing_item *best = items[0];
	const struct tree_node *file = NULL;
	enum full_reason reason = FULL_GONE;

	for (size_t i = 0; i < n && reason != FULL_NONE; i++) {
		const struct tree_node *there;
		enum full_reason found = judge(search, items[i], &there);

		if (found == FULL_NONE || (there && !file)) {
			best = items[i];
			file = there;
			reason = found;
		}
	}
	search->seeds += reason == FULL_NONE;
	return manifest_add(manifest, &best->image, best->path, reason, false,
			    file ? &file->stamp : &none);
}

static int list_images(struct manifest *manifest, struct search *search,
		       const struct listing *listing)
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
			r = add_image(manifest, search, &items[i], n);
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

static int nothing_believed(const struct sync *s, const struct search *search)
{
	if (search->older > 0)
		return fail_text(
			s->err, -ENODATA, VERB, s->replica.path, NULL,
			"all that could be of checkpoint '%s' was there before that was made, such "
			"as for another one that had its name; copy again, or mirrorctl adopt, and "
			"the next sync compares all of it",
			s->options->since);
	return fail_text(s->err, -ENODATA, VERB, s->replica.path, NULL,
			 "no image of the source is there as large as it was at that checkpoint; "
			 "give the directory that was copied to, or mirrorctl adopt");
}

/* What DEST is, if it is what the user says; or why it can't be. */
static int look_at(struct sync *s, const struct tree *dest, const struct bmf_state *state,
		   struct manifest *ret, uint64_t *ret_seeds)
{
	struct manifest manifest = { .source = state ? state->source : (struct bmf_uuid){ { 0 } } };
	const struct bmf_checkpoint *checkpoint = NULL;
	struct search search = { .dest = dest };
	struct listing listing;
	int r = read_list(s, state, &checkpoint, &listing);

	if (r < 0)
		return r;
	search.checkpoint_ns = checkpoint->time_ns;
	manifest.checkpoint = checkpoint->number;
	manifest.checkpoint_uuid = checkpoint->uuid;
	manifest.block_shift = state->block_shift;
	r = check_place(s, state, checkpoint);
	if (r == 0)
		r = check_strangers(s, dest, &listing);
	if (r == 0) {
		r = list_images(&manifest, &search, &listing);
		if (r < 0)
			fail_errno(s->err, r, VERB, s->replica.path, NULL);
	}
	listing_destroy(&listing);
	if (r == 0 && search.seeds == 0)
		r = nothing_believed(s, &search);
	if (r < 0) {
		manifest_destroy(&manifest);
		return r;
	}
	*ret = manifest;
	*ret_seeds = search.seeds;
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
	r = sync_keep_check(s, &s->replica);
	if (r == 0 && is_copy(s)) {
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

static int seed(struct sync *s, const struct bmf_state *state)
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

/* Of an incomplete one it may be this that has begun it.  A follower says it at its first sync. */
static bool means_nothing(const struct sync *s)
{
	const struct manifest *manifest = &s->replica.manifest;

	return !sync_goes_on(s) && (manifest->complete || manifest_is_adopted(manifest));
}

int sync_since(struct sync *s, const struct bmf_state *state)
{
	char since[TEXT_NAME], dest[TEXT_NAME];

	if (is_copy(s))
		return seed(s, state);
	if (!means_nothing(s))
		return 0;
	return sync_warn(s->result, "--since '%s' means nothing: '%s' is a replica already",
			 text_quote(s->options->since, since, sizeof(since)),
			 text_quote(s->replica.path, dest, sizeof(dest)));
}
