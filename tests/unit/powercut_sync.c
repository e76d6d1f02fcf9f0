/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * powercut_sync.c - a sync in miniature, step by step as tools/sync.c has them (Y1 to Y7)
 *
 * Blocks that the replica has already are overwritten in place; what is new to it comes with
 * the moment at which it arrives.
 *
 * Some arrive by a name: the copy is made by other means, and the source knows of no replica that
 * is at the checkpoint, only that it is to be kept (tools/named.h, N1 to N5).
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/history.h"
#include "bitmapfile/tracker.h"
#include "bitmapfile/walk.h"
#include "tests/unit/powercut.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

static const struct bmf_uuid replica = { { 1, 2, 3 } };

struct copying {
	struct world *w;
	struct bmf_store *store;
	struct bmf_state *state;
	uint64_t from, to; /* checkpoints */
};

/* All blocks of it, or those of the delta, as they are now. */
static int copy_image(struct copying *c, int fd, const struct bmf_history *history)
{
	const struct bmf_io *io = c->w->fs.io;
	struct bmf_bits *delta = NULL;
	uint64_t now[BLOCKS];
	const struct record *known;
	char id[BMF_UUID_TEXT];
	struct record *r;

	pthread_mutex_lock(&c->w->disk->lock);
	r = powercut_record(c->w, simdisk_handle(c->w->disk, fd), true);
	known = powercut_replica(c->w, &history->id);
	pthread_mutex_unlock(&c->w->disk->lock);
	if (history->reason == BMF_REASON_NONE && c->from && known)
		bmf_chain_delta(history->sidecar, c->from, c->to, &delta);
	ck_assert_msg(!delta || known == r, "an image is taken for another");
	/* what the cache shows of an image whose fsync failed is not what the disk has */
	if (history->reason == BMF_REASON_IO_ERROR)
		simdisk_evict(c->w->disk, fd);
	if (io->fdatasync(io, fd) < 0) {
		bmf_bits_free(delta);
		return -EIO;
	}
	powercut_read(io, fd, now);
	pthread_mutex_lock(&c->w->disk->lock);
	for (size_t b = 0; b < BLOCKS; b++) {
		if (delta && !bmf_bits_test(delta, b)) {
			/* what isn't copied is what the replica has, and had better be right */
			r->next[b] = r->content[b];
			continue;
		}
		r->next[b] = now[b];
		if (r->on_replica)
			r->content[b] = now[b];
	}
	r->copied = history->has_id; /* or nothing is known of it: made since the checkpoint */
	r->id = history->id;
	pthread_mutex_unlock(&c->w->disk->lock);
	powercut_tell(c->w, "copied file %" PRIu64 " with id %.8s: %s", r->handle,
		      bmf_uuid_format(&history->id, id),
		      delta ? "delta" : bmf_reason_text(history->reason));
	if (!delta)
		atomic_fetch_add(&c->w->counters->full, 1);
	bmf_bits_free(delta);
	return 0;
}

static int visit(const struct bmf_walk_entry *entry, void *arg)
{
	struct copying *c = arg;
	struct bmf_history history;
	int fd, r;

	if (!S_ISREG(entry->st->st_mode))
		return 0;
	fd = c->w->fs.io->reopen(c->w->fs.io, entry->fd, O_RDONLY);
	if (fd < 0)
		return fd;
	r = bmf_history_load(c->store, c->state, fd, 0, BMF_HISTORY_LIVE, &history, NULL);
	if (r == 0) {
		r = copy_image(c, fd, &history);
		bmf_history_destroy(&history);
	}
	c->w->fs.io->close(c->w->fs.io, fd);
	return r;
}

static int copy_images(struct world *w, uint64_t to)
{
	struct copying c = { .w = w, .from = w->at, .to = to };
	int r;

	r = bmf_store_open(w->fs.io, w->root, 0, NULL, &c.store, NULL);
	if (r < 0)
		return r;
	r = bmf_store_load_state(c.store, &c.state, NULL);
	if (r == 0) {
		r = bmf_walk(w->fs.io, w->root, visit, &c, NULL);
		bmf_state_free(c.state);
	}
	bmf_store_close(c.store);
	return r;
}

/* From here on the replica is at that checkpoint, whatever becomes of the source. */
static void arrive(struct world *w, const struct bmf_checkpoint *checkpoint, uint64_t keeps)
{
	pthread_mutex_lock(&w->disk->lock);
	for (size_t i = 0; i < RECORDS; i++) {
		struct record *r = &w->records[i];

		r->on_replica = r->copied;
		r->behind = r->behind && !r->copied;
		if (r->copied)
			memcpy(r->content, r->next, sizeof(r->content));
		r->copied = false;
	}
	w->at = checkpoint->number;
	w->at_uuid = checkpoint->uuid;
	w->at_keeps = keeps;
	w->at_syncs = w->nsyncs;
	pthread_mutex_unlock(&w->disk->lock);
}

/* A checkpoint for somebody else: ours is the newest no more, and kept for what needs it. */
static int pass_over(struct world *w)
{
	struct bmf_source *s = w->fs.source;
	struct bmf_commit commit;
	int r = mfs_gate_close(&w->fs.gate, 10000);

	if (r < 0)
		return r;
	bmf_source_advance(s);
	mfs_gate_open(&w->fs.gate);
	return bmf_source_commit(s, NULL, NULL, &commit, NULL);
}

void powercut_sync(struct world *w)
{
	struct bmf_checkpoint at = { .number = w->at, .uuid = w->at_uuid };
	struct bmf_source *s = w->fs.source;
	bool named = rng_below(&w->rng, 4) == 0;
	struct bmf_commit commit;
	struct bmf_error err;
	uint64_t keeps;

	powercut_tell(w, "sync from %" PRIu64, w->at);
	if (w->at && rng_below(&w->rng, 3) == 0 && pass_over(w) < 0)
		return;
	if (w->at && bmf_source_arrived(s, &replica, &at, NULL) < 0)
		return;
	/* the replica keeps it now; one that has no name has none to lose */
	if (w->at && bmf_source_name(s, &at, NULL) < 0 && w->disk->off)
		return;
	if (mfs_gate_close(&w->fs.gate, 10000) < 0)
		return;
	pthread_mutex_lock(&w->disk->lock);
	keeps = w->nkeeps;
	w->nsyncs++;
	for (size_t i = 0; i < RECORDS; i++)
		w->records[i].copied = false;
	pthread_mutex_unlock(&w->disk->lock);
	bmf_source_advance(s);
	mfs_gate_open(&w->fs.gate);
	/* guests go on, and so does the keeper */
	if (!w->concurrent)
		for (uint64_t i = rng_below(&w->rng, 4); i > 0; i--)
			powercut_guest(w, (unsigned int)rng_below(&w->rng, SLOTS), &w->rng);
	if (rng_below(&w->rng, 3) == 0)
		bmf_source_keep(s);
	if (bmf_source_commit(s, named ? NULL : &replica, "replica", &commit, &err) < 0)
		return;
	if (rng_below(&w->rng, 6) == 0)
		return; /* mirrorctl was killed */
	powercut_tell(w, "committed %" PRIu64, commit.checkpoint.number);
	if (copy_images(w, commit.checkpoint.number) < 0 || w->disk->off)
		return;
	if (named && bmf_source_name(s, &commit.checkpoint, "seed") < 0)
		return;
	arrive(w, &commit.checkpoint, keeps);
	powercut_tell(w, "replica at %" PRIu64, w->at);
	atomic_fetch_add(&w->counters->syncs, 1);
	if (named || rng_below(&w->rng, 6) == 0)
		return;
	bmf_source_arrived(s, &replica, &commit.checkpoint, NULL);
}
