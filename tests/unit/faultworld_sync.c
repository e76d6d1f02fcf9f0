/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faultworld_sync.c - the replica of a world, and whether its readers would miss a change */
#include "config.h"

#include "tests/unit/faultworld_internal.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/history.h"
#include "bitmapfile/identity.h"
#include "tests/unit/faultmem.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct bmf_checkpoint world_at;
struct bmf_uuid world_source;
struct world_content world_replica[WORLD_IMAGES];

static struct world_content at_rollover[WORLD_IMAGES], now;
static const struct bmf_uuid replica = { { 7 } };

/* ---- what images hold ---- */

static void read_content(enum world_image image, struct world_content *content)
{
	int fd = openat(world_dir_fd, world_names[image], O_RDONLY);

	memset(content, 0, sizeof(*content));
	if (fd < 0)
		return;
	content->exists = true;
	content->size = (size_t)pread(fd, content->bytes, WORLD_BYTES, 0);
	ck_assert_uint_le(content->size, WORLD_BYTES);
	close(fd);
}

/* The replica's file is cut or grown to the new size before it gets blocks. */
static bool differs(const struct world_content *a, const struct world_content *b, size_t block)
{
	size_t from = block * WORLD_BLOCK, n = 0;

	if (from < b->size)
		n = b->size - from < WORLD_BLOCK ? b->size - from : WORLD_BLOCK;
	return memcmp(a->bytes + from, b->bytes + from, n) != 0;
}

/* ---- what readers believe ---- */

/* -errno, or 0 with the bits from checkpoint `from` on; NULL: all dirty */
static int load_delta(enum world_image image, uint64_t from, uint64_t to, unsigned int flags,
		      struct bmf_bits **ret)
{
	const struct bmf_checkpoint *known;
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	int fd, r;

	*ret = NULL;
	r = bmf_store_open(&bmf_io_posix, world_dir_fd, 0, NULL, &store, NULL);
	if (r < 0)
		return r;
	r = bmf_store_load_state(store, &state, NULL);
	known = r == 0 ? bmf_state_checkpoint(state, from) : NULL;
	if (r == 0) {
		fd = openat(world_dir_fd, world_names[image], O_PATH);
		ck_assert_int_eq(bmf_history_load(store, state, fd, state->generation, flags,
						  &history, NULL),
				 0);
		close(fd);
		if (history.reason == BMF_REASON_NONE && known &&
		    bmf_uuid_equal(&known->uuid, &world_at.uuid) &&
		    bmf_chain_delta(history.sidecar, from,
				    flags & BMF_HISTORY_LIVE ? to : state->generation + 1, ret) < 0)
			*ret = NULL;
		bmf_history_destroy(&history);
		bmf_state_free(state);
	}
	bmf_store_close(store);
	return r;
}

static void check_image(enum world_image image, const struct world_content *from,
			const struct world_content *to, const struct bmf_bits *delta,
			const char *when)
{
	for (size_t i = 0; from->exists && to->exists && delta && i < WORLD_BLOCKS; i++)
		if (differs(from, to, i) && !bmf_bits_test(delta, i))
			ck_abort_msg("%s: block %zu of %s was missed", when, i, world_names[image]);
}

void world_check(const char *when)
{
	for (int i = 0; i < WORLD_IMAGES; i++) {
		struct bmf_bits *delta;

		read_content(i, &now);
		/* a state that is gone or damaged has everything dirty */
		if (!now.exists || load_delta(i, world_at.number, 0, 0, &delta) < 0)
			continue;
		check_image(i, &world_replica[i], &now, delta, when);
		bmf_bits_free(delta);
	}
}

long world_history(enum world_image image)
{
	struct bmf_bits *delta;
	long n;

	ck_assert_int_eq(load_delta(image, world_at.number, 0, 0, &delta), 0);
	if (!delta)
		return -1;
	n = (long)bmf_bits_count(delta, 0, BMF_BITS_MAX);
	bmf_bits_free(delta);
	return n;
}

bool world_has_sidecar(enum world_image image)
{
	char name[sizeof(BMF_STATE_DIR "/bitmaps/") + BMF_UUID_TEXT] = BMF_STATE_DIR "/bitmaps/";
	int fd = openat(world_dir_fd, world_names[image], O_RDONLY);
	struct bmf_uuid id;
	int r = bmf_identity_read(&bmf_io_posix, fd, &id);

	close(fd);
	bmf_uuid_format(&id, name + strlen(name));
	return r == 0 && faccessat(world_dir_fd, name, F_OK, 0) == 0;
}

/* ---- syncs ---- */

/* Reads the sidecars as mirrorctl does, in a process that has memory. */
static void check_while_it_runs(uint64_t number)
{
	faultmem_pause(true);
	for (int i = 0; world_at.number && i < WORLD_IMAGES; i++) {
		struct bmf_bits *delta;

		read_content(i, &now);
		if (!now.exists)
			continue;
		ck_assert_int_eq(load_delta(i, world_at.number, number, BMF_HISTORY_LIVE, &delta),
				 0);
		check_image(i, &world_replica[i], &at_rollover[i], delta, "a reader while it runs");
		bmf_bits_free(delta);
	}
	faultmem_pause(false);
}

static int sync_replica(bool quiet)
{
	struct bmf_commit commit;
	struct bmf_error err = { 0 };
	int r = 0;

	/* what the replica knows better than the source: see bmf_source_commit() */
	if (world_at.number)
		r = bmf_source_arrived(world_fs.source, &replica, &world_at, "replica");
	if (r == -ENOENT) {
		world_at.number = 0; /* the state was lost: it is copied in full */
	} else if (r < 0) {
		world_errors++;
		return r;
	}
	ck_assert_int_eq(mfs_gate_close(&world_fs.gate, 60000), 0);
	bmf_source_advance(world_fs.source);
	mfs_gate_open(&world_fs.gate);
	for (int i = 0; i < WORLD_IMAGES; i++)
		read_content(i, &at_rollover[i]);
	if (!quiet)
		world_write(IMAGE, 1, 1);
	r = bmf_source_commit(world_fs.source, &replica, "replica", &commit, &err);
	if (r < 0) {
		ck_assert_msg(err.text[0], "commit: %d without a word", r);
		world_errors++;
		return r;
	}
	check_while_it_runs(commit.checkpoint.number);
	memcpy(world_replica, at_rollover, sizeof(world_replica));
	world_at = commit.checkpoint;
	/* if the source doesn't hear of it, the next sync says it */
	if (bmf_source_arrived(world_fs.source, &replica, &world_at, "replica") < 0)
		world_errors++;
	return 0;
}

int world_sync(void)
{
	return sync_replica(false);
}

int world_sync_quietly(void)
{
	return sync_replica(true);
}

/* The replicas of a source are those of its UUID. */
void world_check_source(void)
{
	struct bmf_store *store;
	struct bmf_state *state;

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, world_dir_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_msg(bmf_uuid_equal(&state->source, &world_source), "it is another source now");
	bmf_state_free(state);
	bmf_store_close(store);
}
