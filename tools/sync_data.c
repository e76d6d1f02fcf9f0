/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync_data.c - content and metadata of the files of a replica
 *
 * Names are in place by now, and the replica is marked as incomplete.
 */
#include "config.h"

#include "tools/beneath.h"
#include "tools/counterpart.h"
#include "tools/fail.h"
#include "tools/stop.h"
#include "tools/sync_internal.h"
#include "tools/text.h"

#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *path_of(const struct plan_node *node)
{
	return node->source->first->path;
}

static int fail_source(struct sync *s, const struct plan_node *node, int code, const char *verb)
{
	return sync_explain(s, fail_errno(s->err, code, verb, s->view.path, path_of(node)));
}

static int fail_dest(struct sync *s, const struct plan_node *node, int code, const char *verb)
{
	return fail_errno(s->err, code, verb, s->replica.path, path_of(node));
}

/* Counts, and keeps the first path as an example. */
static void note(uint64_t *count, char **first, const char *path)
{
	if ((*count)++ == 0)
		*first = strdup(path);
}

/* In a snapshot nothing vanishes: there it is a failure like any other. */
static bool is_gone(const struct sync *s, int code)
{
	return !source_view_has_snapshot(&s->view) &&
	       (code == -ENOENT || code == -ESTALE || code == -ENOTDIR);
}

/* The source's file left while we worked: the next sync will see what became of it. */
static int vanish(struct sync *s, struct plan_node *node)
{
	node->vanished = true;
	note(&s->nvanished, &s->first_vanished, path_of(node));
	return 0;
}

static int open_source(struct sync *s, const struct plan_node *node)
{
	int pid = source_view_has_snapshot(&s->view) ? s->view.info.pid : 0;
	int r, path_fd = tree_open(s->source, node->source);

	if (path_fd < 0)
		return path_fd;
	r = source_image_open(path_fd, pid, &s->image);
	close(path_fd);
	return r;
}

static void tick(void *arg, uint64_t nbytes)
{
	struct sync *s = arg;

	s->ticked += nbytes;
	s->result->bytes_scanned += nbytes;
	if (s->options->progress)
		s->options->progress(s->options->progress_arg, s->ticked, s->plan->scan_total);
}

/* A range failed: the message names the image, the side and the place. */
static int fail_copy(struct sync *s, const struct plan_node *node, int r)
{
	if (r == -ECANCELED || !s->copy.verb)
		return r;
	fail_text(s->err, r, s->copy.verb, s->copy.at_source ? s->view.path : s->replica.path,
		  path_of(node), "%s at offset %llu", fail_reason(r),
		  (unsigned long long)s->copy.offset);
	if (!s->copy.at_source)
		return r;
	s->lost = r == -ENODATA && source_view_has_snapshot(&s->view);
	return sync_explain(s, r);
}

static int copy_bits(struct sync *s, const struct plan_node *node, uint64_t size)
{
	unsigned int shift = s->plan->block_shift;
	uint64_t from = 0, first, n, nblocks = (size + (UINT64_C(1) << shift) - 1) >> shift;
	int r = 0;

	while (r == 0 && bmf_bits_next(node->bits, from, nblocks, &first, &n)) {
		uint64_t offset = first << shift, end = (first + n) << shift;

		r = copy_range(&s->copy, offset, (end < size ? end : size) - offset);
		from = first + n;
	}
	return r;
}

static int copy_ranges(struct sync *s, const struct plan_node *node, uint64_t size)
{
	int r;

	s->copy.source = &s->image;
	s->copy.tick = tick;
	s->copy.tick_arg = s;
	s->copy.sink = s->options->dry_run ? &copy_to_nowhere : &copy_to_file;
	s->copy.verb = NULL;
	if (node->reason != FULL_NONE) {
		posix_fadvise(s->image.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		r = copy_range(&s->copy, 0, size);
	} else {
		r = copy_bits(s, node, size);
	}
	if (r < 0)
		return fail_copy(s, node, r);
	source_image_release(&s->image, size);
	return 0;
}

/*
 * I1: what the replica gets must not be newer than what a power cut leaves at the
 * source, because the bits that would say so are let go when the replica has
 * arrived.  So the source's data goes to stable storage first.
 *
 * A failure is told only once, and it was us whom the kernel told: the next fdatasync, of the
 * next sync or of a guest, would succeed without having written anything.  So the source is told.
 */
static int flush_source(struct sync *s, const struct plan_node *node)
{
	char reason[128];
	int r, error;

	if (fdatasync(s->image.fd) == 0) {
		/*
		 * Pages that couldn't be written are clean in the cache; what the disk has
		 * instead is what the image will be.
		 */
		if (node->suspect)
			posix_fadvise(s->image.fd, 0, 0, POSIX_FADV_DONTNEED);
		return 0;
	}
	error = -errno;
	snprintf(reason, sizeof(reason), "%s", fail_reason(error));
	r = source_view_suspect(&s->view, &s->image);
	if (r == 0)
		return fail_errno(s->err, error, "flush", s->view.path, path_of(node));
	return fail_text(s->err, error, "flush", s->view.path, path_of(node),
			 "%s; and it couldn't be noted that its content is in doubt (%s): check it "
			 "before the next sync",
			 reason, fail_reason(r));
}

static int copy_content(struct sync *s, struct plan_node *node)
{
	int r = s->options->dry_run ? 0 : flush_source(s, node);

	if (r == 0 && !s->options->dry_run) {
		node->changed = true;
		if (ftruncate(s->copy.dest_fd, (off_t)s->image.size) < 0)
			r = fail_dest(s, node, -errno, "set size of");
	}
	return r < 0 ? r : copy_ranges(s, node, s->image.size);
}

static void note_refusal(struct sync *s, const struct plan_node *node,
			 const struct meta_refusal *refusal)
{
	if (refusal->what & (META_OWNER | META_GROUP | META_MODE))
		note(&s->nowner, &s->first_owner, path_of(node));
	if (refusal->what & META_XATTRS)
		note(&s->nxattrs, &s->first_xattrs, path_of(node));
}

static int apply_meta(struct sync *s, struct plan_node *node, int source_fd, int dest_fd)
{
	struct meta source = { 0 }, dest = { 0 };
	struct meta_refusal refusal;
	int r = meta_read(source_fd, &source);

	if (r < 0)
		return fail_source(s, node, r, "read metadata of");
	r = meta_apply(&source, dest_fd, &dest, &refusal);
	if (r < 0)
		fail_dest(s, node, r, "set metadata of");
	else
		note_refusal(s, node, &refusal);
	meta_destroy(&source);
	meta_destroy(&dest);
	return r;
}

/* A part of a new image is worth nothing, and may be what filled the disk. */
static int discard_part(int fd)
{
	return ftruncate(fd, 0) < 0 ? -errno : 0;
}

/* An image whose content is to be copied: open on both sides, then both together. */
static int sync_content(struct sync *s, struct plan_node *node)
{
	int r = open_source(s, node);

	if (is_gone(s, r))
		return vanish(s, node);
	if (r < 0)
		return fail_source(s, node, r, "open");
	s->copy.dest_fd = -1;
	if (!s->options->dry_run)
		s->copy.dest_fd = counterpart_open_rw(s->replica.fd, node);
	else if (node->dest)
		s->copy.dest_fd = beneath_open(s->replica.fd, node->dest->first->path, O_RDONLY, 0);
	if (s->copy.dest_fd < 0 && !s->options->dry_run)
		r = counterpart_fail(s->err, s->replica.path, node, s->copy.dest_fd);
	else
		r = copy_content(s, node);
	if (r == 0 && !s->options->dry_run) {
		r = apply_meta(s, node, s->image.file_fd, s->copy.dest_fd);
		if (r == 0 && !s->flush_all && fsync(s->copy.dest_fd) < 0)
			r = fail_dest(s, node, -errno, "flush");
		if (r == 0)
			r = bmf_stamp_take(&bmf_io_posix, s->copy.dest_fd, &node->stamp);
	}
	if (r < 0 && !s->options->dry_run && !node->dest && s->copy.dest_fd >= 0)
		discard_part(s->copy.dest_fd);
	source_image_close(&s->image);
	if (s->copy.dest_fd >= 0)
		close(s->copy.dest_fd);
	return r;
}

/* A file of any kind, of which only the metadata may have to change, or the stamp did. */
static int sync_metadata(struct sync *s, struct plan_node *node)
{
	int dest_fd, source_fd = tree_open(s->source, node->source), r;

	if (is_gone(s, source_fd))
		return S_ISDIR(node->source->st.st_mode) ? 0 : vanish(s, node);
	if (source_fd < 0)
		return fail_source(s, node, source_fd, "open");
	dest_fd = counterpart_open(s->replica.fd, node);
	if (dest_fd < 0) {
		close(source_fd);
		return counterpart_fail(s->err, s->replica.path, node, dest_fd);
	}
	r = apply_meta(s, node, source_fd, dest_fd);
	if (r == 0 && S_ISREG(node->source->st.st_mode)) {
		node->changed = true;
		r = bmf_stamp_take(&bmf_io_posix, dest_fd, &node->stamp);
		if (r < 0)
			fail_dest(s, node, r, "stat");
	}
	close(source_fd);
	close(dest_fd);
	return r;
}

int sync_files(struct sync *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->source->nnodes; i++) {
		struct plan_node *node = &s->plan->nodes[i];

		if (node->vanished || S_ISDIR(node->source->st.st_mode))
			continue;
		if (stop_signal())
			return -ECANCELED;
		if (node->work)
			r = sync_content(s, node);
		else if (!s->options->dry_run && (node->meta || node->changed))
			r = sync_metadata(s, node);
	}
	s->result->bytes_copied = s->copy.copied;
	s->result->bytes_zeroed = s->copy.zeroed;
	return r;
}

int sync_directories(struct sync *s)
{
	int r = 0;

	for (size_t i = s->source->nentries; r == 0 && i > 0; i--) {
		struct plan_node *node = &s->plan->nodes[s->source->entries[i - 1].node->index];

		if (S_ISDIR(node->source->st.st_mode))
			r = sync_metadata(s, node);
	}
	return r;
}

/*
 * Images were flushed one by one, unless there are many.  Names, metadata and links
 * have no cheaper way that works for all of them.  An earlier error of writing back is
 * told here too, as the descriptor is open since before the first write.
 */
int sync_flush(struct sync *s)
{
	if (!s->flush_all && s->steps.n == 0 && !s->plan->any_meta)
		return 0;
	if (syncfs(s->replica.fd) < 0)
		return fail_errno(s->err, -errno, "flush", s->replica.path, NULL);
	return 0;
}
