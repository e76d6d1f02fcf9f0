/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_source.c - what a sync reads of its source's images: all of one, or its dirty blocks */
#include "config.h"

#include "tools/fail.h"
#include "tools/progress.h"
#include "tools/sync_internal.h"
#include "tools/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int sync_fail_source(struct sync *s, const struct plan_node *node, int code, const char *verb)
{
	return sync_explain(s, fail_errno(s->err, code, verb, s->view.path, sync_path(node)));
}

/* In a snapshot nothing vanishes: there it is a failure like any other. */
bool sync_is_gone(const struct sync *s, int code)
{
	return !source_view_has_snapshot(&s->view) &&
	       (code == -ENOENT || code == -ESTALE || code == -ENOTDIR);
}

/* The source's file left while we worked: the next sync will see what became of it. */
int sync_vanish(struct sync *s, struct plan_node *node)
{
	node->vanished = true;
	text_note(&s->nvanished, &s->first_vanished, sync_path(node));
	return 0;
}

int sync_open_image(struct sync *s, const struct plan_node *node)
{
	int pid = source_view_has_snapshot(&s->view) ? s->view.info.pid : 0;
	int r, path_fd = tree_open(s->source, node->source);

	if (path_fd < 0)
		return path_fd;
	r = source_image_open(path_fd, pid, &s->image);
	close(path_fd);
	return r;
}

void sync_tick(void *arg, uint64_t nbytes)
{
	struct sync *s = arg;

	s->ticked += nbytes;
	progress_update(s->ticked, s->plan->scan_total);
}

static void tick(void *arg, uint64_t nbytes)
{
	struct sync *s = arg;

	s->result->bytes_scanned += nbytes;
	sync_tick(s, nbytes);
}

/* Of what the replica has of it, by the name that it has there. */
static int fail_rest(struct sync *s, const struct plan_node *node, int r)
{
	const char *way_out =
		s->rest->at_source
			? "; sync with --in-place, or mend it with mirrorctl scrub --repair"
			: "";

	return fail_text(s->err, r, s->copy.verb, s->replica.path,
			 s->rest->at_source ? node->dest->first->path : sync_path(node),
			 "%s at offset %llu%s", fail_reason(r), (unsigned long long)s->copy.offset,
			 way_out);
}

/* A range failed: the message names the image, the side and the place. */
static int fail_copy(struct sync *s, const struct plan_node *node, int r)
{
	if (r == -ECANCELED || !s->copy.verb)
		return r;
	if (s->rest && s->copy.of_rest)
		return fail_rest(s, node, r);
	fail_text(s->err, r, s->copy.verb, s->copy.at_source ? s->view.path : s->replica.path,
		  sync_path(node), "%s at offset %llu", fail_reason(r),
		  (unsigned long long)s->copy.offset);
	if (!s->copy.at_source)
		return r;
	s->lost = r == -ENODATA && source_view_has_snapshot(&s->view);
	return sync_explain(s, r);
}

int sync_copy(struct sync *s, const struct plan_node *node, uint64_t size,
	      const struct resync *resync)
{
	unsigned int shift = s->plan->block_shift;
	uint64_t nblocks = (size + (UINT64_C(1) << shift) - 1) >> shift;
	int r;

	s->copy.source = &s->image;
	s->copy.tick = tick;
	s->copy.tick_arg = s;
	s->copy.verb = NULL;
	s->copy.size = size;
	progress_image(sync_path(node));
	if (node->reason != FULL_NONE) {
		posix_fadvise(s->image.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		r = resync ? resync_image(resync) : copy_range(&s->copy, 0, size);
	} else if (s->rest) {
		r = copy_blocks_and_rest(&s->copy, s->rest, node->bits, shift);
	} else {
		r = copy_blocks(&s->copy, node->bits, shift, 0, nblocks);
	}
	if (r < 0)
		return fail_copy(s, node, r);
	source_image_release(&s->image, size, 0);
	return 0;
}

/*
 * I1: what the replica gets must not be newer than what a power cut leaves at the
 * source, because the bits that would say so are let go when the replica has
 * arrived.  So the source's data goes to stable storage first.
 */
int sync_flush_image(struct sync *s, const struct plan_node *node)
{
	return source_view_flush(&s->view, &s->image, sync_path(node), node->suspect, s->err);
}

static bool was_changed(const struct stat *was, const struct stat *now)
{
	/* A name that was made or removed meanwhile moves the ctime, and no byte. */
	bool ctime =
		was->st_nlink == now->st_nlink && (was->st_ctim.tv_sec != now->st_ctim.tv_sec ||
						   was->st_ctim.tv_nsec != now->st_ctim.tv_nsec);

	return ctime || was->st_size != now->st_size ||
	       was->st_mtim.tv_sec != now->st_mtim.tv_sec ||
	       was->st_mtim.tv_nsec != now->st_mtim.tv_nsec;
}

/*
 * Who writes to an image of a source that isn't mounted gets in nobody's way, but in that of a sync
 * that has read it half.  One that has left by now was held until it was read.
 */
static int confirm_image(struct sync *s, const struct plan_node *node)
{
	struct stat now;
	int r, fd = tree_open(s->source, node->source);

	if (sync_is_gone(s, fd))
		return 0;
	r = fd < 0 ? fd : fstat(fd, &now) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return sync_fail_source(s, node, r, "look at");
	if (!was_changed(&node->source->st, &now))
		return 0;
	return fail_text(
		s->err, -EBUSY, "read", s->view.path, sync_path(node),
		"it was changed while the sync read it; mount a mirrorfs there, which keeps "
		"what it was, or sync while nothing uses it");
}

int sync_confirm(struct sync *s)
{
	int r = sync_explain(s, 0);

	if (source_view_has_snapshot(&s->view))
		return r;
	for (size_t i = 0; r == 0 && i < s->source->nnodes; i++)
		if (s->plan->nodes[i].work && !s->plan->nodes[i].vanished)
			r = confirm_image(s, &s->plan->nodes[i]);
	return r;
}
