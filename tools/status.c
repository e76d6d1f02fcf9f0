/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c - what is known of a directory that is a source, a replica or both */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/journal.h"
#include "tools/replica.h"
#include "tools/source_view.h"
#include "tools/status.h"
#include "tools/stream.h"
#include "tools/tree.h"

#include "bitmapfile/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clipped_bytes(const struct bmf_bits *bits, unsigned int shift, uint64_t size)
{
	uint64_t total = 0, from = 0, first, n;
	uint64_t end = (size + (UINT64_C(1) << shift) - 1) >> shift;

	while (bmf_bits_next(bits, from, end, &first, &n)) {
		uint64_t last = (first + n) << shift;

		total += (last < size ? last : size) - (first << shift);
		from = first + n;
	}
	return total;
}

/* What the next sync would look at, for a replica that is at checkpoint `at`. */
static int dirty_since(const struct bmf_history *history, uint64_t at, uint64_t generation,
		       uint64_t size, uint64_t *ret)
{
	struct bmf_bits *bits = NULL;
	int r = -ENOENT;

	if (history->sidecar && at != 0)
		r = bmf_chain_delta(history->sidecar, at, generation + 1, &bits);
	if (r == -ENOENT) {
		*ret = size;
		return 0;
	}
	if (r < 0)
		return r;
	*ret = clipped_bytes(bits, history->sidecar->block_shift, size);
	bmf_bits_free(bits);
	return 0;
}

static struct status_image *add_image(struct status *status, const char *path)
{
	struct status_image *image;

	if (status->nimages == status->room) {
		size_t room = status->room ? status->room * 2 : 32;
		struct status_image *bigger = reallocarray(status->images, room, sizeof(*bigger));

		if (!bigger)
			return NULL;
		status->images = bigger;
		status->room = room;
	}
	image = &status->images[status->nimages++];
	*image = (struct status_image){
		.path = strdup(path),
		.dirty = calloc(status->state->ncursors + 1, sizeof(uint64_t)),
	};
	return image->path && image->dirty ? image : NULL;
}

/* What a replica would look at only because of a crash; the most that any would. */
static void note_crash_bytes(struct status_image *image, const struct bmf_history *history,
			     uint64_t at, uint64_t dirty)
{
	uint64_t nbytes = 0;

	if (history->sidecar && at >= history->sidecar->since)
		nbytes = bmf_chain_crash_nbytes(history->sidecar, at);
	if (nbytes > dirty)
		nbytes = dirty;
	if (nbytes > image->crash_bytes)
		image->crash_bytes = nbytes;
}

static int measure_image(struct status *status, struct status_image *image,
			 const struct bmf_history *history)
{
	const struct bmf_state *state = status->state;
	int r = 0;

	image->size = history->stamp.size;
	image->reason = history->reason;
	image->armed_bytes = history->armed_bytes;
	if (history->sidecar && history->sidecar->in_use)
		image->armed_regions = bmf_bits_count(history->sidecar->armed, 0, BMF_BITS_MAX);
	for (size_t i = 0; r == 0 && i < state->ncursors; i++) {
		r = dirty_since(history, state->cursors[i].at, state->generation, image->size,
				&image->dirty[i]);
		status->replicas.items[i].dirty += image->dirty[i];
		note_crash_bytes(image, history, state->cursors[i].at, image->dirty[i]);
	}
	for (size_t i = 0; r == 0 && i < status->points.n; i++) {
		struct points_item *point = &status->points.items[i];
		uint64_t dirty;

		r = dirty_since(history, point->checkpoint->number, state->generation, image->size,
				&dirty);
		if (r == 0)
			point->dirty += dirty;
	}
	return r;
}

/* What is believed is not all that is on disk, and some of it isn't there yet: it is read anew. */
static int measure_held(struct status *status, struct source_view *view,
			const struct bmf_history *history)
{
	struct bmf_sidecar *sidecar;
	int r;

	if ((!status->replicas.any_held && !status->points.any_held) ||
	    history->reason != BMF_REASON_NONE)
		return 0;
	r = bmf_store_load_sidecar(view->store, &history->id, &sidecar, NULL);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return 0; /* just removed */
	r = replicas_measure(&status->replicas, sidecar);
	if (r == 0)
		r = points_measure(&status->points, sidecar);
	bmf_sidecar_free(sidecar);
	return r;
}

static int read_image(struct status *status, struct source_view *view, const struct tree *tree,
		      const struct tree_node *node, struct bmf_error *err)
{
	struct bmf_history history;
	struct status_image *image;
	int r, fd = tree_open(tree, node);

	if (fd == -ENOENT || fd == -ESTALE || fd == -ENOTDIR)
		return 0; /* just removed */
	if (fd < 0)
		return fail_errno(err, fd, "open", tree->top, node->first->path);
	r = source_view_history(view, status->state, fd, node->st.st_ino, true, &history, NULL);
	close(fd);
	if (r < 0)
		return fail_errno(err, r, "read bitmaps of", tree->top, node->first->path);
	image = add_image(status, node->first->path);
	r = image ? measure_image(status, image, &history) : -ENOMEM;
	if (r == 0)
		r = measure_held(status, view, &history);
	bmf_history_destroy(&history);
	return r < 0 ? fail_errno(err, r, "read bitmaps of", tree->top, node->first->path) : 0;
}

static int read_images(struct status *status, struct source_view *view, struct bmf_error *err)
{
	struct tree *tree = NULL;
	int r = tree_new(view->path, view->fd, &tree);

	if (r == 0)
		r = replicas_begin(status->state, &status->replicas);
	if (r == 0)
		r = points_begin(status->state, &status->points);
	if (r < 0)
		fail_errno(err, r, "read", view->path, NULL);
	if (r == 0)
		r = tree_add(tree, view->fd, "", 0, err);
	if (r == 0)
		r = tree_finish(tree);
	for (size_t i = 0; r == 0 && i < tree->nnodes; i++)
		if (S_ISREG(tree->nodes[i]->st.st_mode))
			r = read_image(status, view, tree, tree->nodes[i], err);
	tree_free(tree);
	return r;
}

static int read_source(struct status *status, struct source_view *view, struct bmf_error *err)
{
	int r = source_view_read(view, err);

	status->read_only = view->read_only;
	if (r == -ENOENT)
		return 0; /* it has never been one */
	if (r == 0)
		r = source_view_state(view, &status->state, err);
	if (r < 0)
		return r;
	status->is_source = true;
	status->mounted = view->mount_fd >= 0 || view->read_only;
	status->pid = view->info.pid;
	status->is_sealed = bmf_seal_load(&bmf_io_posix, view->fd, &status->seal, NULL) != -ENOENT;
	return read_images(status, view, err);
}

/* A journal that leads to where the manifest is has been published, and is only to be removed. */
static bool leads_on(int journal_fd, const struct manifest *manifest)
{
	const struct stream_expect expect = { .name = "the replica's journal",
					      .replica = &manifest->replica,
					      .journal = true };
	struct stream_reader *reader;
	struct bmf_error why;
	bool there;

	if (stream_reader_open(journal_fd, &expect, &reader, &why) < 0)
		return true;
	there = bmf_uuid_equal(&stream_reader_header(reader)->to_uuid, &manifest->checkpoint_uuid);
	stream_reader_close(reader);
	return !there;
}

static int read_replica(struct status *status, const char *path, int fd, struct bmf_error *err)
{
	int journal_fd = beneath_open(fd, BMF_STATE_DIR "/" JOURNAL_NAME, O_RDONLY, 0);

	status->is_replica = true;
	status->to_recover = journal_fd >= 0 && leads_on(journal_fd, &status->manifest);
	if (journal_fd >= 0)
		close(journal_fd);
	return checkpoints_read(fd, path, &status->manifest.replica, true, &status->kept, err);
}

static int read_source_if_free(struct status *status, struct source_view *view,
			       struct bmf_error *err)
{
	int r = read_source(status, view, err);

	if (r != -EBUSY || !status->is_replica)
		return r;
	status->in_use = *err;
	return 0;
}

int status_read(const char *path, struct status *ret, struct bmf_error *err)
{
	struct status status = { 0 };
	struct source_view view;
	struct timespec now;
	int r = source_view_locate(path, &view, err);

	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	status.time_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	r = replica_read_manifest(view.fd, path, &status.manifest, err);
	if (r == 0)
		r = read_replica(&status, path, view.fd, err);
	if (r == 0 || r == -ENOENT)
		r = read_source_if_free(&status, &view, err);
	source_view_close(&view, NULL);
	if (r < 0) {
		status_destroy(&status);
		return r;
	}
	*ret = status;
	return 0;
}

uint64_t status_bytes(const struct status *status)
{
	uint64_t total = 0;

	for (size_t i = 0; i < status->nimages; i++)
		total += status->images[i].size;
	return total;
}

int status_read_source(const char *path, struct status *ret, struct bmf_error *err)
{
	int r = status_read(path, ret, err);

	if (r < 0 || ret->is_source)
		return r;
	if (ret->in_use.code == 0)
		r = source_view_none(path, err);
	else
		r = (*err = ret->in_use).code;
	status_destroy(ret);
	return r;
}

void status_destroy(struct status *status)
{
	for (size_t i = 0; i < status->nimages; i++) {
		free(status->images[i].path);
		free(status->images[i].dirty);
	}
	free(status->images);
	replicas_destroy(&status->replicas);
	points_destroy(&status->points);
	bmf_seal_destroy(&status->seal);
	bmf_state_free(status->state);
	manifest_destroy(&status->manifest);
	checkpoints_destroy(&status->kept);
	*status = (struct status){ 0 };
}
