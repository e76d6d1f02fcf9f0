/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_walk.c - walk.h: order, symlinks, trees that change, and very deep ones */
#include "config.h"

#include "bitmapfile/walk.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int top_fd; /* a directory of the test's own */

/* A fresh top for each test. */
static void make_top(const char *name)
{
	ck_assert_int_eq(mkdirat(scratch_fd, name, 0700), 0);
	top_fd = openat(scratch_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(top_fd, 0);
}

static void make_dir(const char *path)
{
	ck_assert_int_eq(mkdirat(top_fd, path, 0700), 0);
}

static void make_file(const char *path)
{
	int fd = openat(top_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static unsigned int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* What a visit saw, and what it is to do when it comes to a path. */
struct record {
	char text[4096];
	const char *at;
	void (*act)(void);
	int stop; /* returned at that path */
	unsigned int entries;
	size_t longest;
};

static void check_entry(const struct bmf_walk_entry *e)
{
	const char *slash = strrchr(e->path, '/');
	struct stat st;

	ck_assert_str_eq(e->name, slash ? slash + 1 : e->path);
	ck_assert_int_eq(fcntl(e->fd, F_GETFL) & O_PATH, O_PATH);
	ck_assert_int_eq(fcntl(e->fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fstat(e->fd, &st), 0);
	ck_assert_uint_eq(st.st_ino, e->st->st_ino);
	if (e->path[0] == '\0') {
		ck_assert_int_eq(e->dirfd, -1);
		ck_assert_int_eq(fstat(top_fd, &st), 0);
	} else {
		ck_assert_int_eq(fstatat(e->dirfd, e->name, &st, AT_SYMLINK_NOFOLLOW), 0);
	}
	ck_assert_uint_eq(st.st_ino, e->st->st_ino);
	ck_assert_uint_eq(st.st_mode, e->st->st_mode);
}

static int visit(const struct bmf_walk_entry *e, void *arg)
{
	struct record *record = arg;
	size_t used = strlen(record->text);

	check_entry(e);
	record->entries++;
	if (strlen(e->path) > record->longest)
		record->longest = strlen(e->path);
	snprintf(record->text + used, sizeof(record->text) - used, "%s%s ",
		 e->path[0] ? e->path : ".", S_ISDIR(e->st->st_mode) ? "/" : "");
	if (!record->at || strcmp(record->at, e->path) != 0)
		return 0;
	if (record->act)
		record->act();
	return record->stop;
}

static void expect_walk(struct record *record, int result, const char *text)
{
	unsigned int before = open_descriptors();
	struct bmf_error err = { 0 };

	ck_assert_int_eq(bmf_walk(&bmf_io_posix, top_fd, visit, record, &err), result);
	ck_assert_uint_eq(open_descriptors(), before);
	if (text)
		ck_assert_str_eq(record->text, text);
	if (result >= 0)
		ck_assert_int_eq(err.code, 0);
}

START_TEST(names_in_byte_order)
{
	struct record record = { .at = NULL };

	make_top("order");
	make_dir("b");
	make_file("b/z");
	make_file("b/a");
	make_dir("b/m");
	make_file("b/m/1");
	make_dir("b/m/.mirrorfs"); /* only the top's own is left out */
	make_file("b-");
	make_file("a");
	make_file("\xff");
	make_file("Z");
	make_file(".hidden");
	make_dir(".mirrorfs");
	make_file(".mirrorfs/state");
	make_file(".mirrorfs2");
	make_dir("empty");
	ck_assert_int_eq(mkfifoat(top_fd, "fifo", 0600), 0);
	expect_walk(&record, 0,
		    "./ .hidden .mirrorfs2 Z a b/ b/a b/m/ b/m/.mirrorfs/ b/m/1 b/z b- empty/ fifo "
		    "\xff ");
	/* a descriptor that was only made to pass on will do */
	top_fd = openat(scratch_fd, "order", O_PATH);
	record = (struct record){ .at = "b/m", .stop = -77 };
	expect_walk(&record, -77, "./ .hidden .mirrorfs2 Z a b/ b/a b/m/ ");
	record = (struct record){ .at = "", .stop = 5 };
	expect_walk(&record, 5, "./ ");
	record = (struct record){ .at = "\xff", .stop = 6 };
	expect_walk(&record, 6, NULL);
}
END_TEST

START_TEST(symlinks_are_not_followed)
{
	struct record record = { .at = NULL };

	make_top("symlinks");
	make_dir("dir");
	make_file("dir/file");
	ck_assert_int_eq(symlinkat("dir", top_fd, "to-dir"), 0);
	ck_assert_int_eq(symlinkat("..", top_fd, "dir/up"), 0);
	ck_assert_int_eq(symlinkat("/nowhere", top_fd, "dangling"), 0);
	expect_walk(&record, 0, "./ dangling dir/ dir/file dir/up to-dir ");
}
END_TEST

static void make_small_tree(const char *name)
{
	make_top(name);
	make_dir("a");
	make_file("a/1");
	make_file("a/2");
	make_dir("b");
	make_file("b/1");
	make_file("c");
}

static void remove_what_follows(void)
{
	ck_assert_int_eq(unlinkat(top_fd, "a/2", 0), 0);
	ck_assert_int_eq(unlinkat(top_fd, "b/1", 0), 0);
	ck_assert_int_eq(unlinkat(top_fd, "b", AT_REMOVEDIR), 0);
}

static void remove_b_itself(void)
{
	ck_assert_int_eq(unlinkat(top_fd, "b/1", 0), 0);
	ck_assert_int_eq(unlinkat(top_fd, "b", AT_REMOVEDIR), 0);
}

static void swap_b_for_a_symlink(void)
{
	ck_assert_int_eq(renameat(top_fd, "b", scratch_fd, "swapped"), 0);
	ck_assert_int_eq(symlinkat("a", top_fd, "b"), 0);
}

static void swap_b_for_a_file(void)
{
	remove_b_itself();
	make_file("b");
}

START_TEST(a_tree_that_changes)
{
	struct record record = { .at = "a/1", .act = remove_what_follows };

	make_small_tree("change-1");
	expect_walk(&record, 0, "./ a/ a/1 c ");
	make_small_tree("change-2");
	record = (struct record){ .at = "b", .act = remove_b_itself };
	expect_walk(&record, 0, "./ a/ a/1 a/2 b/ c ");
	/* what was moved away while it was looked at is still the same directory */
	make_small_tree("change-3");
	record = (struct record){ .at = "b", .act = swap_b_for_a_symlink };
	expect_walk(&record, 0, "./ a/ a/1 a/2 b/ b/1 c ");
	make_small_tree("change-4");
	record = (struct record){ .at = "a/2", .act = swap_b_for_a_file };
	expect_walk(&record, 0, "./ a/ a/1 a/2 b c ");
}
END_TEST

/* A chain of directories, each in the one before; names of nbytes. */
static void make_deep(const char *top, unsigned int depth, size_t nbytes)
{
	char name[256];
	int fd, next;

	memset(name, 'd', nbytes);
	name[nbytes] = '\0';
	make_top(top);
	fd = dup(top_fd);
	for (unsigned int i = 0; i < depth; i++) {
		ck_assert_int_eq(mkdirat(fd, name, 0700), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY);
		ck_assert_int_ge(next, 0);
		close(fd);
		fd = next;
	}
	close(fd);
}

static void allow_descriptors(rlim_t n)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = n;
	if (limit.rlim_max < n)
		limit.rlim_max = n;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(a_very_deep_tree)
{
	struct record record = { .at = NULL };

	allow_descriptors(1100);
	make_deep("deep", 1000, 200);
	expect_walk(&record, 0, NULL);
	ck_assert_uint_eq(record.entries, 1001);
	ck_assert_uint_eq(record.longest, 1000 * 201 - 1);
}
END_TEST

START_TEST(too_deep_for_the_descriptors)
{
	struct record record = { .at = NULL };
	struct bmf_error err = { 0 };
	unsigned int before;

	make_deep("too-deep", 200, 100);
	before = open_descriptors();
	allow_descriptors(100);
	ck_assert_int_eq(bmf_walk(&bmf_io_posix, top_fd, visit, &record, &err), -EMFILE);
	ck_assert_int_eq(err.code, -EMFILE);
	ck_assert_ptr_eq(strstr(err.text, "read '...ddd"), err.text);
	ck_assert_ptr_nonnull(strstr(err.text, "': too many open files; raise the limit"));
	ck_assert_uint_lt(strlen(err.text), sizeof(err.text) - 1);
	ck_assert_uint_eq(open_descriptors(), before);
	ck_assert_uint_gt(record.entries, 50);
	ck_assert_int_eq(bmf_walk(&bmf_io_posix, top_fd, visit, &record, NULL), -EMFILE);
}
END_TEST

START_TEST(many_names)
{
	struct record record = { .at = NULL };
	char name[32];

	make_top("many");
	for (unsigned int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		make_file(name);
	}
	expect_walk(&record, 0, NULL);
	ck_assert_uint_eq(record.entries, 3001);
}
END_TEST

START_TEST(a_top_that_is_none)
{
	struct bmf_error err = { 0 };
	struct record record = { .at = NULL };

	make_top("none");
	make_file("file");
	ck_assert_int_eq(bmf_walk(&bmf_io_posix, -1, visit, &record, &err), -EBADF);
	ck_assert_str_eq(err.text, "read '.': bad file descriptor");
	ck_assert_int_eq(
		bmf_walk(&bmf_io_posix, openat(top_fd, "file", O_RDONLY), visit, &record, &err),
		-ENOTDIR);
	ck_assert_uint_eq(record.entries, 0);
}
END_TEST

/* As a user who may not read what is below "b". */
START_TEST(an_unreadable_directory)
{
	struct record record = { .at = NULL };
	struct bmf_error err = { 0 };

	make_small_tree("unreadable");
	ck_assert_int_eq(fchmod(top_fd, 0755), 0);
	ck_assert_int_eq(fchmodat(top_fd, "a", 0755, 0), 0);
	ck_assert_int_eq(fchmodat(top_fd, "b", 0, 0), 0);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0); /* of this test's process only */
	ck_assert_int_eq(bmf_walk(&bmf_io_posix, top_fd, visit, &record, &err), -EACCES);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0); /* a leak checker needs it at the end */
	ck_assert_str_eq(err.text, "read 'b': permission denied");
	ck_assert_str_eq(record.text, "./ a/ a/1 a/2 b/ ");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("walk");
	TCase *tc = tcase_create("walk");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, names_in_byte_order);
	tcase_add_test(tc, symlinks_are_not_followed);
	tcase_add_test(tc, a_tree_that_changes);
	tcase_add_test(tc, a_very_deep_tree);
	tcase_add_test(tc, too_deep_for_the_descriptors);
	tcase_add_test(tc, many_names);
	tcase_add_test(tc, a_top_that_is_none);
	tcase_add_test(tc, an_unreadable_directory);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
