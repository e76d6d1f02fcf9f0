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
#include "tools/progress.h"
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

static int fail_dest(struct sync *s, const struct plan_node *node, int code, const char *verb)
{
	return fail_errno(s->err, code, verb, s->replica.path, sync_path(node));
}

static int copy_content(struct sync *s, struct plan_node *node, int dest_fd)
{
	int r = s->options->dry_run ? 0 : sync_flush_image(s, node);

	if (r == 0 && !s->options->dry_run) {
		node->changed = true;
		if (ftruncate(dest_fd, (off_t)s->image.size) < 0)
			r = fail_dest(s, node, -errno, "set size of");
	}
	if (r < 0)
		return r;
	s->copy.sink = s->options->dry_run ? &copy_to_nowhere : &copy_to_file;
	s->copy.old_fd = dest_fd;
	if (node->dest)
		direct_open(&s->copy.dest, dest_fd, O_RDWR);
	else
		direct_open_cached(&s->copy.dest, dest_fd);
	r = sync_copy_image(s, node, s->digests_fd, s->image.size);
	direct_close(&s->copy.dest);
	return r;
}

static void note_refusal(struct sync *s, const struct plan_node *node,
			 const struct meta_refusal *refusal)
{
	if (refusal->what & (META_OWNER | META_GROUP | META_MODE))
		text_note(&s->nowner, &s->first_owner, sync_path(node));
	if (refusal->what & META_XATTRS)
		text_note(&s->nxattrs, &s->first_xattrs, sync_path(node));
}

static int apply_meta(struct sync *s, struct plan_node *node, int source_fd, int dest_fd)
{
	struct meta source = { 0 }, dest = { 0 };
	struct meta_refusal refusal;
	int r = meta_read(source_fd, &source);

	if (r < 0)
		return sync_fail_source(s, node, r, "read metadata of");
	r = meta_apply(&source, dest_fd, &dest, &refusal);
	if (r < 0)
		fail_dest(s, node, r, "set metadata of");
	else
		note_refusal(s, node, &refusal);
	meta_destroy(&source);
	meta_destroy(&dest);
	return r;
}

static int take_stamp(struct sync *s, const struct plan_node *node, int fd, struct bmf_stamp *ret)
{
	int r = bmf_stamp_take(&bmf_io_posix, fd, ret);

	return r < 0 ? fail_dest(s, node, r, "stat") : 0;
}

/* A part of a new image is worth nothing, and may be what filled the disk. */
static int discard_part(int fd)
{
	return ftruncate(fd, 0) < 0 ? -errno : 0;
}

/* An image whose content is to be copied: open on both sides, then both together. */
static int sync_content(struct sync *s, struct plan_node *node)
{
	int dest_fd = -1, r = sync_open_image(s, node);

	if (sync_is_gone(s, r))
		return sync_vanish(s, node);
	if (r < 0)
		return sync_fail_source(s, node, r, "open");
	if (!s->options->dry_run)
		dest_fd = counterpart_open_rw(s->replica.fd, node);
	else if (node->dest)
		dest_fd = beneath_open(s->replica.fd, node->dest->first->path, O_RDONLY, 0);
	if (dest_fd < 0 && !s->options->dry_run)
		r = counterpart_fail(s->err, s->replica.path, node, dest_fd);
	else
		r = copy_content(s, node, dest_fd);
	if (r == 0 && !s->options->dry_run) {
		r = apply_meta(s, node, s->image.file_fd, dest_fd);
		if (r == 0 && !s->flush_all && fsync(dest_fd) < 0)
			r = fail_dest(s, node, -errno, "flush");
		if (r == 0)
			r = take_stamp(s, node, dest_fd, &node->stamp);
	}
	if (r < 0 && !s->options->dry_run && !node->dest && dest_fd >= 0)
		discard_part(dest_fd);
	source_image_close(&s->image);
	if (dest_fd >= 0)
		close(dest_fd);
	return r;
}

/* As in an update that is staged: what somebody has changed meanwhile is left to the next sync. */
static int file_metadata(struct sync *s, struct plan_node *node, int source_fd, int dest_fd)
{
	struct bmf_stamp now;
	int r = take_stamp(s, node, dest_fd, &now);

	if (r < 0 || (node->dest &&
		      counterpart_is_touched(&node->dest->stamp, &node->source->st.st_mtim, &now)))
		return r;
	node->changed = true;
	r = apply_meta(s, node, source_fd, dest_fd);
	return r < 0 ? r : take_stamp(s, node, dest_fd, &node->stamp);
}

/* A file of any kind, of which only the metadata may have to change, or the stamp did. */
static int sync_metadata(struct sync *s, struct plan_node *node)
{
	int dest_fd, source_fd = tree_open(s->source, node->source), r;

	if (sync_is_gone(s, source_fd))
		return S_ISDIR(node->source->st.st_mode) ? 0 : sync_vanish(s, node);
	if (source_fd < 0)
		return sync_fail_source(s, node, source_fd, "open");
	dest_fd = counterpart_open(s->replica.fd, node);
	if (dest_fd < 0) {
		close(source_fd);
		return counterpart_fail(s->err, s->replica.path, node, dest_fd);
	}
	r = S_ISREG(node->source->st.st_mode) ? file_metadata(s, node, source_fd, dest_fd)
					      : apply_meta(s, node, source_fd, dest_fd);
	close(source_fd);
	close(dest_fd);
	return r;
}

int sync_files(struct sync *s)
{
	int r = 0;

	progress_enter(PROGRESS_COPYING);
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
	progress_enter(PROGRESS_COMMITTING);
	if (fsync(s->digests_fd) < 0)
		return fail_errno(s->err, -errno, "flush digests of", s->replica.path, NULL);
	if (!s->flush_all && s->steps.n == 0 && !s->plan->any_meta)
		return 0;
	if (syncfs(s->replica.fd) < 0)
		return fail_errno(s->err, -errno, "flush", s->replica.path, NULL);
	return 0;
}
