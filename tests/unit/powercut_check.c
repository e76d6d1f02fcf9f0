/* SPDX-License-Identifier: GPL-2.0-or-later */
/* powercut_check.c - the oracle: what is believed of a disk that a power cut left */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/history.h"
#include "bitmapfile/walk.h"
#include "tests/unit/powercut.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>

/* Regions that are armed ahead of a sequential writer, at most: as tracker.c has it. */
#define ARMED_AHEAD 8

struct checking {
	struct world *w;
	struct simdisk *after;
	struct bmf_store *store;
	struct bmf_state *state;
};

/* The test ends unless ok. */
static void require(const struct world *w, bool ok, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void require(const struct world *w, bool ok, const char *format, ...)
{
	char text[512];
	va_list args;

	if (ok)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	w->explain(w);
	ck_abort_msg("%s", text);
}

/* Is there a reason why that image has no history? */
static bool may_be_lost(const struct record *r)
{
	return r->unlinked || r->failed || r->behind;
}

/* Written to since the sync began, or so shortly before that it was armed? */
static bool is_recent(const struct world *w, const struct record *r, uint64_t region)
{
	return (r->touch_sync[region] >= w->at_syncs && w->at_syncs) ||
	       r->touch_keep[region] + 2 >= w->at_keeps;
}

/*
 * May blocks of that region be dirty, other than by having been copied since?  Armed are what was
 * written to, some regions after it, and those around it in a window that is twice as large with
 * each region that was written to; so with one it is that region alone.
 */
static bool may_be_dirty(const struct world *w, const struct record *r, uint64_t region)
{
	uint64_t window = 1;

	for (uint64_t i = 0; i < REGIONS; i++)
		if (is_recent(w, r, i) && window < REGIONS)
			window *= 2;
	window = window > 1 ? window / 2 : 1;
	for (uint64_t i = 0; i < REGIONS; i++) {
		bool ahead = i <= region && region - i <= ARMED_AHEAD;

		if (is_recent(w, r, i) && (ahead || i / window == region / window))
			return true;
	}
	return false;
}

static void check_promises(const struct world *w, const struct record *r,
			   const uint64_t now[BLOCKS], const char *name)
{
	for (size_t b = 0; b < BLOCKS; b++)
		require(w, !r->acked[b] || now[b] == r->promised[b],
			"%s: block %zu was promised to be durable", name, b);
}

/* There is a history: is it true, and is it worth something? */
static void check_history(struct checking *c, const struct record *r,
			  const struct bmf_history *history, const uint64_t now[BLOCKS],
			  const char *name)
{
	struct world *w = c->w;
	const struct record *known = powercut_replica(w, &history->id);
	struct bmf_bits *delta;
	int result = bmf_chain_delta(history->sidecar, w->at, c->state->generation + 1, &delta);

	if (result == -ENOENT) {
		require(w, !r || !r->on_replica || may_be_lost(r),
			"%s: history does not reach back to checkpoint %" PRIu64
			", but to %" PRIu64,
			name, w->at, history->sidecar->since);
		return;
	}
	ck_assert_int_eq(result, 0);
	require(w, !known || known == r, "%s: is taken for another image", name);
	for (uint64_t b = 0; known && b < BLOCKS; b++) {
		bool dirty = bmf_bits_test(delta, b);

		atomic_fetch_add(&w->counters->blocks, 1);
		if (now[b] != r->content[b]) {
			require(w, dirty, "%s: block %" PRIu64 " was missed", name, b);
		} else if (dirty) {
			atomic_fetch_add(&w->counters->needless, 1);
			require(w,
				w->damaged || w->concurrent ||
					may_be_dirty(w, r, b * BLOCK >> REGION_SHIFT),
				"%s: block %" PRIu64 " is dirty, and nobody wrote there", name, b);
		}
	}
	bmf_bits_free(delta);
}

static void check_image(struct checking *c, int fd, const char *path)
{
	const struct bmf_io *io = &c->after->io;
	struct world *w = c->w;
	uint64_t handle = simdisk_handle(c->after, fd), now[BLOCKS];
	struct record *r = powercut_record(w, handle, false);
	struct bmf_history history;
	struct bmf_error err = { 0 };
	char name[128];

	snprintf(name, sizeof(name), "'%s' (file %" PRIu64 ")", path, handle);
	powercut_read(io, fd, now);
	if (r)
		check_promises(w, r, now, name);
	if (!w->at)
		return;
	require(w,
		bmf_history_load(c->store, c->state, fd, c->state->generation, 0, &history, &err) ==
			0,
		"%s: %s", name, err.text);
	if (history.reason == BMF_REASON_NONE)
		check_history(c, r, &history, now, name);
	else
		require(w, !r || !r->on_replica || may_be_lost(r), "%s: %s %s", name,
			bmf_reason_text(history.reason), err.text);
	bmf_history_destroy(&history);
}

static int visit(const struct bmf_walk_entry *entry, void *arg)
{
	struct checking *c = arg;
	int fd;

	if (!S_ISREG(entry->st->st_mode))
		return 0;
	fd = c->after->io.reopen(&c->after->io, entry->fd, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	check_image(c, fd, entry->path);
	c->after->io.close(&c->after->io, fd);
	return 0;
}

void powercut_check(struct world *w, struct simdisk *after)
{
	struct checking c = { .w = w, .after = after };
	const struct bmf_checkpoint *at;
	struct bmf_error err = { 0 };
	int root = simdisk_root(after), r;

	atomic_fetch_add(&w->counters->states, 1);
	r = bmf_store_open(&after->io, root, BMF_STORE_LOCK, "test", &c.store, &err);
	if (r == 0) {
		r = bmf_store_load_state(c.store, &c.state, &err);
		if (r < 0)
			bmf_store_close(c.store);
	}
	if (r == 0) {
		at = bmf_state_checkpoint(c.state, w->at);
		require(w, !w->at || (at && bmf_uuid_equal(&at->uuid, &w->at_uuid)),
			"checkpoint %" PRIu64 ", that the replica is at, is forgotten", w->at);
		ck_assert_int_eq(bmf_walk(&after->io, root, visit, &c, &err), 0);
		bmf_state_free(c.state);
		bmf_store_close(c.store);
	} else {
		require(w, r == -ENOENT && !w->begun, "%s", err.text);
	}
	after->io.close(&after->io, root);
	ck_assert_uint_eq(simdisk_open_fds(after), 0);
}
