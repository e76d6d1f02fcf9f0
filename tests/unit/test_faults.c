/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_faults.c - every call that the daemon makes fails, one after the other
 *
 * Each scenario is run again and again: with the first call failing, with the second,
 * and so on until there is none left to fail; for each kind of fault.  What must hold:
 *
 * - no change is missed, by a reader while the daemon runs, after a kill, after a clean
 *   end (world_check);
 * - a guest's change fails only where it can't be tracked: not for one fault of the
 *   tracking, not while what can't be written can still be removed, and in regions
 *   that are armed and images that have no history not at all;
 * - a lost history has been told of;
 * - when the fault is gone, everything works, and the sync after the next is incremental;
 * - no descriptor is left open, and no memory (the leak checker's to see).
 *
 * SCENARIO: only the one of that name.
 */
#include "config.h"

#include "bitmapfile/tracker.h"
#include "fs/image.h"
#include "tests/unit/faultmem.h"
#include "tests/unit/faultworld.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENDLESS 3000

/* ---- kinds of faults ---- */

/* What writes, but doesn't remove. */
#define ADDING (FAULTIO_PWRITE | FAULTIO_PWRITE_DSYNC | FAULTIO_MKDIRAT | FAULTIO_FSETXATTR)

static const struct kind {
	const char *name;
	enum { TRACKING, GUEST, MEMORY } where;
	unsigned int ops, flags;
	int error;
	bool goes_on;		/* no guest's change may fail */
	bool untracked_goes_on; /* none of an image without a history */
} kinds[] = {
	{ "EIO", TRACKING, FAULTIO_ALL, 0, -EIO, true, true },
	{ "EIO, carried out", TRACKING, FAULTIO_ALL, FAULTIO_AFTER, -EIO, true, true },
	{ "EIO for ever", TRACKING, FAULTIO_ALL, FAULTIO_STICKY, -EIO, false, false },
	{ "dying disk", TRACKING, FAULTIO_WRITING, FAULTIO_STICKY, -EIO, false, true },
	{ "dying disk, carried out", TRACKING, FAULTIO_WRITING, FAULTIO_STICKY | FAULTIO_AFTER,
	  -EIO, false, false },
	{ "torn", TRACKING, FAULTIO_WRITING, FAULTIO_SHORT, -EIO, true, true },
	{ "ENOSPC", TRACKING, ADDING, FAULTIO_SHORT, -ENOSPC, true, true },
	{ "ENOSPC for ever", TRACKING, ADDING, FAULTIO_SHORT | FAULTIO_STICKY, -ENOSPC, true,
	  true },
	{ "EMFILE", TRACKING, FAULTIO_OPENAT, 0, -EMFILE, true, true },
	{ "EMFILE for ever", TRACKING, FAULTIO_OPENAT, FAULTIO_STICKY, -EMFILE, true, false },
	{ "EIO of images", GUEST, FAULTIO_ALL, 0, -EIO, false, false },
	{ "EIO of images, carried out", GUEST, FAULTIO_ALL, FAULTIO_AFTER, -EIO, false, false },
	{ "EIO of images for ever", GUEST, FAULTIO_ALL, FAULTIO_STICKY, -EIO, false, false },
	{ "ENOSPC of images", GUEST, FAULTIO_WRITING, FAULTIO_SHORT, -ENOSPC, false, false },
	{ "ENOSPC of images for ever", GUEST, FAULTIO_WRITING, FAULTIO_SHORT | FAULTIO_STICKY,
	  -ENOSPC, false, false },
	{ "ENOMEM", MEMORY, 0, 0, 0, false, false },
	{ "ENOMEM for ever", MEMORY, 0, FAULTIO_STICKY, 0, false, false },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static const struct kind *kind;

/* The nth call fails; 0: none. */
static void arm(unsigned long nth)
{
	world_goes_on = nth && kind->goes_on;
	if (kind->where == TRACKING)
		faultio_arm(&world_tracking, kind->ops & ~(unsigned int)FAULTIO_CLOSE, nth,
			    kind->error, kind->flags);
	else if (kind->where == GUEST)
		faultio_arm(&world_guest, kind->ops, nth, kind->error, kind->flags);
	else
		faultmem_arm(nth, kind->flags & FAULTIO_STICKY);
}

static bool fired(void)
{
	return kind->where == MEMORY
		       ? faultmem_fired()
		       : faultio_fired(kind->where == TRACKING ? &world_tracking : &world_guest);
}

/* The result of a change in an armed region: what fails elsewhere is none of its business. */
static void armed(int r)
{
	ck_assert_msg(r == 0 || kind->where != TRACKING, "a write to an armed region: %s",
		      strerror(-r));
}

/* A write to NEW.  As long as it has no history, its guest needs nothing of us. */
static void write_new(unsigned int block, unsigned int n)
{
	bool needs_us = world_has_sidecar(NEW);
	int r = world_write(NEW, block, n);

	ck_assert_msg(needs_us || r == 0 || r == -EBADF || !kind->untracked_goes_on,
		      "a write to an image without a history: %s\n%s", strerror(-r), world_notices);
}

static void keep(int n)
{
	while (n-- > 0)
		bmf_source_keep(world_fs.source);
}

/* ---- scenarios ---- */

static void write_path(void)
{
	armed(world_write(IMAGE, 0, 2));
	world_write(IMAGE, 20, 1);
	armed(world_write(IMAGE, 7, 1));
	world_write(IMAGE, 40, 3);
	write_new(20, 2);
	world_write(IMAGE, 70, 2); /* what lies between it and the end changes too */
	world_write(IMAGE, 20, 1);
}

static void other_changes(void)
{
	world_truncate(IMAGE, 50);
	world_truncate(IMAGE, 60);
	world_fallocate(IMAGE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8, 8);
	world_fallocate(IMAGE, FALLOC_FL_ZERO_RANGE, 24, 4);
	world_copy(IMAGE, 0, 32, 4);
	world_fallocate(IMAGE, 0, 60, 10);
	world_write(IMAGE, 65, 5);
	world_fallocate(IMAGE, FALLOC_FL_ZERO_RANGE, 70, 10);
	world_sync();
	world_fallocate(IMAGE, FALLOC_FL_COLLAPSE_RANGE, 16, 4);
	world_sync();
	world_fallocate(IMAGE, FALLOC_FL_INSERT_RANGE, 8, 4);
}

/* What is known of the size decides what counts as moved. */
static void moved_tail(void)
{
	world_fallocate(IMAGE, 0, 60, 16);
	world_sync();
	world_fallocate(IMAGE, FALLOC_FL_INSERT_RANGE, 8, 4);
}

static void fsyncs(void)
{
	world_write(IMAGE, 3, 1);
	world_fsync(IMAGE);
	world_write_durable(IMAGE, 30, 2);
	world_fsync(IMAGE);
	world_write_durable(NEW, 30, 2);
	world_fsync(NEW);
	world_write(IMAGE, 50, 1);
	keep(2);
}

static void checkpointing(void)
{
	armed(world_write(IMAGE, 0, 1));
	world_write(IMAGE, 20, 1);
	keep(2); /* it lets go of what isn't touched */
	world_write(IMAGE, 0, 1);
	keep(1);
	world_close(IMAGE);
	keep(3); /* clean, and out of memory */
	world_open();
	world_write(IMAGE, 1, 1);
	world_write(IMAGE, 33, 1);
	write_new(33, 1);
}

static void rollover(void)
{
	world_write(IMAGE, 9, 1);
	world_sync_quietly();
	world_sync_quietly(); /* makes good what the first could not do */
	world_sync();
	write_new(5, 1);
	world_write(IMAGE, 17, 1);
	keep(1);
	world_sync();
	world_write(IMAGE, 3, 1);
	write_new(50, 1);
}

/* Metadata, and names that go. */
static void names(void)
{
	world_close(IMAGE);
	keep(3);
	world_open();
	world_touch(IMAGE);
	world_unlink(IDLE);
	world_close(IMAGE);
	keep(3);
	world_open();
	world_write(IMAGE, 5, 1);
	world_sync();
}

static void mount(void)
{
	if (world_start() < 0)
		return;
	world_open();
	world_write(IMAGE, 2, 1);
	world_write(IMAGE, 50, 1);
	keep(1);
	world_sync();
}

static void unmount(void)
{
	world_write(IMAGE, 9, 1);
	world_open_one(IDLE);
	world_write(IDLE, 9, 1);
	world_stop();
}

static void stop(void)
{
	ck_assert_int_eq(world_stop(), 0);
}

static void stop_and_damage_state(void)
{
	stop();
	world_damage_state();
}

static const struct scenario {
	const char *name;
	void (*prepare)(void);
	bool killed;
	void (*act)(void);
	unsigned long least; /* calls of the tracking that it makes, or it tests nothing */
} scenarios[] = {
	{ "write path", NULL, false, write_path, 3 },
	{ "other changes", NULL, false, other_changes, 60 },
	{ "moved tail", NULL, false, moved_tail, 30 },
	{ "fsync", NULL, false, fsyncs, 8 },
	{ "checkpointing", NULL, false, checkpointing, 30 },
	{ "rollover", NULL, false, rollover, 60 },
	{ "names", NULL, false, names, 60 },
	{ "mount", stop, false, mount, 60 },
	{ "mount after a kill", NULL, true, mount, 60 },
	{ "mount, state damaged", stop_and_damage_state, false, mount, 60 },
	{ "unmount", NULL, false, unmount, 20 },
};
#define SCENARIOS ((int)(sizeof(scenarios) / sizeof(scenarios[0])))

/* ---- what must hold ---- */

/* I4: what happened to the history was told, to whoever asked or in the log. */
static void check_told(void)
{
	if (!world_is_lost() && world_history(IMAGE) < 0)
		ck_assert_msg(world_notices[0] || world_errors || world_refused,
			      "the history was lost without a word");
}

/* Blocks 1 (by world_sync) and 12. */
static void check_tracked_anew(void)
{
	ck_assert_int_eq(world_sync(), 0);
	ck_assert_int_eq(world_write(IMAGE, 12, 1), 0);
	world_check("a kill after the next sync");
	ck_assert_int_eq(world_stop(), 0);
	world_check("a clean end");
	ck_assert_msg(world_history(IMAGE) == 2, "%ld bits\n%s", world_history(IMAGE),
		      world_notices);
	ck_assert_int_ge(world_history(NEW), 0);
}

static void check_all_is_well(void)
{
	bool failed = false;

	if (!world_runs())
		ck_assert_int_eq(world_start(), 0);
	world_open();
	ck_assert_int_eq(world_write(IMAGE, 10, 1), 0);
	ck_assert_int_eq(world_write(IMAGE, 90, 1), 0);
	ck_assert_int_eq(world_write(NEW, 2, 1), 0);
	world_check("a kill after more writes");
	keep(3);
	world_check("a kill after checkpointing");
	/* an fsync that failed sticks for as long as it is mounted */
	failed = world_fsync(IMAGE) < 0 || world_fsync(NEW) < 0;
	if (failed) {
		ck_assert_int_eq(world_sync(), 0);
		ck_assert_int_eq(world_write(IMAGE, 12, 1), 0);
		world_check("a kill after a failed fsync");
		ck_assert_int_eq(world_stop(), 0);
		world_check("a clean end after a failed fsync");
		ck_assert_int_eq(world_start(), 0);
		world_open();
	}
	check_tracked_anew();
}

/*
 * A write that is cut short makes an image longer than it is known to be, if its size can't
 * be asked for either.  What moves later is all of what there is.
 */
START_TEST(test_size_is_not_known)
{
	kind = &kinds[0];
	world_make(NULL, false);
	faultio_arm(&world_guest, FAULTIO_PWRITE | FAULTIO_FSTAT, 1, -EIO,
		    FAULTIO_STICKY | FAULTIO_SHORT);
	ck_assert_int_eq(world_write(IMAGE, 64, 10), -EIO);
	faultio_arm(&world_guest, 0, 0, 0, 0);
	ck_assert_int_eq(world_sync(), 0);
	ck_assert_int_eq(_i ? world_fallocate(IMAGE, FALLOC_FL_COLLAPSE_RANGE, 16, 4)
			    : world_truncate(IMAGE, 66),
			 0);
	world_check("a tail that moved");
	check_all_is_well();
	world_remove();
}
END_TEST

START_TEST(test_every_call_fails)
{
	const struct scenario *scenario = &scenarios[_i / KINDS];
	unsigned long n;

	kind = &kinds[_i % KINDS];
	for (n = 1; n < ENDLESS; n++) {
		bool any;

		world_make(scenario->prepare, scenario->killed);
		arm(n);
		scenario->act();
		any = fired();
		arm(0);
		world_check("a kill right then");
		if (any)
			check_told();
		check_all_is_well();
		world_remove();
		if (!any)
			break;
	}
	printf("%s, %s: %lu faults\n", scenario->name, kind->name, n - 1);
	ck_assert_uint_lt(n, ENDLESS);
	if (kind->where == TRACKING && kind->ops == FAULTIO_ALL)
		ck_assert_uint_ge(n - 1, scenario->least);
}
END_TEST

/* An fsync fails, and so does everything by which that could be noted, for a while. */
START_TEST(test_doubt_is_noted_later)
{
	kind = &kinds[0];
	world_make(NULL, false);
	faultio_arm(&world_tracking, FAULTIO_ALL, 1, -EIO, FAULTIO_STICKY);
	faultio_arm(&world_guest, FAULTIO_FSYNC, 1, -EIO, 0);
	ck_assert_int_eq(world_fsync(IMAGE), -EIO);
	keep(2);
	faultio_arm(&world_guest, 0, 0, 0, 0);
	ck_assert_int_ge(world_history(IMAGE), 0);
	ck_assert_ptr_nonnull(strstr(world_notices, "in doubt"));
	faultio_arm(&world_tracking, 0, 0, 0, 0);
	keep(1);
	ck_assert_int_eq(world_history(IMAGE), -1);
	check_all_is_well();
	world_remove();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");
	TCase *every = tcase_create("every"), *single = tcase_create("single");

	tcase_add_unchecked_fixture(every, scratch_make, scratch_remove);
	tcase_set_timeout(every, 600);
	for (int i = 0; i < SCENARIOS; i++)
		if (!getenv("SCENARIO") || strcmp(getenv("SCENARIO"), scenarios[i].name) == 0)
			tcase_add_loop_test(every, test_every_call_fails, i * KINDS,
					    (i + 1) * KINDS);
	suite_add_tcase(suite, every);

	tcase_add_unchecked_fixture(single, scratch_make, scratch_remove);
	tcase_add_loop_test(single, test_size_is_not_known, 0, 2);
	tcase_add_test(single, test_doubt_is_noted_later);
	suite_add_tcase(suite, single);
	return suite_run(suite);
}
