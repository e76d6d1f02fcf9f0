/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_tracker.c - trackers under faults that take more than one call to fail
 *
 * See test_faults.c for every single one.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sources.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(arming_fails_and_the_guest_goes_on)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);

	source_roll(s);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	/* a disk on which nothing can be written any more, but names can be removed */
	faultio_arm(&source_fault, FAULTIO_PWRITE | FAULTIO_PWRITE_DSYNC, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_eq(source_change(s, fd, 3), 0);
	faultio_arm(&source_fault, 0, 0, 0, 0);
	ck_assert_ptr_nonnull(
		strstr(source_notices, "all of it counts as changed: input/output error\n"));
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_MISSING);
	/* it is tracked again from the next checkpoint on */
	source_roll(s);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	ck_assert_int_eq(bmf_source_close(s), 0);
	close(fd);
}
END_TEST

static size_t notices_of_images(void)
{
	size_t n = 0;

	for (const char *at = source_notices; (at = strstr(at, "image '")); at++)
		n++;
	return n;
}

/* That its first sidecar can't be written, and what comes of it: one notice, wherever it fails. */
START_TEST(adoption_that_fails_is_one_event)
{
	struct bmf_source *s = source_open(12);
	size_t told = 0;

	for (unsigned int n = 1; n <= 20; n++) {
		char name[32];
		struct bmf_commit commit;
		struct bmf_error err;
		int fd;

		snprintf(name, sizeof(name), "new%u", n);
		fd = source_image(name, BLOCKS);
		ck_assert_int_eq(source_change(s, fd, 1), 0);
		source_notices[0] = '\0';
		faultio_arm(&source_fault, FAULTIO_WRITING, n, -EIO, 0);
		bmf_source_advance(s);
		bmf_source_commit(s, NULL, NULL, &commit, &err);
		faultio_arm(&source_fault, 0, 0, 0, 0);
		ck_assert_uint_le(notices_of_images(), 1);
		told += strstr(source_notices, "couldn't be written, all of it counts as "
					       "changed: input/output error\n") != NULL;
		close(fd);
	}
	ck_assert_uint_gt(told, 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
}
END_TEST

START_TEST(untrackable_write_is_refused)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);

	source_roll(s);
	faultio_arm(&source_fault, FAULTIO_WRITING, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_eq(source_change(s, fd, 3), -EIO);
	faultio_arm(&source_fault, 0, 0, 0, 0);
	ck_assert_int_eq(source_change(s, fd, 3), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

static struct bmf_io table;

/* Of .mirrorfs/bitmaps, and only of it. */
static int failing_fsync(const struct bmf_io *io, int fd)
{
	char link[64], path[4096];
	ssize_t n;

	(void)io;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	return strstr(path, BMF_STATE_DIR "/bitmaps") ? -EIO : 0;
}

/*
 * An earlier mirrorfs may have removed a sidecar and been killed before that was durable.
 * Who starts now sees none, lets the image be changed, and must not have it come back.
 */
START_TEST(what_was_removed_is_durable_first)
{
	struct bmf_source_options options = { .create = true, .holder = "test" };
	struct bmf_source *s = source_open(12);
	struct bmf_error err;

	ck_assert_int_eq(bmf_source_close(s), 0);
	table = bmf_io_posix;
	table.fsync = failing_fsync;
	ck_assert_int_eq(bmf_source_open(&table, scratch_fd, &options, &s, &err), -EIO);
	table.fsync = bmf_io_posix.fsync;
	ck_assert_int_eq(bmf_source_open(&table, scratch_fd, &options, &s, &err), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
}
END_TEST

static void change_block_1(struct bmf_source *s, int fd)
{
	ck_assert_int_eq(source_change(s, fd, 1), 0);
}

static void change_unreadable(struct bmf_source *s, int fd)
{
	faultio_arm(&source_fault, FAULTIO_PREAD, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_eq(source_change(s, fd, 200), 0);
}

static void change_undeletable(struct bmf_source *s, int fd)
{
	faultio_arm(&source_fault, FAULTIO_PREAD | FAULTIO_UNLINKAT, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_lt(source_change(s, fd, 200), 0);
}

/*
 * A sidecar that a crash left and that can't be read just now: it isn't believed, so
 * it must not be there any more when it can be read again.
 */
START_TEST(unbelieved_sidecar_stays_unbelieved)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);

	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	source_crash_after(change_block_1, fd);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	source_crash_after(change_undeletable, fd);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	source_crash_after(change_unreadable, fd);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_MISSING);
	close(fd);
}
END_TEST

#define FAR_OUT ((UINT64_C(1) << 55) / BLOCK)

static void change_far_out(struct bmf_source *s, int fd)
{
	struct bmf_tracker *t;

	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	ck_assert_int_eq(bmf_tracker_change(t, FAR_OUT * BLOCK, BLOCK), 0);
}

/* The armed map stays small however far out a sparse image is written to. */
START_TEST(far_out_is_armed_too)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_history history;
	char path[128], text[BMF_UUID_TEXT];
	struct stat st;

	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	source_crash_after(change_far_out, fd);
	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	ck_assert(bmf_bits_test(history.sidecar->sections[history.sidecar->nsections - 1].bits,
				FAR_OUT));
	snprintf(path, sizeof(path), BMF_STATE_DIR "/bitmaps/%s",
		 bmf_uuid_format(&history.id, text));
	ck_assert_int_eq(fstatat(scratch_fd, path, &st, 0), 0);
	ck_assert_int_lt(st.st_size, 2 << 20);
	bmf_history_destroy(&history);

	/* and what was recovered can be saved, and read again */
	s = source_open(12);
	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	bmf_history_destroy(&history);
	source_crash_after(change_far_out, fd);
	s = source_open(16);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	ck_assert(bmf_bits_test(history.sidecar->sections[history.sidecar->nsections - 1].bits,
				FAR_OUT >> 4));
	bmf_history_destroy(&history);
	close(fd);
}
END_TEST

/* After a durable write failed for lack of space: all dirty once, then as before. */
START_TEST(doubt_ends_with_the_next_checkpoint)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_history history;
	struct bmf_tracker *t;

	source_roll(s);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	bmf_tracker_doubt(t);
	ck_assert_int_eq(bmf_tracker_failed(t), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_MISSING);
	source_roll(s);
	bmf_tracker_put(t);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	ck_assert_int_eq(history.sidecar->reason, BMF_REASON_IO_ERROR);
	bmf_history_destroy(&history);
	close(fd);
}
END_TEST

START_TEST(failed_fsync_sticks)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_tracker *t;

	source_roll(s);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	bmf_tracker_fail(t, -EIO);
	bmf_tracker_fail(t, -ENOSPC); /* the first one counts */
	ck_assert_int_eq(bmf_tracker_failed(t), -EIO);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_IO_ERROR);
	source_roll(s);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_IO_ERROR);
	bmf_tracker_put(t);
	for (int i = 0; i < 4; i++)
		bmf_source_keep(s);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	ck_assert_int_eq(bmf_tracker_failed(t), -EIO);
	bmf_tracker_put(t);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_IO_ERROR);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tracker");
	TCase *tcase = tcase_create("tracker");

	tcase_add_checked_fixture(tcase, source_setup, source_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, arming_fails_and_the_guest_goes_on);
	tcase_add_test(tcase, adoption_that_fails_is_one_event);
	tcase_add_test(tcase, untrackable_write_is_refused);
	tcase_add_test(tcase, what_was_removed_is_durable_first);
	tcase_add_test(tcase, unbelieved_sidecar_stays_unbelieved);
	tcase_add_test(tcase, far_out_is_armed_too);
	tcase_add_test(tcase, doubt_ends_with_the_next_checkpoint);
	tcase_add_test(tcase, failed_fsync_sticks);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
