/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_arming.c - regions armed in place: in the map on the disk, or the write is refused
 *
 * After the first write of an image that somebody holds open, its sidecar is open too, and
 * regions are added to the armed map where it lies.
 */
#include "config.h"

#include "bitmapfile/tracker.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sources.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <unistd.h>

#define REGION 8 /* blocks */
#define FAR_OUT ((UINT64_C(1) << 55) / BLOCK)

static struct bmf_source *source;
static struct bmf_tracker *tracker;
static int fd;

static void setup(void)
{
	source_setup();
	source = source_open(12);
	fd = source_image("image", BLOCKS);
	source_roll(source);
	ck_assert_int_eq(bmf_source_track(source, fd, &tracker), 0);
	bmf_tracker_opened(tracker);
	ck_assert_int_eq(source_change(source, fd, 0), 0);
}

static void teardown(void)
{
	bmf_tracker_closed(tracker);
	bmf_tracker_put(tracker);
	ck_assert_int_eq(bmf_source_close(source), 0);
	close(fd);
	source_teardown();
}

/* Is the block dirty for the one who finds the source as it is on the disk now? */
static bool dirty_after_crash(uint64_t block)
{
	struct bmf_history history;
	bool dirty = true;

	if (source_reason(fd, &history) == BMF_REASON_NONE)
		dirty = bmf_bits_test(
			history.sidecar->sections[history.sidecar->nsections - 1].bits, block);
	bmf_history_destroy(&history);
	return dirty;
}

START_TEST(every_write_in_order_is_armed)
{
	unsigned long calls;

	faultio_arm(&source_fault, FAULTIO_PWRITE | FAULTIO_PWRITE_DSYNC, 0, 0, 0);
	for (uint64_t block = 0; block < BLOCKS; block++) {
		ck_assert_int_eq(source_change(source, fd, block), 0);
		ck_assert_msg(dirty_after_crash(block), "block %llu", (unsigned long long)block);
	}
	/* with some armed ahead, it takes fewer writes than there are regions */
	calls = faultio_calls(&source_fault);
	ck_assert_uint_ge(calls, 2);
	ck_assert_uint_lt(calls, BLOCKS / REGION / 2);
	/* but those that it never gets to stay clean, */
	ck_assert(!dirty_after_crash(BLOCKS + 100 * REGION));
}
END_TEST

START_TEST(every_write_out_of_order_is_armed)
{
	unsigned long flushes;

	faultio_arm(&source_fault, FAULTIO_PWRITE_DSYNC, 0, 0, 0);
	for (uint64_t i = 0; i < BLOCKS / REGION; i++) {
		uint64_t block = i * 13 % (BLOCKS / REGION) * REGION + 3;

		ck_assert_int_eq(source_change(source, fd, block), 0);
		/* on the disk, whoever has asked for it */
		ck_assert_msg(dirty_after_crash(block), "block %llu", (unsigned long long)block);
	}
	/* each of them twice as much as the one before, or what is left of its surroundings */
	flushes = faultio_calls(&source_fault);
	ck_assert_uint_ge(flushes, 3);
	ck_assert_uint_lt(flushes, BLOCKS / REGION / 3);
}
END_TEST

/* Who writes to a region now and then arms no other, so that a crash costs no more than that. */
START_TEST(what_is_far_apart_in_time_is_armed_alone)
{
	for (uint64_t region = 2; region < BLOCKS / REGION - 1; region += 3) {
		for (int i = 0; i < 3; i++)
			bmf_source_keep(source); /* nothing is armed any more */
		ck_assert_int_eq(source_change(source, fd, region * REGION), 0);
		ck_assert(dirty_after_crash(region * REGION));
		ck_assert(!dirty_after_crash((region + 1) * REGION));
		ck_assert(!dirty_after_crash((region + 1) * REGION + 5));
	}
}
END_TEST

/* A region that could not be armed is not, however often somebody asks. */
START_TEST(what_is_not_on_the_disk_is_not_armed)
{
	faultio_arm(&source_fault, FAULTIO_WRITING, 1, -EIO, FAULTIO_STICKY);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(source_change(source, fd, 9 * REGION), -EIO);
		ck_assert(faultio_fired(&source_fault));
	}
	/* what was armed before needs no disk */
	ck_assert_int_eq(source_change(source, fd, 1), 0);
	faultio_arm(&source_fault, 0, 0, 0, 0);
	ck_assert(dirty_after_crash(1));
	ck_assert_int_eq(source_change(source, fd, 9 * REGION), 0);
	ck_assert(dirty_after_crash(9 * REGION));
}
END_TEST

/* Where the map can't be written in place, the sidecar is replaced; either way it counts. */
START_TEST(any_call_of_arming_fails)
{
	bool fired = true;

	for (unsigned long n = 1; fired; n++) {
		uint64_t block = (1 + n % (BLOCKS / REGION - 1)) * REGION;
		int r;

		bmf_source_keep(source); /* nothing is armed after two of these */
		bmf_source_keep(source);
		faultio_arm(&source_fault, FAULTIO_ALL & ~FAULTIO_CLOSE, n, -EIO,
			    n % 2 ? FAULTIO_SHORT : 0);
		r = source_change(source, fd, block);
		fired = faultio_fired(&source_fault);
		faultio_arm(&source_fault, 0, 0, 0, 0);
		ck_assert(r < 0 || dirty_after_crash(block));
		ck_assert_uint_lt(n, 100);
		source_roll(source);
	}
}
END_TEST

/* A save that fails may have replaced the sidecar or not: what is armed next counts either way. */
START_TEST(armed_after_a_failed_save)
{
	bool fired = true;

	for (unsigned long n = 1; fired; n++) {
		uint64_t block = n * 13 % (BLOCKS / REGION) * REGION;

		for (int i = 0; i < 3; i++)
			bmf_source_keep(source); /* nothing is armed any more, nor is it around */
		ck_assert_int_eq(source_change(source, fd, 1), 0); /* something to save */
		faultio_arm(&source_fault, FAULTIO_ALL & ~FAULTIO_CLOSE, n, -EIO, 0);
		bmf_source_flush(source);
		fired = faultio_fired(&source_fault);
		faultio_arm(&source_fault, 0, 0, 0, 0);
		ck_assert_uint_lt(n, BLOCKS / REGION);
		ck_assert_int_eq(source_change(source, fd, block), 0);
		ck_assert_msg(dirty_after_crash(block), "call %lu", n);
		ck_assert_msg(dirty_after_crash(1), "call %lu", n);
		source_roll(source);
	}
}
END_TEST

/*
 * The last region of the map has no end.  The first change makes the map larger, by a save that
 * has its bit; what comes then is known by the map alone.
 */
START_TEST(far_out_is_armed)
{
	ck_assert_int_eq(bmf_tracker_change(tracker, FAR_OUT * BLOCK, BLOCK), 0);
	ck_assert_int_eq(bmf_tracker_change(tracker, (FAR_OUT + 1000) * BLOCK, BLOCK), 0);
	ck_assert(dirty_after_crash(FAR_OUT + 1000));
}
END_TEST

/* While nothing can be saved, regions stay armed, and others are armed in place. */
START_TEST(full_disk_costs_no_history)
{
	bmf_source_keep(source);
	/* whole sidecars need space, arming in place doesn't */
	faultio_arm(&source_fault, FAULTIO_PWRITE, 1, -ENOSPC, FAULTIO_STICKY);
	for (int i = 0; i < 3; i++)
		bmf_source_keep(source);
	ck_assert(faultio_fired(&source_fault));
	ck_assert_int_eq(source_change(source, fd, 0), 0);
	ck_assert_int_eq(source_change(source, fd, 3 * REGION), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	ck_assert(dirty_after_crash(0));
	ck_assert(dirty_after_crash(3 * REGION));
	/* even if the state directory can't be written to at all, what is armed goes on */
	for (int i = 0; i < 3; i++)
		bmf_source_keep(source);
	faultio_arm(&source_fault, FAULTIO_WRITING, 1, -EIO, FAULTIO_STICKY);
	for (int i = 0; i < 3; i++)
		bmf_source_keep(source);
	ck_assert_int_eq(source_change(source, fd, 1), 0);
	faultio_arm(&source_fault, 0, 0, 0, 0);
	for (int i = 0; i < 3; i++)
		bmf_source_keep(source);
	ck_assert(!dirty_after_crash(2 * REGION));
	ck_assert(dirty_after_crash(1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arming");
	TCase *tcase = tcase_create("arming");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_write_in_order_is_armed);
	tcase_add_test(tcase, every_write_out_of_order_is_armed);
	tcase_add_test(tcase, what_is_far_apart_in_time_is_armed_alone);
	tcase_add_test(tcase, what_is_not_on_the_disk_is_not_armed);
	tcase_add_test(tcase, any_call_of_arming_fails);
	tcase_add_test(tcase, armed_after_a_failed_save);
	tcase_add_test(tcase, far_out_is_armed);
	tcase_add_test(tcase, full_disk_costs_no_history);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
