/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_tracker_threads.c - trackers under threads
 *
 * Made for ThreadSanitizer as much as for its own oracle: writers, upkeep and rollovers run
 * at once, and after each rollover the sidecars on disk must lead from one checkpoint's
 * content to the next.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sources.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGES 3

static unsigned int seed;

static struct {
	struct bmf_source *source;
	pthread_rwlock_t gate;
	_Atomic bool stop;
	_Atomic uint64_t sequence;
	int fds[IMAGES];
} race;

static void *writer(void *arg)
{
	unsigned int mine = seed + (unsigned int)(uintptr_t)arg;
	struct bmf_tracker *trackers[IMAGES];

	for (int i = 0; i < IMAGES; i++) {
		if (bmf_source_track(race.source, race.fds[i], &trackers[i]) < 0)
			abort();
		bmf_tracker_opened(trackers[i]);
	}
	while (!atomic_load(&race.stop)) {
		int i = rand_r(&mine) % IMAGES;
		uint64_t block = (uint64_t)rand_r(&mine) % BLOCKS;
		uint64_t word = atomic_fetch_add(&race.sequence, 1) + 1;

		pthread_rwlock_rdlock(&race.gate);
		if (bmf_tracker_change(trackers[i], block * BLOCK, BLOCK) < 0 ||
		    pwrite(race.fds[i], &word, sizeof(word), (off_t)(block * BLOCK)) < 0)
			abort();
		pthread_rwlock_unlock(&race.gate);
	}
	for (int i = 0; i < IMAGES; i++) {
		bmf_tracker_closed(trackers[i]);
		bmf_tracker_put(trackers[i]);
	}
	return NULL;
}

static void *keeper(void *arg)
{
	(void)arg;
	while (!atomic_load(&race.stop)) {
		bmf_source_keep(race.source);
		usleep(2000);
	}
	return NULL;
}

static void read_content(uint64_t content[IMAGES][BLOCKS])
{
	for (int i = 0; i < IMAGES; i++)
		for (int b = 0; b < BLOCKS; b++)
			ck_assert_int_eq(pread(race.fds[i], &content[i][b], sizeof(uint64_t),
					       (off_t)b * BLOCK),
					 sizeof(uint64_t));
}

static void check_delta(int i, uint64_t from, uint64_t to, uint64_t a[BLOCKS], uint64_t b[BLOCKS])
{
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	struct bmf_bits *delta;

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_int_eq(
		bmf_history_load(store, state, race.fds[i], 0, BMF_HISTORY_LIVE, &history, NULL),
		0);
	ck_assert_int_eq(history.reason, BMF_REASON_NONE);
	ck_assert_int_eq(bmf_chain_delta(history.sidecar, from, to, &delta), 0);
	for (uint64_t block = 0; block < BLOCKS; block++)
		if (a[block] != b[block])
			ck_assert_msg(bmf_bits_test(delta, block), "image %d block %llu was missed",
				      i, (unsigned long long)block);
	bmf_bits_free(delta);
	bmf_history_destroy(&history);
	bmf_state_free(state);
	bmf_store_close(store);
}

START_TEST(rollovers_under_threads)
{
	static uint64_t before[IMAGES][BLOCKS], after[IMAGES][BLOCKS];
	const struct bmf_uuid replica = { { 9 } };
	struct bmf_commit commit;
	struct bmf_error err;
	pthread_rwlockattr_t attr;
	pthread_t threads[4];
	uint64_t last = 0;

	race.source = source_open(12);
	/* by default readers go first, and the rollover would wait for ever */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&race.gate, &attr);
	pthread_rwlockattr_destroy(&attr);
	atomic_store(&race.stop, false);
	for (int i = 0; i < IMAGES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "image%d", i);
		race.fds[i] = source_image(name, BLOCKS);
	}
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, writer, (void *)i);
	pthread_create(&threads[3], NULL, keeper, NULL);

	for (int round = 0; round < 40; round++) {
		pthread_rwlock_wrlock(&race.gate);
		bmf_source_advance(race.source);
		read_content(after);
		pthread_rwlock_unlock(&race.gate);
		ck_assert_msg(bmf_source_commit(race.source, &replica, NULL, &commit, &err) == 0,
			      "%s", err.text);
		for (int i = 0; last && i < IMAGES; i++)
			check_delta(i, last, commit.checkpoint.number, before[i], after[i]);
		ck_assert_int_eq(bmf_source_arrived(race.source, &replica, &commit.checkpoint, "r"),
				 0);
		last = commit.checkpoint.number;
		memcpy(before, after, sizeof(before));
		usleep(3000);
	}
	atomic_store(&race.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(bmf_source_close(race.source), 0);

	/* and the next to open it, with nothing mounted, finds a clean end */
	read_content(after);
	for (int i = 0; i < IMAGES; i++) {
		check_delta(i, last, last + 1, before[i], after[i]);
		ck_assert_int_eq(source_reason(race.fds[i], NULL), BMF_REASON_NONE);
		close(race.fds[i]);
	}
	pthread_rwlock_destroy(&race.gate);
	ck_assert_int_eq(faultio_open_fds(&source_fault), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tracker_threads");
	TCase *tcase = tcase_create("tracker_threads");

	seed = (unsigned int)rng_start("test_tracker_threads").state;
	tcase_add_checked_fixture(tcase, source_setup, source_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, rollovers_under_threads);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
