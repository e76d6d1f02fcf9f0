/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync_stage.c - writes an update into DEST/.mirrorfs/, where it changes nothing yet
 *
 *   G1  what a sync that died has left there is removed; is there room?
 *   G2  each changed image gets its staged file: a clone of the replica's, where the filesystem
 *       has such, or an empty one, if all of it is to be copied.  Without clones, one that is
 *       brought up to date by bitmap, or by digest, has its changes in the journal; unless they
 *       are most of it: sync_anew.h
 *   G3  the journal: the whole tree as it is to be, with metadata
 *   G4  content: to the staged files, or to the journal
 *       (if old checkpoints are kept as deltas, then also what leads back: reverse.h)
 *   G5  is what was read still true, and the replica still what it was?
 *   G6  staged files, their directory and the journal are durable; the journal gets its
 *       name: from here on it will be published, whatever happens (journal.h)
 *
 * Killed before G6, the replica is what it was.  So it is after every failure: the disk
 * that runs full here is the usual one.
 */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/journal.h"
#include "tools/progress.h"
#include "tools/reverse.h"
#include "tools/stop.h"
#include "tools/stream.h"
#include "tools/sync_anew.h"
#include "tools/text.h"

#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What a failure is called there. */
static const char to_journal[] = "write to the journal";

struct stage {
	struct sync *sync;
	struct journal journal;
	struct stream_writer *writer;
	struct plan_node **order; /* those that the journal has, as it has them; owned */
	size_t n;
	uint64_t spare; /* bytes that are free there and not needed, as far as is known */
};

static int fail_journal(const struct stage *stage, int code, const char *verb)
{
	return fail_errno(stage->sync->err, code, verb, stage->sync->replica.path,
			  BMF_STATE_DIR "/" JOURNAL_NAME);
}

static int fail_staged(const struct stage *stage, const struct plan_node *node, int code,
		       const char *verb)
{
	return fail_errno(stage->sync->err, code, verb, stage->sync->replica.path, sync_path(node));
}

/* ---- G1 ---- */

/* What an image takes at least: its holes take nothing, nor does what won't differ. */
static uint64_t space_for(const struct plan_node *node)
{
	uint64_t allocated = (uint64_t)node->source->st.st_blocks * 512;

	if (node->by_digest)
		return 0;
	return node->scan < allocated ? node->scan : allocated;
}

/* What a delta back to the old checkpoint has of it, at most. */
static uint64_t space_for_old(const struct plan_node *node)
{
	uint64_t has = node->dest ? (uint64_t)node->dest->st.st_blocks * 512 : 0;

	return node->reason == FULL_NONE && node->scan < has ? node->scan : has;
}

/* And of what is removed. */
static uint64_t space_for_removed(const struct sync *s)
{
	uint64_t nbytes = 0;

	for (size_t i = 0; i < s->dest->nnodes; i++)
		if (!s->plan->claims[i] && S_ISREG(s->dest->nodes[i]->st.st_mode))
			nbytes += (uint64_t)s->dest->nodes[i]->st.st_blocks * 512;
	return nbytes;
}

/* It isn't exact, and needn't be: a disk that runs full later is no harm either. */
static int check_space(struct stage *stage)
{
	const struct sync *s = stage->sync;
	char wanted[TEXT_BYTES], there[TEXT_BYTES];
	uint64_t need = 0, kept = s->keep_delta ? space_for_removed(s) : 0, have;
	struct statvfs fs;

	for (size_t i = 0; i < s->source->nnodes; i++) {
		if (!s->plan->nodes[i].work)
			continue;
		need += space_for(&s->plan->nodes[i]);
		if (s->keep_delta)
			kept += space_for_old(&s->plan->nodes[i]);
	}
	if (fstatvfs(s->replica.fd, &fs) < 0)
		return fail_errno(s->err, -errno, "look at", s->replica.path, NULL);
	have = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (geteuid() == 0)
		have = (uint64_t)fs.f_bfree * fs.f_frsize;
	if (need + kept <= have)
		stage->spare = have - need - kept;
	if (need <= have || fs.f_blocks == 0) /* some can't tell */
		return 0;
	return fail_text(s->err, -ENOSPC, "stage update of", s->replica.path, NULL,
			 "it takes %s, and %s are free there", text_bytes(need, wanted),
			 text_bytes(have, there)); /* sync_explain_full() has the way out */
}

/* ---- G2 ---- */

static int note_staged(struct stage *stage, struct plan_node *node, int fd)
{
	int r = bmf_stamp_take(&bmf_io_posix, fd, &node->staged_stamp);

	node->content = STREAM_STAGED;
	node->staged = stage->journal.nstaged;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

/* Is it only in part that its content is to be copied? */
static bool is_patched(const struct plan_node *node)
{
	return node->reason == FULL_NONE || node->by_digest;
}

/* Does its staged file begin as a clone? */
static bool is_cloned(const struct plan_node *node)
{
	return is_patched(node) && !node->anew;
}

/* Where there are no clones. */
static bool take_room_anew(struct stage *stage, const struct plan_node *node)
{
	uint64_t kept;

	if (node->by_digest || !sync_anew_pays(stage->sync, node, stage->spare, &kept))
		return false;
	stage->spare -= kept;
	return true;
}

static int clone_counterpart(struct stage *stage, const struct plan_node *node)
{
	int fd, path_fd = tree_open(stage->sync->dest, node->dest);

	if (path_fd < 0)
		return path_fd;
	fd = beneath_reopen(path_fd, O_RDONLY);
	close(path_fd);
	if (fd >= 0) {
		int clone = journal_clone(&stage->journal, fd);

		close(fd);
		return clone;
	}
	return fd;
}

static int stage_image(struct stage *stage, struct plan_node *node)
{
	int fd;

	if (!is_patched(node)) {
		fd = journal_make(&stage->journal);
	} else {
		fd = clone_counterpart(stage, node);
		if (fd == -EOPNOTSUPP && take_room_anew(stage, node)) {
			node->anew = true;
			fd = journal_make(&stage->journal);
		} else if (fd == -EOPNOTSUPP) {
			node->content = STREAM_DELTA;
			return 0;
		}
	}
	if (fd >= 0)
		fd = note_staged(stage, node, fd);
	return fd < 0 ? fail_staged(stage, node, fd, "stage") : 0;
}

/* Has it left the source by now?  Then it is not in the journal either. */
static int look_for(struct sync *s, struct plan_node *node)
{
	int fd = tree_open(s->source, node->source);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	return sync_is_gone(s, fd) ? sync_vanish(s, node) : sync_fail_source(s, node, fd, "open");
}

static int stage_images(struct stage *stage)
{
	struct sync *s = stage->sync;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->source->nnodes; i++) {
		struct plan_node *node = &s->plan->nodes[i];

		if (node->vanished || !S_ISREG(node->source->st.st_mode))
			continue;
		if (stop_signal())
			return -ECANCELED;
		node->content = STREAM_SAME;
		if (!node->work)
			continue;
		r = look_for(s, node);
		if (r == 0 && !node->vanished)
			r = stage_image(stage, node);
	}
	return r;
}

/* ---- G3 ---- */

/* A directory that has left is taken as it was when it was found. */
static int read_meta(struct sync *s, struct plan_node *node, struct meta *ret)
{
	int r, fd = tree_open(s->source, node->source);

	if (sync_is_gone(s, fd)) {
		if (!S_ISDIR(node->source->st.st_mode))
			return sync_vanish(s, node);
		ret->st = node->source->st;
		return 0;
	}
	if (fd < 0)
		return sync_fail_source(s, node, fd, "open");
	r = meta_read(fd, ret);
	close(fd);
	return r < 0 ? sync_fail_source(s, node, r, "read metadata of") : 0;
}

static int put_links(struct stage *stage, const struct plan_node *node)
{
	int r = 0;

	for (const struct tree_entry *e = node->source->first->next; r == 0 && e; e = e->next)
		r = stream_put_link(stage->writer, e->path);
	return r;
}

static int put_node(struct stage *stage, struct plan_node *node)
{
	struct sync *s = stage->sync;
	char name[JOURNAL_STAGED];
	struct stream_node record = { .path = sync_path(node),
				      .target = node->source->target,
				      .content = node->content,
				      .busy = s->steps.n > 0 || node->work || node->meta };
	int r = read_meta(s, node, &record.meta);

	if (r < 0 || node->vanished)
		return r;
	if (node->has_id)
		record.image = node->id;
	record.stamp = node->stamp;
	if (node->content == STREAM_STAGED) {
		record.staged = journal_staged_name(node->staged, name);
		record.stamp = node->staged_stamp;
	}
	node->size = (uint64_t)record.meta.st.st_size;
	r = stream_put_node(stage->writer, &record);
	if (r == 0)
		r = put_links(stage, node);
	meta_destroy(&record.meta);
	if (r < 0)
		return fail_staged(stage, node, r, to_journal);
	stage->order[stage->n++] = node;
	return 0;
}

static int put_tree(struct stage *stage)
{
	struct sync *s = stage->sync;
	int r = 0;

	stage->order = calloc(s->source->nnodes + 1, sizeof(struct plan_node *));
	if (!stage->order)
		return fail_journal(stage, -ENOMEM, "write");
	for (size_t i = 0; r == 0 && i < s->source->nentries; i++) {
		struct tree_entry *entry = &s->source->entries[i];
		struct plan_node *node = &s->plan->nodes[entry->node->index];

		if (entry == entry->node->first && !node->vanished)
			r = put_node(stage, node);
	}
	return r;
}

static int begin_stream(struct stage *stage, const struct bmf_state *state)
{
	const struct sync *s = stage->sync;
	const struct manifest *manifest = &s->replica.manifest;
	const struct bmf_checkpoint *to = bmf_state_checkpoint(state, s->result->checkpoint);
	struct stream_header header = { .source = state->source,
					.replica = manifest->replica,
					.from = manifest->checkpoint,
					.from_uuid = manifest->checkpoint_uuid,
					.to = s->result->checkpoint,
					.to_uuid = s->result->checkpoint_uuid,
					.to_time_ns = to ? to->time_ns : 0,
					.block_shift = state->block_shift,
					.journal = true };
	unsigned int flags = STREAM_NO_ZSTD | (s->options->threads == 1 ? STREAM_ONE_BY_ONE : 0);
	int r = stream_writer_new(stage->journal.fd, &header, flags, &stage->writer);

	return r < 0 ? fail_journal(stage, r, "write") : 0;
}

/* ---- G4 ---- */

static struct stage *stage_of(struct copy *copy)
{
	return copy->sink_arg;
}

static int data_to_journal(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset)
{
	return nbytes > 0 ? stream_put_data(stage_of(copy)->writer, offset, buf, nbytes) : 0;
}

static int zeros_to_journal(struct copy *copy, uint64_t offset, uint64_t end)
{
	int r = stream_put_zero(stage_of(copy)->writer, offset, end - offset);

	if (r < 0)
		return copy_failed(copy, r, to_journal, false, offset);
	return copy_to_nowhere.zeros(copy, offset, end);
}

static const struct copy_sink copy_to_journal = { .data = data_to_journal,
						  .verb = to_journal,
						  .zeros = zeros_to_journal };

static int look_at_counterpart(const struct sync *s, const struct plan_node *node)
{
	return node->dest ? beneath_open(s->replica.fd, node->dest->first->path, O_RDONLY, 0) : -1;
}

static int write_delta(struct stage *stage, const struct plan_node *node, uint64_t index)
{
	struct sync *s = stage->sync;
	int r = stream_begin_content(stage->writer, index);

	if (r < 0)
		return fail_staged(stage, node, r, to_journal);
	s->copy.sink = &copy_to_journal;
	s->copy.old_fd = look_at_counterpart(s, node);
	r = sync_copy_image(s, node, stage->journal.staging_fd, node->size);
	if (s->copy.old_fd >= 0)
		close(s->copy.old_fd);
	if (r < 0)
		return r;
	r = stream_end_content(stage->writer);
	return r < 0 ? fail_staged(stage, node, r, to_journal) : 0;
}

static int fill_staged(struct stage *stage, const struct plan_node *node, int fd)
{
	struct sync *s = stage->sync;
	bool clone = is_cloned(node);
	int r;

	if (ftruncate(fd, (off_t)node->size) < 0)
		return fail_staged(stage, node, -errno, "set size of");
	s->copy.sink = clone ? &copy_to_file : &copy_to_new;
	s->copy.old_fd = clone ? fd : look_at_counterpart(s, node);
	if (clone)
		direct_open(&s->copy.dest, fd, O_RDWR);
	else
		direct_open_cached(&s->copy.dest, fd);
	r = node->anew ? sync_anew_fill(s, node, stage->journal.staging_fd)
		       : sync_copy_image(s, node, stage->journal.staging_fd, node->size);
	direct_close(&s->copy.dest);
	if (!clone && s->copy.old_fd >= 0)
		close(s->copy.old_fd);
	return r;
}

static int write_staged(struct stage *stage, const struct plan_node *node)
{
	struct sync *s = stage->sync;
	int r, fd = journal_reopen(&stage->journal, node->staged);

	if (fd < 0)
		return fail_staged(stage, node, fd, "open the staged file of");
	r = fill_staged(stage, node, fd);
	if (r == 0 && !s->flush_all && fsync(fd) < 0)
		r = fail_staged(stage, node, -errno, "flush");
	if (close(fd) < 0 && r == 0)
		r = fail_staged(stage, node, -errno, "close");
	return r;
}

static int write_content(struct stage *stage, const struct plan_node *node, uint64_t index)
{
	struct sync *s = stage->sync;
	int r = sync_open_image(s, node);

	if (sync_is_gone(s, r))
		return fail_text(s->err, r, "read", s->view.path, sync_path(node),
				 "it was removed while the sync went on; sync again");
	if (r < 0)
		return sync_fail_source(s, node, r, "open");
	r = sync_flush_image(s, node);
	if (r == 0 && node->content == STREAM_DELTA)
		r = write_delta(stage, node, index);
	else if (r == 0)
		r = write_staged(stage, node);
	source_image_close(&s->image);
	return r;
}

static int write_contents(struct stage *stage)
{
	struct sync *s = stage->sync;
	int r = 0;

	s->copy.sink_arg = stage;
	progress_enter(PROGRESS_COPYING);
	for (size_t i = 0; r == 0 && i < stage->n; i++) {
		if (stop_signal())
			return -ECANCELED;
		if (stage->order[i]->work)
			r = write_content(stage, stage->order[i], i);
	}
	s->result->bytes_copied = s->copy.copied;
	s->result->bytes_zeroed = s->copy.zeroed;
	return r;
}

/* ---- G6 ---- */

/*
 * What somebody has changed since the replica's tree was read would pass for published: digests
 * and stamps are noted when that is done.
 */
static int check_unchanged(const struct stage *stage)
{
	const struct sync *s = stage->sync;

	for (size_t i = 0; i < stage->n; i++) {
		const struct plan_node *node = stage->order[i];
		struct bmf_stamp now;
		int r, fd;

		if (!node->dest || !S_ISREG(node->source->st.st_mode))
			continue;
		fd = tree_open(s->dest, node->dest);
		r = fd < 0 ? fd : bmf_stamp_take(&bmf_io_posix, fd, &now);
		if (fd >= 0)
			close(fd);
		if (r == 0 && !bmf_stamp_equal(&now, &node->dest->stamp))
			r = -ESTALE;
		if (r == -ESTALE || r == -ENOENT)
			return fail_text(s->err, r, "stage update of", s->replica.path,
					 node->dest->first->path,
					 "somebody changes it meanwhile; sync again");
		if (r < 0)
			return fail_errno(s->err, r, "stage update of", s->replica.path,
					  node->dest->first->path);
	}
	return 0;
}

static int commit(struct stage *stage)
{
	const struct sync *s = stage->sync;
	int r;

	progress_enter(PROGRESS_COMMITTING);
	r = stream_finish(stage->writer, NULL);

	if (r < 0)
		return fail_journal(stage, r, "write");
	if (s->flush_all && syncfs(s->replica.fd) < 0)
		return fail_errno(s->err, -errno, "flush", s->replica.path, NULL);
	r = journal_commit(&stage->journal);
	return r < 0 ? fail_journal(stage, r, "commit") : 0;
}

int sync_stage(struct sync *s, const struct bmf_state *state)
{
	struct stage stage = { .sync = s, .journal = { .dir_fd = -1, .staging_fd = -1, .fd = -1 } };
	int r = journal_begin(s->replica.store->dir_fd, &stage.journal);

	if (r < 0)
		return sync_explain_full(s, fail_journal(&stage, r, "begin"));
	r = check_space(&stage);
	if (r == 0)
		r = stage_images(&stage);
	if (r == 0)
		r = begin_stream(&stage, state);
	if (r == 0)
		r = put_tree(&stage);
	if (r == 0)
		r = write_contents(&stage);
	if (r == 0 && s->keep_delta)
		r = reverse_stage(s, stage.journal.staging_fd, state);
	if (r == 0)
		r = sync_confirm(s);
	if (r == 0)
		r = check_unchanged(&stage);
	if (r == 0)
		r = commit(&stage);
	stream_writer_free(stage.writer);
	free(stage.order);
	journal_end(&stage.journal);
	return sync_explain_full(s, r);
}
