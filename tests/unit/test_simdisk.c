/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_simdisk.c - the simulated disk keeps what it must, and loses what it may */
#include "config.h"

#include "tests/unit/simdisk.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static struct simdisk *disk;
static const struct bmf_io *io;
static int root;

static void setup(void)
{
	disk = simdisk_new();
	io = &disk->io;
	root = simdisk_root(disk);
}

static void teardown(void)
{
	io->close(io, root);
	ck_assert_uint_eq(simdisk_open_fds(disk), 0);
	simdisk_free(disk);
}

/* A file of one byte, many times. */
static int make(const char *name, char byte, size_t nbytes)
{
	int fd = io->openat(io, root, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	char buf[8192];

	ck_assert_int_ge(fd, 0);
	memset(buf, byte, nbytes);
	ck_assert_int_eq(io->pwrite(io, fd, buf, nbytes, 0), nbytes);
	return fd;
}

static void sync_and_close(int fd)
{
	ck_assert_int_eq(io->fsync(io, fd), 0);
	ck_assert_int_eq(io->fsync(io, root), 0);
	io->close(io, fd);
}

/* What a cut leaves of a file: the number of bytes in buf, or -ENOENT. */
static ssize_t left_of(const char *name, enum simdisk_fate fate, char buf[8192])
{
	uint8_t fates[64];
	struct simdisk *after;
	int top, fd;
	ssize_t n;

	ck_assert_uint_le(simdisk_pending(disk), sizeof(fates));
	memset(fates, (int)fate, sizeof(fates));
	after = simdisk_after_cut(disk, fates, 4711);
	ck_assert_uint_eq(simdisk_pending(after), 0);
	top = simdisk_root(after);
	fd = after->io.openat(&after->io, top, name, O_RDONLY, 0);
	n = fd < 0 ? fd : after->io.pread(&after->io, fd, buf, 8192, 0);
	simdisk_free(after);
	return n;
}

START_TEST(name_and_content_are_apart)
{
	char buf[8192];
	int fd = make("a", 'x', 1000);

	ck_assert_int_eq(left_of("a", SIMDISK_LOST, buf), -ENOENT);
	ck_assert_int_eq(left_of("a", SIMDISK_KEPT, buf), 1000);
	ck_assert_int_eq(io->fsync(io, fd), 0);
	ck_assert_int_eq(left_of("a", SIMDISK_LOST, buf), -ENOENT);
	ck_assert_int_eq(io->fsync(io, root), 0);
	ck_assert_int_eq(left_of("a", SIMDISK_LOST, buf), 1000);
	ck_assert_int_eq(buf[999], 'x');
	io->close(io, fd);

	fd = make("b", 'x', 1000);
	ck_assert_int_eq(io->fsync(io, root), 0);
	ck_assert_int_eq(left_of("b", SIMDISK_LOST, buf), 0);
	io->close(io, fd);
}
END_TEST

START_TEST(rename_is_atomic)
{
	char buf[8192];

	sync_and_close(make("a", 'x', 10));
	sync_and_close(make("b", 'y', 20));
	ck_assert_int_eq(io->renameat(io, root, "b", root, "a"), 0);
	ck_assert_int_eq(left_of("a", SIMDISK_LOST, buf), 10);
	ck_assert_int_eq(left_of("b", SIMDISK_LOST, buf), 20);
	ck_assert_int_eq(left_of("a", SIMDISK_KEPT, buf), 20);
	ck_assert_int_eq(left_of("b", SIMDISK_KEPT, buf), -ENOENT);
	ck_assert_int_eq(io->unlinkat(io, root, "a", 0), 0);
	ck_assert_int_eq(left_of("a", SIMDISK_LOST, buf), 10);
	ck_assert_int_eq(io->fsync(io, root), 0);
	ck_assert_int_eq(left_of("a", SIMDISK_LOST, buf), -ENOENT);
}
END_TEST

START_TEST(dsync_makes_one_write_durable)
{
	char buf[8192];
	int fd = make("a", 'x', 4096);

	ck_assert_int_eq(io->fsync(io, fd), 0);
	ck_assert_int_eq(io->fsync(io, root), 0);
	ck_assert_int_eq(io->pwrite(io, fd, "old", 3, 100), 3);
	ck_assert_int_eq(io->pwrite(io, fd, "far", 3, 3000), 3);
	ck_assert_int_eq(io->pwrite_dsync(io, fd, "NEW", 3, 101), 3);
	ck_assert_int_eq(left_of("a", SIMDISK_LOST, buf), 4096);
	/* what it overlaps went with it, the other did not */
	ck_assert_int_eq(memcmp(buf + 99, "xoNEWx", 6), 0);
	ck_assert_int_eq(buf[3000], 'x');
	ck_assert_int_eq(left_of("a", SIMDISK_KEPT, buf), 4096);
	ck_assert_int_eq(memcmp(buf + 99, "xoNEWx", 6), 0);
	ck_assert_int_eq(memcmp(buf + 3000, "far", 3), 0);
	io->close(io, fd);
}
END_TEST

START_TEST(torn_by_sectors)
{
	char buf[8192], new[8192];
	int fd = make("a", 'x', 8192), olds = 0, news = 0, garbage = 0;

	ck_assert_int_eq(io->fsync(io, fd), 0);
	ck_assert_int_eq(io->fsync(io, root), 0);
	memset(new, 'y', sizeof(new));
	ck_assert_int_eq(io->pwrite(io, fd, new, sizeof(new), 0), sizeof(new));
	for (int pass = 0; pass < 2; pass++) {
		ck_assert_int_eq(left_of("a", pass ? SIMDISK_GARBAGE : SIMDISK_TORN, buf), 8192);
		olds = news = garbage = 0;
		for (size_t i = 0; i < sizeof(buf); i += SIMDISK_SECTOR) {
			bool same = memcmp(buf + i, buf + i + 1, SIMDISK_SECTOR - 1) == 0;

			olds += same && buf[i] == 'x';
			news += same && buf[i] == 'y';
			garbage += !same;
		}
		ck_assert_int_gt(olds, 0);
		ck_assert_int_gt(news, 0);
		ck_assert_int_eq(garbage > 0, pass == 1);
	}
	io->close(io, fd);
}
END_TEST

START_TEST(failed_fsync_loses_what_it_shows)
{
	char buf[8192];
	int fd = make("a", 'x', 100);

	ck_assert_int_eq(io->fsync(io, fd), 0);
	ck_assert_int_eq(io->fsync(io, root), 0);
	ck_assert_int_eq(io->pwrite(io, fd, "new", 3, 0), 3);
	disk->sick = simdisk_handle(disk, fd);
	ck_assert_int_eq(io->fsync(io, fd), -EIO);
	ck_assert_int_eq(io->fsync(io, fd), 0);
	ck_assert_int_eq(io->pread(io, fd, buf, 3, 0), 3);
	ck_assert_int_eq(memcmp(buf, "new", 3), 0);
	ck_assert_int_eq(left_of("a", SIMDISK_KEPT, buf), 100);
	ck_assert_int_eq(buf[0], 'x');
	simdisk_evict(disk, fd);
	ck_assert_int_eq(io->pread(io, fd, buf, 3, 0), 3);
	ck_assert_int_eq(buf[0], 'x');
	io->close(io, fd);
}
END_TEST

/* An inode number is used again, a handle never. */
START_TEST(handles_are_forever)
{
	struct stat before, after;
	uint64_t handle;
	int fd = make("a", 'x', 100);

	handle = simdisk_handle(disk, fd);
	ck_assert_int_eq(io->fstat(io, fd, &before), 0);
	ck_assert_int_eq(io->unlinkat(io, root, "a", 0), 0);
	sync_and_close(fd);
	fd = make("b", 'y', 100);
	ck_assert_int_eq(io->fstat(io, fd, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_uint_ne(simdisk_handle(disk, fd), handle);
	io->close(io, fd);
}
END_TEST

START_TEST(off_is_off)
{
	int fd = make("a", 'x', 100);
	char buf[8192];

	disk->off = true;
	ck_assert_int_eq(io->pwrite(io, fd, "new", 3, 0), -EIO);
	ck_assert_int_eq(io->fsync(io, root), -EIO);
	ck_assert_int_eq(io->openat(io, root, "a", O_RDONLY, 0), -EIO);
	io->close(io, fd);
	ck_assert_int_eq(left_of("a", SIMDISK_LOST, buf), -ENOENT);
	disk->off = false;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("simdisk");
	TCase *tcase = tcase_create("simdisk");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, name_and_content_are_apart);
	tcase_add_test(tcase, rename_is_atomic);
	tcase_add_test(tcase, dsync_makes_one_write_durable);
	tcase_add_test(tcase, torn_by_sectors);
	tcase_add_test(tcase, failed_fsync_loses_what_it_shows);
	tcase_add_test(tcase, handles_are_forever);
	tcase_add_test(tcase, off_is_off);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
