/* SPDX-License-Identifier: GPL-2.0-or-later */
/* named.c - named checkpoints of a source: made, and let go of */
#include "config.h"

#include "bitmapfile/identity.h"
#include "tools/fail.h"
#include "tools/listing.h"
#include "tools/named.h"
#include "tools/since.h"
#include "tools/tree.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

static int read_state(void *arg, struct bmf_state **ret)
{
	return source_view_state(arg, ret, NULL);
}

static void sweep(struct source_view *view)
{
	listing_sweep(view->store->dir_fd, read_state, view);
}

/* ---- N1 ---- */

static int taken(const struct source_view *view, const char *name, struct bmf_error *err)
{
	return fail_text(err, -EEXIST, "make checkpoint of", view->path, NULL,
			 "there is one named '%s'; choose another name, or delete that", name);
}

int named_check(struct source_view *view, const char *name, struct bmf_error *err)
{
	struct bmf_state *state;
	int r = since_check_name(name, err);

	if (r == 0)
		r = source_view_state(view, &state, err);
	if (r < 0)
		return r;
	if (bmf_state_named(state, name))
		r = taken(view, name, err);
	bmf_state_free(state);
	return r;
}

/* ---- N3 ---- */

/* Which image it is: none for one that can't be recognised by its id later. */
static int identify(struct source_view *view, const struct bmf_state *state,
		    const struct tree_node *node, int fd, struct bmf_uuid *ret, bool *ret_doubted)
{
	struct bmf_history history;
	int r = source_view_history(view, state, fd, node->st.st_ino, false, &history, NULL);

	if (r < 0)
		return r;
	*ret = (struct bmf_uuid){ { 0 } };
	if (history.has_id && history.reason != BMF_REASON_COPIED &&
	    history.reason != BMF_REASON_NO_ID)
		*ret = history.id;
	*ret_doubted = source_view_doubts(&history);
	bmf_history_destroy(&history);
	return 0;
}

static int flush(struct source_view *view, const struct tree_node *node, int fd, bool doubted,
		 struct bmf_error *err)
{
	struct source_image image;
	int r = source_image_open(fd, source_view_has_snapshot(view) ? view->info.pid : 0, &image);

	if (r < 0)
		return fail_errno(err, r, "open", view->path, node->first->path);
	r = source_view_flush(view, &image, node->first->path, doubted, err);
	source_image_close(&image);
	return r;
}

static int list_image(struct source_view *view, const struct bmf_state *state,
		      const struct tree_node *node, int fd, struct listing *listing,
		      struct bmf_error *err)
{
	struct bmf_uuid id;
	bool doubted = false;
	int r = identify(view, state, node, fd, &id, &doubted);

	for (const struct tree_entry *name = node->first; r == 0 && name; name = name->next)
		r = listing_add(listing, &id, name->path, (uint64_t)node->st.st_size);
	if (r < 0)
		return fail_errno(err, r, "read bitmaps of", view->path, node->first->path);
	return flush(view, node, fd, doubted, err);
}

static int list_images(struct source_view *view, const struct bmf_state *state,
		       struct listing *listing, struct bmf_error *err)
{
	struct tree *tree;
	int r = tree_read(view->path, view->tree_fd, 0, &tree, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < tree->nnodes; i++) {
		const struct tree_node *node = tree->nodes[i];
		int fd;

		if (!S_ISREG(node->st.st_mode))
			continue;
		fd = tree_open(tree, node);
		if (fd < 0) {
			r = fail_errno(err, fd, "open", view->path, node->first->path);
		} else {
			r = list_image(view, state, node, fd, listing, err);
			close(fd);
		}
	}
	tree_free(tree);
	return r;
}

/* ---- all of it ---- */

static int save_list(struct source_view *view, const struct bmf_state *state,
		     const struct bmf_checkpoint *checkpoint, struct bmf_error *err)
{
	struct listing listing = { .source = state->source,
				   .checkpoint = checkpoint->uuid,
				   .number = checkpoint->number };
	int r = list_images(view, state, &listing, err);

	if (r == 0) {
		r = listing_save(view->store->dir_fd, &listing);
		if (r < 0)
			fail_errno(err, r, "save list of images of", view->path, NULL);
	}
	listing_destroy(&listing);
	return r;
}

/* The clock that times of files are taken from moves a tick at a time, some milliseconds. */
static void pass_tick(int64_t time_ns)
{
	struct timespec now, tick;

	if (clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0 &&
	    clock_getres(CLOCK_REALTIME_COARSE, &tick) == 0 && bmf_stamp_time(&now) <= time_ns)
		nanosleep(&tick, NULL);
}

int named_finish(struct source_view *view, const struct bmf_checkpoint *checkpoint,
		 const char *name, struct bmf_error *err)
{
	struct bmf_state *state;
	int r = source_view_state(view, &state, err);

	if (r < 0)
		return r;
	r = save_list(view, state, checkpoint, err);
	bmf_state_free(state);
	if (r == 0) {
		r = source_view_name(view, checkpoint, name, err);
		if (r == -EEXIST)
			taken(view, name, err);
		if (r == -ENOENT)
			r = fail_text(err, -EAGAIN, "make checkpoint of", view->path, NULL,
				      "others were made at the same moment; try again");
		if (r < 0)
			listing_remove(view->store->dir_fd, &checkpoint->uuid);
	}
	sweep(view);
	if (r == 0)
		pass_tick(checkpoint->time_ns);
	return r;
}

/* ---- the other way round ---- */

static int unname(struct source_view *view, const struct bmf_checkpoint *checkpoint,
		  struct bmf_error *err)
{
	int r = source_view_track(view, err);

	if (r == 0)
		r = source_view_name(view, checkpoint, NULL, err);
	if (r == 0) {
		listing_remove(view->store->dir_fd, &checkpoint->uuid);
		sweep(view);
	}
	return r;
}

int named_delete(const char *path, const char *name, struct bmf_error *err)
{
	const struct bmf_checkpoint *found;
	struct bmf_error why = { 0 };
	struct source_view view;
	struct bmf_state *state;
	/* only looks, so that a directory that is no source doesn't become one */
	int r = source_view_peek(path, &state, err), closed;

	if (r < 0)
		return r;
	found = bmf_state_named(state, name);
	r = found ? source_view_locate(path, &view, err) : -ENOENT;
	if (found && r == 0) {
		r = unname(&view, found, err);
		closed = source_view_close(&view, &why);
		if (r == 0 && closed < 0) {
			*err = why;
			r = closed;
		}
	}
	bmf_state_free(state);
	if (r == -ENOENT)
		fail_text(err, r, "delete checkpoint", path, name,
			  "there is none of that name; mirrorctl checkpoint list shows them");
	return r;
}
