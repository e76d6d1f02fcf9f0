/* SPDX-License-Identifier: GPL-2.0-or-later */
/* publish_data.c - content and metadata of a replica's files, as a journal has them */
#include "config.h"

#include "tools/copy.h"
#include "tools/counterpart.h"
#include "tools/progress.h"
#include "tools/publish_internal.h"
#include "tools/stop.h"
#include "tools/text.h"

#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct plan_node *node_of(struct publish *p, uint64_t index)
{
	return &p->plan->nodes[index];
}

static int failed_at(struct publish *p, const struct plan_node *node, int code, const char *verb)
{
	return publish_failed(p, code, verb, node->source->first->path);
}

/* ---- content ---- */

/* Opens what the extents that follow belong to; copy->dest.fd is -1 if it is gone. */
static int begin_file(struct publish *p, struct copy *copy, const struct stream_record *record)
{
	struct plan_node *node = node_of(p, record->content.node);
	int fd;

	if (node->vanished)
		return 0;
	if (stop_signal())
		return -ECANCELED;
	fd = counterpart_open_rw(p->replica->fd, node);
	if (fd < 0)
		return counterpart_fail(p->err, p->replica->path, node, fd);
	direct_open(&copy->dest, fd, O_RDWR);
	node->changed = true;
	if (ftruncate(fd, (off_t)record->content.size) < 0)
		return failed_at(p, node, -errno, "set size of");
	return 0;
}

static int end_file(struct publish *p, struct copy *copy, const struct stream_record *record)
{
	const struct plan_node *node = node_of(p, record->content.node);
	int fd = copy->dest.fd, r = copy_drain(copy);

	direct_close(&copy->dest);
	if (fd >= 0 && close(fd) < 0 && r == 0)
		return failed_at(p, node, -errno, "close");
	return r < 0 ? failed_at(p, node, r, copy->verb) : 0;
}

static int put_extent(struct publish *p, struct copy *copy, const struct plan_node *node,
		      const struct stream_record *record)
{
	int r;

	if (copy->dest.fd < 0)
		return 0;
	r = stream_tree_put_extent(copy, record);
	if (r == -ECANCELED)
		return r;
	return r < 0 ? failed_at(p, node, r, copy->verb) : 0;
}

static int read_contents(struct publish *p, struct stream_reader *reader, struct copy *copy)
{
	const struct plan_node *node = NULL;
	struct stat st;
	struct stream_record record;
	uint64_t nbytes = fstat(p->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	int r;

	do {
		r = stop_signal() ? -ECANCELED : stream_next(reader, &record, p->err);
		if (r < 0)
			return r;
		progress_update(record.offset, nbytes);
		switch (record.type) {
		case STREAM_CONTENT:
			node = node_of(p, record.content.node);
			progress_image(node->source->first->path);
			r = begin_file(p, copy, &record);
			break;
		case STREAM_DATA:
		case STREAM_ZERO:
			r = put_extent(p, copy, node, &record);
			break;
		case STREAM_CONTENT_END:
			r = end_file(p, copy, &record);
			break;
		default:
			break;
		}
	} while (r == 0 && record.type != STREAM_FOOTER);
	return r;
}

static bool has_content(const struct publish *p)
{
	for (size_t i = 0; i < p->want.n; i++)
		if (p->want.nodes[i].content == STREAM_DELTA ||
		    p->want.nodes[i].content == STREAM_WHOLE)
			return true;
	return false;
}

int publish_content(struct publish *p)
{
	struct copy copy = { .sink = &copy_to_file, .dest = { .fd = -1, .direct_fd = -1 } };
	struct stream_reader *reader;
	int r;

	if (!has_content(p))
		return 0;
	r = publish_open_stream(p, &reader);
	if (r < 0)
		return r;
	r = copy_ring_new(p->threads, &copy.ring);
	r = r == 0 ? read_contents(p, reader, &copy)
		   : publish_failed(p, r, "publish update of", NULL);
	if (copy.dest.fd >= 0) {
		int fd = copy.dest.fd;

		copy_drain(&copy);
		direct_close(&copy.dest);
		close(fd);
	}
	copy_ring_free(copy.ring);
	stream_reader_close(reader);
	return r;
}

/* ---- metadata ---- */

static void note_refusal(struct publish *p, const struct plan_node *node,
			 const struct meta_refusal *refusal)
{
	const char *path = node->source->first->path;

	if (refusal->what & (META_OWNER | META_GROUP | META_MODE))
		text_note(&p->report->nowner, &p->report->first_owner, path);
	if (refusal->what & META_XATTRS)
		text_note(&p->report->nxattrs, &p->report->first_xattrs, path);
}

static int apply_meta(struct publish *p, const struct plan_node *node, int fd,
		      const struct meta *meta)
{
	struct meta_refusal refusal;
	struct meta has = { 0 };
	int r = meta_apply(meta, fd, &has, &refusal);

	if (r < 0)
		failed_at(p, node, r, "set metadata of");
	else
		note_refusal(p, node, &refusal);
	meta_destroy(&has);
	return r;
}

static int take_stamp(struct publish *p, const struct plan_node *node, int fd,
		      struct bmf_stamp *ret)
{
	int r = bmf_stamp_take(&bmf_io_posix, fd, ret);

	return r < 0 ? failed_at(p, node, r, "stat") : 0;
}

/*
 * A file whose content this update leaves alone, and somebody has changed, is left as it is: the
 * next sync shall see that.
 */
static int apply_meta_of_file(struct publish *p, struct plan_node *node, int fd,
			      const struct stream_tree_node *what)
{
	struct bmf_stamp now;
	int r = take_stamp(p, node, fd, &now);

	if (r < 0 || (what->content == STREAM_SAME &&
		      counterpart_is_touched(&what->stamp, &what->meta.st.st_mtim, &now)))
		return r;
	r = apply_meta(p, node, fd, &what->meta);
	return r < 0 ? r : take_stamp(p, node, fd, &node->stamp);
}

/* One that it doesn't concern at all keeps the stamp that it had, for the same reason. */
static int publish_meta_of(struct publish *p, size_t index, bool directories)
{
	struct plan_node *node = &p->plan->nodes[index];
	const struct stream_tree_node *what = &p->want.nodes[index];
	mode_t mode = node->source->st.st_mode;
	int r, fd;

	if (node->vanished || S_ISDIR(mode) != directories)
		return 0;
	node->stamp = what->stamp;
	if (S_ISREG(mode) && !what->busy)
		return 0;
	fd = counterpart_open(p->replica->fd, node);
	if (fd < 0)
		return counterpart_fail(p->err, p->replica->path, node, fd);
	r = S_ISREG(mode) ? apply_meta_of_file(p, node, fd, what)
			  : apply_meta(p, node, fd, &what->meta);
	close(fd);
	return r;
}

int publish_metadata(struct publish *p)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->want.n; i++)
		r = stop_signal() ? -ECANCELED : publish_meta_of(p, i, false);
	for (size_t i = p->want.n; r == 0 && i > 0; i--)
		r = publish_meta_of(p, i - 1, true);
	return r;
}
