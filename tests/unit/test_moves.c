/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_moves.c - a commit takes no image for gone because its name is on the move */
#include "config.h"

#include "bitmapfile/source.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

static struct bmf_io moving_io;
static struct bmf_source *source;

static void open_source(void)
{
	struct bmf_source_options options = { .create = true, .holder = "test" };
	struct bmf_error err;

	ck_assert_int_eq(bmf_source_open(&moving_io, scratch_fd, &options, &source, &err), 0);
}

static void commit(void)
{
	struct bmf_commit result;
	struct bmf_error err;

	bmf_source_advance(source);
	ck_assert_int_eq(bmf_source_commit(source, NULL, NULL, &result, &err), 0);
}

static unsigned int count_sidecars(void)
{
	int fd = openat(scratch_fd, ".mirrorfs/bitmaps", O_RDONLY | O_DIRECTORY);
	unsigned int n = 0;
	struct dirent *entry;
	DIR *dir;

	ck_assert_int_ge(fd, 0);
	dir = fdopendir(fd);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void make_image(const char *name)
{
	int fd = openat(scratch_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

/* Two images with sidecars, of which one can't be found now: it is in .mirrorfs. */
#define ASIDE ".mirrorfs/aside"

static void move(const char *from, const char *to)
{
	ck_assert_int_eq(renameat(scratch_fd, from, scratch_fd, to), 0);
}

static void lose_one(void)
{
	moving_io = bmf_io_posix;
	open_source();
	make_image("stays");
	make_image("goes");
	commit();
	ck_assert_uint_eq(count_sidecars(), 2);
	ck_assert_int_eq(bmf_source_close(source), 0);
	open_source(); /* no tracker in memory tells of it either */
	move("goes", ASIDE);
}

START_TEST(what_is_gone_is_gone)
{
	lose_one();
	bmf_source_move_begin(source);
	bmf_source_move_end(source); /* long over */
	commit();
	ck_assert_uint_eq(count_sidecars(), 1);
	bmf_source_close(source);
}
END_TEST

static _Atomic unsigned int walked;

static ssize_t count_and_get(const struct bmf_io *io, int fd, const char *name, void *buf, size_t n)
{
	(void)io;
	walked++;
	return bmf_io_posix.fgetxattr(&bmf_io_posix, fd, name, buf, n);
}

static _Atomic bool committed;

static void *commit_in_thread(void *arg)
{
	commit();
	committed = true;
	return arg;
}

/* A move that takes longer than several walks: the commit waits for it in the end. */
START_TEST(not_while_something_moves)
{
	pthread_t thread;

	lose_one();
	moving_io.fgetxattr = count_and_get;
	bmf_source_move_begin(source);
	ck_assert_int_eq(pthread_create(&thread, NULL, commit_in_thread, NULL), 0);
	while (walked < 3 && !committed)
		usleep(1000);
	usleep(20000);
	move(ASIDE, "goes");
	bmf_source_move_end(source);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(count_sidecars(), 2);
	bmf_source_close(source);
}
END_TEST

/* The walk looks at the last image, when another one moves to where it has been. */
static ssize_t move_and_get(const struct bmf_io *io, int fd, const char *name, void *buf, size_t n)
{
	(void)io;
	if (faccessat(scratch_fd, ASIDE, F_OK, 0) == 0) {
		bmf_source_move_begin(source);
		move(ASIDE, "before");
		bmf_source_move_end(source);
	}
	return bmf_io_posix.fgetxattr(&bmf_io_posix, fd, name, buf, n);
}

START_TEST(not_when_something_has_moved_meanwhile)
{
	lose_one();
	moving_io.fgetxattr = move_and_get;
	commit();
	ck_assert_int_eq(faccessat(scratch_fd, "before", F_OK, 0), 0);
	ck_assert_uint_eq(count_sidecars(), 2);
	bmf_source_close(source);
}
END_TEST

static void add(Suite *suite, const TTest *test)
{
	TCase *tc = tcase_create("moves"); /* one each: the directory is made once for a case */

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, test);
	suite_add_tcase(suite, tc);
}

int main(void)
{
	Suite *suite = suite_create("moves");

	add(suite, what_is_gone_is_gone);
	add(suite, not_while_something_moves);
	add(suite, not_when_something_has_moved_meanwhile);
	return suite_run(suite);
}
