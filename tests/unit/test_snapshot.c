/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_snapshot.c - snapshots of one image: they show what was, whatever is written since
 *
 * Random changes under the write path, held against copies that the test took itself when
 * it made the snapshots; and writers and readers in threads, for ThreadSanitizer too.
 */
#include "config.h"

#include "tests/unit/scratch.h"
#include "tests/unit/shadows.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define NROUNDS 400

static void check_some(const struct shadow *s)
{
	size_t offset = rng_below(&rng, MAX_BYTES), n = 1 + rng_below(&rng, LENGTH_MAX);

	shadow_check_range(s, offset, n);
	if (rng_below(&rng, 8) == 0)
		shadow_check_all(s);
	if (rng_below(&rng, 8) == 0 && !s->partial)
		shadow_check_seek(s);
}

START_TEST(test_shows_what_was)
{
	rng = rng_start("test_snapshot");
	random_write(0, 30 * BLOCK + 17);
	for (int round = 0; round < NROUNDS; round++) {
		struct shadow *s = &shadows[rng_below(&rng, NSNAPSHOTS)];

		if (!s->snapshot)
			shadow_take(s, 0);
		else if (rng_below(&rng, 10) == 0)
			shadow_drop(s);
		for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
			random_change();
		for (int i = 0; i < NSNAPSHOTS; i++)
			if (shadows[i].snapshot)
				check_some(&shadows[i]);
		if (rng_below(&rng, 16) == 0) {
			bmf_source_keep(image_fs.source);
			mfs_snapshots_keep(&image_fs);
		}
	}
	for (int i = 0; i < NSNAPSHOTS; i++)
		if (shadows[i].snapshot)
			shadow_check_all(&shadows[i]);
	shadows_drop();
}
END_TEST

/* Of a sync's snapshot, what changed since its replica's checkpoint is there. */
START_TEST(test_keeps_what_is_needed)
{
	struct shadow *first = &shadows[0], *s = &shadows[1];
	struct mfs_control_commit plain = { 0 };
	size_t lost = 0;

	rng = rng_start("test_snapshot");
	fill_blocks(300);
	for (int round = 0; round < 20; round++) {
		shadow_take(first, 0);
		ck_assert_int_eq(bmf_source_arrived(image_fs.source, &shadow_replica,
						    &first->checkpoint, NULL),
				 0);
		memset(touched, 0, sizeof(touched));
		for (int n = 0; n < 4; n++) {
			random_write(rng_below(&rng, 300) * BLOCK, 1 + rng_below(&rng, 5 * BLOCK));
			if (n == 2) /* of several generations */
				ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &plain), 0);
		}
		shadow_take(s, first->checkpoint.number);
		memcpy(s->needed, touched, sizeof(touched));
		for (int n = 0; n < 8; n++)
			random_change();
		shadow_check_all(s);
		for (size_t b = 0; b * BLOCK < s->size; b++)
			lost += mfs_snapshot_image_read(s->image, shadow_got, BLOCK,
							(off_t)(b * BLOCK)) == -ENODATA;
		shadows_drop();
	}
	ck_assert_msg(lost > 0, "everything was preserved, needed or not");
}
END_TEST

START_TEST(test_released_is_let_go)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot");
	fill_blocks(8);
	shadow_take(s, 0);
	random_write(0, 4 * BLOCK);
	ck_assert_uint_eq(shadow_preserved(s), 4 * BLOCK);
	/* blocks that lie in it as a whole: 1 and 2 */
	mfs_snapshot_image_release(s->image, BLOCK - 1, 2 * BLOCK + 2);
	ck_assert_uint_eq(shadow_preserved(s), 2 * BLOCK);
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, shadow_got, BLOCK, BLOCK), -ENODATA);
	shadow_check_range(s, 0, BLOCK);
	shadow_check_range(s, 3 * BLOCK, BLOCK);
	mfs_snapshot_image_release(s->image, 4 * BLOCK, MAX_BYTES);
	random_write(4 * BLOCK, 4 * BLOCK);
	ck_assert_uint_eq(shadow_preserved(s), 2 * BLOCK);
	mfs_snapshot_image_release(s->image, 0, MAX_BYTES);
	ck_assert_uint_eq(shadow_preserved(s), 0);
	shadows_drop();
}
END_TEST

/* Of an image that somebody uses no more, but did while the tree was read. */
START_TEST(test_size_is_of_the_instant)
{
	struct mfs_snapshot_request request = { 0 };
	struct mfs_snapshot *s;
	struct bmf_error err;

	rng = rng_start("test_snapshot");
	fill_blocks(8);
	ck_assert_int_eq(mfs_snapshot_new(&image_fs, &request, &s, &err), 0);
	fill_blocks(12);
	if (_i) {
		mfs_handle_close(&image_fs, handle);
		for (int pass = 0; pass < 4; pass++)
			bmf_source_keep(image_fs.source);
	}
	ck_assert_int_eq(bmf_source_departed(image_fs.source) > 0, _i);
	ck_assert_int_eq(mfs_gate_close(&image_fs.gate, 60000), 0);
	ck_assert_int_eq(mfs_snapshot_publish(&image_fs, s), 0);
	mfs_gate_open(&image_fs.gate);
	ck_assert_int_eq(mfs_snapshot_tree_find(mfs_snapshot_top(s), "image")->st.st_size,
			 12 * BLOCK);
	mfs_snapshot_discard(&image_fs, s);
}
END_TEST

START_TEST(test_names)
{
	struct mfs_control_commit message = { .flags = MFS_COMMIT_HOLD, .name = "a-1" };
	struct mfs_control_snapshot_info info = { .name = "a-1" };
	struct mfs_snapshot *s;
	uint64_t number_made;

	ck_assert(!mfs_snapshot_name_ok(""));
	ck_assert(!mfs_snapshot_name_ok("."));
	ck_assert(!mfs_snapshot_name_ok(".hidden"));
	ck_assert(!mfs_snapshot_name_ok("a/b"));
	ck_assert(!mfs_snapshot_name_ok("a\nb"));
	ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &message), 0);
	number_made = message.number;
	ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &message), -EEXIST);
	ck_assert_int_eq(mfs_snapshot_info(&image_fs, &info), 0);
	ck_assert_uint_eq(info.number, number_made);
	s = mfs_snapshot_next(&image_fs, NULL);
	ck_assert_str_eq(mfs_snapshot_name(s), "a-1");
	ck_assert_ptr_null(mfs_snapshot_next(&image_fs, s));
	ck_assert_int_eq(mfs_snapshot_delete(&image_fs, "a-1"), 0);
	ck_assert_int_eq(mfs_snapshot_delete(&image_fs, "a-1"), -ENOENT);
	ck_assert_int_eq(mfs_snapshot_info(&image_fs, &info), -ENOENT);
	ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &message), 0);
}
END_TEST

/* Every block holds one number again and again, which only grows */

#define NTHREADS 4
#define NSHARED 24 /* blocks */

static atomic_bool finished;
static _Atomic uint64_t number;
static atomic_ulong failures, nwrites; /* check's assertions belong to the main thread */

static void *write_numbers(void *arg)
{
	struct rng mine = { (uint64_t)(uintptr_t)arg };
	uint64_t buf[2 * BLOCK / sizeof(uint64_t)];
	size_t n, first;

	while (!atomic_load(&finished)) {
		n = 1 + rng_below(&mine, 2);
		first = rng_below(&mine, NSHARED - n + 1);
		for (size_t i = 0; i < n * BLOCK / sizeof(*buf); i++)
			buf[i] = i % (BLOCK / sizeof(*buf)) ? buf[i - 1]
							    : atomic_fetch_add(&number, 1) + 1;
		if (mfs_image_write(&image_fs, handle->tracker, handle->fd, buf, n * BLOCK,
				    (off_t)(first * BLOCK), false) != (ssize_t)(n * BLOCK))
			atomic_fetch_add(&failures, 1);
		atomic_fetch_add(&nwrites, 1);
	}
	return NULL;
}

static void read_numbers(const struct shadow *s, uint64_t ret[NSHARED])
{
	uint64_t buf[BLOCK / sizeof(uint64_t)];

	for (size_t b = 0; b < NSHARED; b++) {
		ck_assert_int_eq(mfs_snapshot_image_read(s->image, buf, BLOCK, (off_t)(b * BLOCK)),
				 BLOCK);
		for (size_t i = 1; i < BLOCK / sizeof(*buf); i++)
			if (buf[i] != buf[0])
				ck_abort_msg("block %zu is torn", b);
		ret[b] = buf[0];
	}
}

START_TEST(test_threads)
{
	uint64_t once[NSHARED], again[NSHARED], after;
	pthread_t threads[NTHREADS];
	struct shadow *s;

	rng = rng_start("test_snapshot");
	fill_blocks(NSHARED);
	for (uintptr_t i = 0; i < NTHREADS; i++)
		ck_assert(pthread_create(&threads[i], NULL, write_numbers,
					 (void *)(rng_next(&rng) | 1)) == 0);
	while (atomic_load(&nwrites) < 2000) /* every block has been written to */
		usleep(1000);
	for (int round = 0; round < 60; round++) {
		s = &shadows[round % NSNAPSHOTS];
		if (s->snapshot)
			shadow_drop(s);
		shadow_take(s, 0);
		after = atomic_load(&number);
		read_numbers(s, once);
		usleep((useconds_t)rng_below(&rng, 3000));
		read_numbers(s, again);
		ck_assert_msg(memcmp(once, again, sizeof(once)) == 0, "a snapshot has changed");
		for (size_t b = 0; b < NSHARED; b++)
			ck_assert_uint_le(again[b], after);
	}
	atomic_store(&finished, true);
	for (int i = 0; i < NTHREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(atomic_load(&failures), 0);
	shadows_drop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tcase = tcase_create("snapshot");

	tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
	tcase_add_checked_fixture(tcase, imageworld_setup, imageworld_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_shows_what_was);
	tcase_add_test(tcase, test_keeps_what_is_needed);
	tcase_add_test(tcase, test_released_is_let_go);
	tcase_add_loop_test(tcase, test_size_is_of_the_instant, 0, 2);
	tcase_add_test(tcase, test_names);
	tcase_add_test(tcase, test_threads);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
