/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_snapshot_broken.c - snapshots of one image that can't go on: the guest does
 *
 * Limits, failing disks, and calls that fail, the Nth for every N: a snapshot shows what was or
 * breaks, and says why.
 */
#include "config.h"

#include "tests/unit/faultmem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/shadows.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The guest's own changes went well, though the snapshot is broken. */
static void expect_broken(const struct shadow *s, int error)
{
	struct mfs_control_snapshot_info info = { 0 };

	memcpy(info.name, s->name, sizeof(info.name));
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(mfs_snapshot_info(&image_fs, &info), 0);
		if (info.broken)
			break;
		usleep(10000); /* what the preserving thread meets is told when it meets it */
	}
	ck_assert_int_eq(info.broken, error);
	ck_assert_msg(info.reason[0] != '\0', "no reason is given");
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, shadow_got, BLOCK, 0), -EIO);
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, shadow_got, BLOCK, 7 * BLOCK), -EIO);
	/* a hole of now is none of then */
	ck_assert_int_eq(mfs_snapshot_image_seek(s->image, 0, SEEK_DATA), -EIO);
	ck_assert_int_eq(mfs_snapshot_image_seek(s->image, 7 * BLOCK, SEEK_HOLE), -EIO);
	mfs_snapshots_keep(&image_fs);
	ck_assert_uint_eq(shadow_preserved(s), 0);
}

START_TEST(test_breaks_when_old_blocks_cannot_be_read)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot_broken");
	fill_blocks(8);
	shadow_take(s, 0);
	faultio_arm(&fault, FAULTIO_PREAD, 1, -EIO, 0);
	random_write(0, 2 * BLOCK);
	ck_assert(faultio_fired(&fault));
	expect_broken(s, -EIO);
	shadows_drop();
}
END_TEST

START_TEST(test_breaks_when_old_blocks_cannot_be_written)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot_broken");
	fill_blocks(8);
	shadow_take(s, 0);
	faultio_arm(&fault, FAULTIO_OPENAT, 1, -EDQUOT, 0); /* of the file for them */
	random_write(0, 2 * BLOCK);
	expect_broken(s, -EDQUOT);
	/* the next one is not concerned */
	faultio_arm(&fault, 0, 0, 0, 0);
	shadow_take(&shadows[1], 0);
	random_write(0, 2 * BLOCK);
	shadow_check_all(&shadows[1]);
	shadows_drop();
}
END_TEST

/* The file in preserve/ that is open, by another descriptor. */
static int open_preserved(void)
{
	char path[64], target[4096];
	ssize_t n;

	for (int fd = 3; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (strstr(target, "/preserve/") && strstr(target, "(deleted)"))
			return open(path, O_RDWR);
	}
	return -1;
}

/* The disk loses what was written to it, and says nothing: no wrong content is shown. */
START_TEST(test_breaks_when_old_blocks_were_lost)
{
	struct shadow *s = &shadows[0];
	int fd;

	rng = rng_start("test_snapshot_broken");
	fill_blocks(8);
	shadow_take(s, 0);
	random_write(0, 2 * BLOCK);
	while ((fd = open_preserved()) < 0 || lseek(fd, 0, SEEK_END) < 2 * BLOCK) {
		if (fd >= 0)
			close(fd);
		usleep(10000); /* until it is written */
	}
	usleep(100000);
	shadow_check_all(s);
	ck_assert_int_eq(pwrite(fd, "other", 5, BLOCK + 100), 5);
	close(fd);
	shadow_check_range(s, 0, BLOCK);
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, shadow_got, BLOCK, BLOCK), -EIO);
	expect_broken(s, -EIO);
	shadows_drop();
}
END_TEST

static void set_limit(void)
{
	imageworld_options.preserve_limit = 3 * BLOCK;
	imageworld_setup();
}

START_TEST(test_breaks_at_the_limit)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot_broken");
	fill_blocks(8);
	shadow_take(s, 0);
	random_write(0, 3 * BLOCK);
	random_write(0, 3 * BLOCK); /* preserved already */
	shadow_check_all(s);
	random_write(4 * BLOCK, BLOCK);
	expect_broken(s, -E2BIG);
	shadow_take(&shadows[1], 0); /* the space is there again */
	random_write(0, 3 * BLOCK);
	shadow_check_all(&shadows[1]);
	shadows_drop();
}
END_TEST

/* Cut off by somebody who does not come through the mount: not shown as if it were old. */
START_TEST(test_tells_what_was_cut_off_behind)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot_broken");
	fill_blocks(8);
	shadow_take(s, 0);
	ck_assert_int_eq(ftruncate(handle->fd, 2 * BLOCK), 0);
	shadow_check_range(s, 0, 2 * BLOCK);
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, shadow_got, BLOCK, 4 * BLOCK), -EIO);
	shadows_drop();
}
END_TEST

/* --- every call fails, the Nth for every N */

#define ENDLESS 5000

static const struct kind {
	const char *name;
	unsigned int ops, flags; /* ops 0: allocations */
	int error;
	bool goes_on; /* no guest's change may fail (I3) */
} kinds[] = {
	{ "EIO", FAULTIO_PREAD | FAULTIO_OPENAT | FAULTIO_UNLINKAT | FAULTIO_MKDIRAT, 0, -EIO,
	  true },
	{ "EMFILE for ever", FAULTIO_OPENAT, FAULTIO_STICKY, -EMFILE, true },
	{ "EIO of any", FAULTIO_ALL, 0, -EIO, false },
	{ "EIO of any for ever", FAULTIO_ALL, FAULTIO_STICKY, -EIO, false },
	{ "ENOSPC", FAULTIO_WRITING, FAULTIO_SHORT, -ENOSPC, false },
	{ "ENOSPC for ever", FAULTIO_WRITING, FAULTIO_SHORT | FAULTIO_STICKY, -ENOSPC, false },
	{ "ENOMEM", 0, 0, 0, false },
	{ "ENOMEM for ever", 0, FAULTIO_STICKY, 0, false },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static void arm(const struct kind *kind, unsigned long nth)
{
	if (kind->ops)
		faultio_arm(&fault, kind->ops, nth, kind->error, kind->flags);
	else
		faultmem_arm(nth, kind->flags & FAULTIO_STICKY);
}

/* True when it failed. */
static bool try_write(const struct kind *kind, size_t first, size_t n)
{
	static unsigned char data[16 * BLOCK];
	ssize_t r;

	memset(data, (int)(first + n), sizeof(data));
	r = mfs_image_write(&image_fs, handle->tracker, handle->fd, data, n * BLOCK,
			    (off_t)(first * BLOCK), false);
	ck_assert_msg(r > 0 || !kind->goes_on, "%s: a guest's write: %zd", kind->name, r);
	return r < 0;
}

/* What it shows is what was, or an error; nothing else. */
static void check_or_error(const struct shadow *s)
{
	for (size_t b = 0; b * BLOCK < s->size; b++) {
		ssize_t r =
			mfs_snapshot_image_read(s->image, shadow_got, BLOCK, (off_t)(b * BLOCK));

		ck_assert_msg(r == BLOCK || r < 0, "%zd bytes", r);
		if (r == BLOCK && memcmp(shadow_got, s->content + b * BLOCK, BLOCK) != 0)
			ck_abort_msg("block %zu is new: %02x instead of %02x", b, shadow_got[0],
				     s->content[b * BLOCK]);
	}
}

static bool try_take(struct shadow *s)
{
	struct mfs_control_commit message = { .flags = MFS_COMMIT_HOLD };

	s->size = image_read(s->content);
	if (mfs_rollover(&image_fs, NULL, &message) < 0)
		return false;
	memcpy(s->name, message.name, sizeof(s->name));
	s->snapshot = mfs_snapshot_get(&image_fs, s->name);
	s->image = mfs_snapshot_tree_find(mfs_snapshot_top(s->snapshot), "image")->image;
	return true;
}

static void act(const struct kind *kind)
{
	try_write(kind, 0, 2);
	if (try_take(&shadows[0])) {
		try_write(kind, 1, 3);
		check_or_error(&shadows[0]);
	}
	try_write(kind, 8, 4);
	if (try_take(&shadows[1])) {
		try_write(kind, 0, 12);
		mfs_image_truncate(&image_fs, handle->tracker, handle->fd, 5 * BLOCK);
		check_or_error(&shadows[1]);
	}
	mfs_snapshots_keep(&image_fs);
}

static void check_what_is_left(void)
{
	for (int i = 0; i < 2; i++)
		if (shadows[i].snapshot) {
			check_or_error(&shadows[i]);
			shadow_drop(&shadows[i]);
		}
	shadow_take(&shadows[2], 0);
	try_write(&kinds[0], 2, 4);
	shadow_check_all(&shadows[2]);
	shadow_drop(&shadows[2]);
}

START_TEST(test_every_call_fails)
{
	const struct kind *kind = &kinds[_i];
	unsigned long n;

	for (n = 1; n < ENDLESS; n++) {
		bool fired;

		imageworld_setup();
		fill_blocks(16);
		arm(kind, n);
		act(kind);
		fired = kind->ops ? faultio_fired(&fault) : faultmem_fired();
		arm(kind, 0);
		check_what_is_left();
		imageworld_teardown();
		if (!fired)
			break;
	}
	printf("%s: %lu faults\n", kind->name, n - 1);
	ck_assert_uint_lt(n, ENDLESS);
	ck_assert_uint_gt(n, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot_broken");
	TCase *tcase = tcase_create("broken"), *limited = tcase_create("limited");
	TCase *faults = tcase_create("faults");

	tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
	tcase_add_checked_fixture(tcase, imageworld_setup, imageworld_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_breaks_when_old_blocks_cannot_be_read);
	tcase_add_test(tcase, test_breaks_when_old_blocks_cannot_be_written);
	tcase_add_test(tcase, test_breaks_when_old_blocks_were_lost);
	tcase_add_test(tcase, test_tells_what_was_cut_off_behind);
	suite_add_tcase(suite, tcase);
	tcase_add_unchecked_fixture(limited, scratch_make, scratch_remove);
	tcase_add_checked_fixture(limited, set_limit, imageworld_teardown);
	tcase_add_test(limited, test_breaks_at_the_limit);
	suite_add_tcase(suite, limited);
	tcase_add_unchecked_fixture(faults, scratch_make, scratch_remove);
	tcase_set_timeout(faults, 300);
	tcase_add_loop_test(faults, test_every_call_fails, 0, KINDS);
	suite_add_tcase(suite, faults);
	return suite_run(suite);
}
