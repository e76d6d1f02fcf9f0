/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reverse.c - what an update of a replica is about to overwrite, as a delta that leads back */
#include "config.h"

#include "tools/beneath.h"
#include "tools/checkpoints.h"
#include "tools/fail.h"
#include "tools/holes.h"
#include "tools/pace.h"
#include "tools/reverse.h"
#include "tools/stop.h"
#include "tools/stream.h"

#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file of the replica as it is. */
struct old_node {
	const struct tree_node *file;
	const struct plan_node *owner; /* of the image with its UUID; NULL: it won't be there */
	enum stream_kind content;
	uint64_t size;
};

struct reverse {
	struct sync *sync;
	struct bmf_uuid *images; /* one for each of dest->nodes; none: no image of the manifest */
	struct old_node *order;	 /* those that the stream has, as it has them */
	size_t n;
	struct stream_writer *writer;
};

static int failed(const struct reverse *reverse, int code, const char *verb, const char *path)
{
	return fail_errno(reverse->sync->err, code, verb, reverse->sync->replica.path, path);
}

/* ---- the tree ---- */

static void find_images(struct reverse *reverse)
{
	const struct sync *s = reverse->sync;
	const struct manifest *manifest = &s->replica.manifest;

	for (size_t i = 0; i < manifest->nimages; i++) {
		struct tree_node *file = tree_find_file(s->dest, &manifest->images[i].stamp);

		if (file)
			reverse->images[file->index] = manifest->images[i].image;
	}
}

/* The image, if it is in the new tree too, and what its file becomes. */
static const struct plan_node *owner_of(const struct reverse *reverse, const struct tree_node *file)
{
	const struct plan_node *owner = reverse->sync->plan->claims[file->index];
	const struct bmf_uuid *image = &reverse->images[file->index];

	if (!owner || owner->vanished || !owner->has_id || bmf_uuid_is_none(image) ||
	    !bmf_uuid_equal(&owner->id, image))
		return NULL;
	return owner;
}

static enum stream_kind content_of(const struct tree_node *file, const struct plan_node *owner)
{
	if (!S_ISREG(file->st.st_mode))
		return STREAM_NONE;
	if (!owner)
		return STREAM_WHOLE;
	if (!owner->work)
		return STREAM_SAME;
	return owner->reason == FULL_NONE && owner->bits ? STREAM_DELTA : STREAM_WHOLE;
}

static int put_links(struct reverse *reverse, const struct tree_node *file)
{
	int r = 0;

	for (const struct tree_entry *e = file->first->next; r == 0 && e; e = e->next)
		r = stream_put_link(reverse->writer, e->path);
	return r;
}

static int put_node(struct reverse *reverse, const struct tree_node *file)
{
	struct sync *s = reverse->sync;
	struct old_node *old = &reverse->order[reverse->n++];
	struct stream_node record = { .path = file->first->path,
				      .target = file->target,
				      .image = reverse->images[file->index] };
	int r, fd = tree_open(s->dest, file);

	if (fd < 0)
		return failed(reverse, fd, "open", file->first->path);
	r = meta_read(fd, &record.meta);
	close(fd);
	if (r < 0)
		return failed(reverse, r, "read metadata of", file->first->path);
	old->file = file;
	old->owner = owner_of(reverse, file);
	old->content = record.content = content_of(file, old->owner);
	old->size = (uint64_t)record.meta.st.st_size;
	r = stream_put_node(reverse->writer, &record);
	if (r == 0)
		r = put_links(reverse, file);
	meta_destroy(&record.meta);
	return r < 0 ? failed(reverse, r, "write old state of", file->first->path) : 0;
}

static int put_tree(struct reverse *reverse)
{
	const struct tree *dest = reverse->sync->dest;
	int r = 0;

	for (size_t i = 0; r == 0 && i < dest->nentries; i++) {
		const struct tree_entry *entry = &dest->entries[i];

		if (entry == entry->node->first && !tree_is_in(BMF_STATE_DIR, entry->path) &&
		    !plan_ignores(reverse->sync->plan, entry))
			r = put_node(reverse, entry->node);
	}
	return r;
}

/* ---- content ---- */

static int put_data(struct reverse *reverse, int fd, uint64_t offset, uint64_t end)
{
	void *buffer = reverse->sync->buffer;

	while (offset < end) {
		size_t n = end - offset < SYNC_BUFFER ? (size_t)(end - offset) : SYNC_BUFFER;
		ssize_t got;
		int r;

		pace_read(n);
		if (stop_signal())
			return -ECANCELED;
		got = bmf_io_posix.pread(&bmf_io_posix, fd, buffer, n, (off_t)offset);
		if (got <= 0)
			return got < 0 ? (int)got : -ESTALE;
		r = stream_put_data(reverse->writer, offset, buffer, (size_t)got);
		if (r < 0)
			return r;
		offset += (size_t)got;
	}
	return 0;
}

/* What it holds from offset to end; holes too, if what comes under it may have something there. */
static int put_range(struct reverse *reverse, int fd, uint64_t offset, uint64_t end, bool holes)
{
	uint64_t first, last;
	int r;

	while ((r = holes_next_data(fd, offset, end, &first, &last)) > 0) {
		r = holes && first > offset
			    ? stream_put_zero(reverse->writer, offset, first - offset)
			    : 0;
		if (r == 0)
			r = put_data(reverse, fd, first, last);
		if (r < 0)
			return r;
		offset = last;
	}
	if (r == 0 && holes && offset < end)
		r = stream_put_zero(reverse->writer, offset, end - offset);
	return r;
}

/* The blocks that the update writes, and what it cuts off. */
static int put_overwritten(struct reverse *reverse, const struct old_node *old, int fd)
{
	unsigned int shift = reverse->sync->plan->block_shift;
	uint64_t common = old->owner->size < old->size ? old->owner->size : old->size;
	uint64_t from = 0, first, n, blocks = (common + (UINT64_C(1) << shift) - 1) >> shift;
	int r = 0;

	while (r == 0 && bmf_bits_next(old->owner->bits, from, blocks, &first, &n)) {
		uint64_t offset = first << shift, end = (first + n) << shift;

		r = put_range(reverse, fd, offset, end < common ? end : common, true);
		from = first + n;
	}
	return r == 0 && common < old->size ? put_range(reverse, fd, common, old->size, true) : r;
}

static int open_old(const struct reverse *reverse, const struct old_node *old)
{
	int fd, path_fd = tree_open(reverse->sync->dest, old->file);

	if (path_fd < 0)
		return path_fd;
	fd = beneath_reopen(path_fd, O_RDONLY);
	close(path_fd);
	return fd;
}

/* Is it still what it was when the plan was made?  What somebody writes there is no checkpoint. */
static int check_unchanged(const struct old_node *old, int fd)
{
	struct bmf_stamp now;
	int r = bmf_stamp_take(&bmf_io_posix, fd, &now);

	return r < 0 ? r : bmf_stamp_equal(&now, &old->file->stamp) ? 0 : -ESTALE;
}

static int put_content(struct reverse *reverse, size_t index)
{
	const struct old_node *old = &reverse->order[index];
	int r, fd = open_old(reverse, old);

	if (fd < 0)
		return failed(reverse, fd, "open", old->file->first->path);
	r = stream_begin_content(reverse->writer, index);
	if (r == 0)
		r = old->content == STREAM_DELTA ? put_overwritten(reverse, old, fd)
						 : put_range(reverse, fd, 0, old->size, false);
	if (r == 0)
		r = stream_end_content(reverse->writer);
	if (r == 0)
		r = check_unchanged(old, fd);
	close(fd);
	if (r == -ESTALE)
		return fail_text(reverse->sync->err, r, "keep", reverse->sync->replica.path,
				 old->file->first->path, "somebody changes it; sync again");
	return r < 0 && r != -ECANCELED
		       ? failed(reverse, r, "write old content of", old->file->first->path)
		       : r;
}

/* ---- all of it ---- */

static int write_stream(struct reverse *reverse, int fd, const struct bmf_state *state)
{
	struct sync *s = reverse->sync;
	const struct manifest *manifest = &s->replica.manifest;
	const struct stream_header header = { .source = manifest->source,
					      .replica = manifest->replica,
					      .from = s->result->checkpoint,
					      .from_uuid = s->result->checkpoint_uuid,
					      .to = manifest->checkpoint,
					      .to_uuid = manifest->checkpoint_uuid,
					      .to_time_ns = sync_time_of(s, state),
					      .block_shift = s->plan->block_shift };
	int r = stream_writer_new(fd, &header, 0, &reverse->writer);

	if (r < 0)
		return failed(reverse, r, "write old state of", NULL);
	r = put_tree(reverse);
	for (size_t i = 0; r == 0 && i < reverse->n; i++)
		if (reverse->order[i].content == STREAM_DELTA ||
		    reverse->order[i].content == STREAM_WHOLE)
			r = put_content(reverse, i);
	if (r < 0)
		return r;
	r = stream_finish(reverse->writer, NULL);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? failed(reverse, r, "write old state of", NULL) : 0;
}

int reverse_stage(struct sync *s, int staging_fd, const struct bmf_state *state)
{
	struct reverse reverse = { .sync = s };
	int r, fd;

	fd = openat(staging_fd, REVERSE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return failed(&reverse, -errno, "write old state of", NULL);
	reverse.images = calloc(s->dest->nnodes + 1, sizeof(*reverse.images));
	reverse.order = calloc(s->dest->nnodes + 1, sizeof(*reverse.order));
	if (!reverse.images || !reverse.order) {
		r = failed(&reverse, -ENOMEM, "write old state of", NULL);
	} else {
		find_images(&reverse);
		r = write_stream(&reverse, fd, state);
	}
	stream_writer_free(reverse.writer);
	free(reverse.images);
	free(reverse.order);
	if (close(fd) < 0 && r == 0)
		r = failed(&reverse, -errno, "write old state of", NULL);
	return r;
}

int reverse_publish(const struct replica *replica, int staging_fd, uint64_t number,
		    struct bmf_error *err)
{
	const struct checkpoint checkpoint = { .number = number, .is_delta = true };
	char name[CHECKPOINTS_NAME];
	int r = 0, fd;

	if (faccessat(staging_fd, REVERSE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	fd = checkpoints_open(replica, err);
	if (fd < 0)
		return fd;
	checkpoints_name(&checkpoint, name);
	if (renameat(staging_fd, REVERSE_NAME, fd, name) < 0 || fsync(fd) < 0)
		r = fail_errno(err, -errno, "move old state of", replica->path, NULL);
	close(fd);
	return r;
}
