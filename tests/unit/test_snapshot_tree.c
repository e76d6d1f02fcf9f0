/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_snapshot_tree.c - snapshot_tree.h: a tree in memory stays what the source was */
#include "config.h"

#include "fs/snapshot_tree.h"
#include "tests/unit/faultmem.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

static const struct mfs_snapshot_tree_limits no_limits = { .deadline = { .tv_sec = INT_MAX },
							   .fd_max = INT_MAX };
static int top_fd; /* a directory of the test's own */
static struct mfs_snapshot_tree *tree;

static void make_top(const char *name)
{
	ck_assert_int_eq(mkdirat(scratch_fd, name, 0755), 0);
	top_fd = openat(scratch_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(top_fd, 0);
	ck_assert_int_eq(fchdir(top_fd), 0);
}

static void make_dir(const char *path)
{
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void make_file(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

static void read_tree(void)
{
	struct bmf_error err = { 0 };
	int r = mfs_snapshot_tree_read(&bmf_io_posix, top_fd, &no_limits, NULL, &tree, &err);

	ck_assert_msg(r == 0, "%s", err.text);
	ck_assert_int_eq(err.code, 0);
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

/* The node of a path, "a/b"; NULL when there is none. */
static struct mfs_snapshot_node *find(const char *path)
{
	struct mfs_snapshot_node *node = tree->nodes[0];
	char copy[256], *rest = copy, *name;

	snprintf(copy, sizeof(copy), "%s", path);
	while (node && (name = strsep(&rest, "/")))
		node = mfs_snapshot_tree_find(node, name);
	return node;
}

static void expect_content(const struct mfs_snapshot_node *node, const char *wanted)
{
	char path[64], got[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", node->fd);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, got, sizeof(got) - 1), 0);
	ck_assert_str_eq(got, wanted);
	close(fd);
}

static void expect_same_stat(const struct stat *a, const struct stat *b)
{
	ck_assert_uint_eq(a->st_dev, b->st_dev);
	ck_assert_uint_eq(a->st_ino, b->st_ino);
	ck_assert_uint_eq(a->st_mode, b->st_mode);
	ck_assert_uint_eq(a->st_nlink, b->st_nlink);
	ck_assert_uint_eq(a->st_uid, b->st_uid);
	ck_assert_uint_eq(a->st_gid, b->st_gid);
	ck_assert_int_eq(a->st_size, b->st_size);
	ck_assert_int_eq(a->st_mtim.tv_sec, b->st_mtim.tv_sec);
	ck_assert_int_eq(a->st_mtim.tv_nsec, b->st_mtim.tv_nsec);
	ck_assert_int_eq(a->st_ctim.tv_nsec, b->st_ctim.tv_nsec);
}

/* The nodes below dir are what is there now; the entries that were looked at. */
static unsigned int expect_below(const struct mfs_snapshot_node *dir, int dirfd)
{
	unsigned int n = 0;

	for (size_t i = 0; i < dir->nentries; i++) {
		const struct mfs_snapshot_entry *entry = &dir->entries[i];
		struct stat st;
		int fd;

		if (i > 0)
			ck_assert_int_lt(strcmp(dir->entries[i - 1].name, entry->name), 0);
		ck_assert_int_eq(fstatat(dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW), 0);
		expect_same_stat(&entry->node->st, &st);
		ck_assert_ptr_eq(mfs_snapshot_tree_find(dir, entry->name), entry->node);
		n++;
		if (!S_ISDIR(st.st_mode))
			continue;
		ck_assert_ptr_eq(entry->node->parent, dir);
		fd = openat(dirfd, entry->name, O_RDONLY | O_DIRECTORY);
		n += expect_below(entry->node, fd);
		close(fd);
	}
	return n;
}

static void make_tree(void)
{
	make_dir("b");
	make_file("b/z", "z");
	make_file("b/a", "aa");
	make_dir("b/m");
	make_file("b/m/1", "deep");
	make_dir("b/m/.mirrorfs"); /* only the top's own is left out */
	make_file("b-", "");
	make_file("a", "content of a");
	make_dir("c");
	make_dir("c/d");
	make_dir("c/d/e");
	make_file("c/d/e/f", "f");
	make_file("d", "d");
	make_file("\xff", "ff");
	make_dir(".mirrorfs");
	make_file(".mirrorfs/state", "");
	ck_assert_int_eq(symlink("b/m/1", "link"), 0);
	ck_assert_int_eq(mkfifo("pipe", 0600), 0);
}

START_TEST(names_and_attributes)
{
	struct stat st;

	make_top("names");
	make_tree();
	read_tree();
	ck_assert_uint_eq(expect_below(tree->nodes[0], top_fd), 16);
	ck_assert_uint_eq(tree->nnodes, 17);
	ck_assert_int_eq(fstat(top_fd, &st), 0);
	expect_same_stat(&tree->nodes[0]->st, &st);
	ck_assert_ptr_eq(tree->nodes[0]->parent, tree->nodes[0]);
	ck_assert_ptr_null(find(".mirrorfs"));
	ck_assert_ptr_null(find("b/none"));
	ck_assert_ptr_null(find("b/m/.mirrorfs/none")); /* an empty directory */
	ck_assert_str_eq(find("link")->target, "b/m/1");
	ck_assert_int_eq(find("link")->fd, -1);
	ck_assert_int_eq(find("pipe")->fd, -1);
	expect_content(find("c/d/e/f"), "f");
	mfs_snapshot_tree_free(tree);
	mfs_snapshot_tree_free(NULL);
}
END_TEST

START_TEST(hard_links_are_one_node)
{
	make_top("links");
	make_tree();
	ck_assert_int_eq(link("a", "b/m/same"), 0);
	ck_assert_int_eq(link("a", "zz"), 0);
	ck_assert_int_eq(link("pipe", "b/pipe"), 0);
	ck_assert_int_eq(link("link", "b/link"), 0);
	read_tree();
	ck_assert_ptr_eq(find("b/m/same"), find("a"));
	ck_assert_ptr_eq(find("zz"), find("a"));
	ck_assert_uint_eq(find("a")->st.st_nlink, 3);
	ck_assert_ptr_eq(find("b/pipe"), find("pipe"));
	ck_assert_ptr_eq(find("b/link"), find("link"));
	ck_assert_uint_eq(tree->nnodes, 17);
	mfs_snapshot_tree_free(tree);
}
END_TEST

START_TEST(images_are_found_by_inode)
{
	char name[32];

	make_top("inodes");
	for (unsigned int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "%u", i);
		make_file(name, "");
	}
	ck_assert_int_eq(symlink("x", "link"), 0);
	read_tree();
	for (size_t i = 0; i < tree->nnodes; i++) {
		struct mfs_snapshot_node *node = tree->nodes[i];

		ck_assert_ptr_eq(mfs_snapshot_tree_by_inode(tree, node->st.st_dev, node->st.st_ino),
				 S_ISREG(node->st.st_mode) ? node : NULL);
		ck_assert_ptr_null(
			mfs_snapshot_tree_by_inode(tree, node->st.st_dev + 1, node->st.st_ino));
	}
	mfs_snapshot_tree_free(tree);

	make_top("no-inodes");
	read_tree();
	ck_assert_ptr_null(mfs_snapshot_tree_by_inode(tree, 1, 1));
	mfs_snapshot_tree_free(tree);
}
END_TEST

START_TEST(what_changes_later_changes_nothing)
{
	make_top("later");
	make_tree();
	read_tree();
	ck_assert_int_eq(unlink("a"), 0);
	ck_assert_int_eq(rename("d", "b/a"), 0);
	make_file("d", "another");
	ck_assert_int_eq(rename("b", "bb"), 0);
	ck_assert_int_eq(chmod("\xff", 0600), 0);
	ck_assert_int_eq(unlink("link"), 0);

	expect_content(find("a"), "content of a");
	expect_content(find("b/a"), "aa");
	expect_content(find("d"), "d");
	ck_assert_ptr_nonnull(find("b/m/1"));
	ck_assert_ptr_null(find("bb"));
	ck_assert_uint_eq(find("\xff")->st.st_mode, S_IFREG | 0644);
	ck_assert_str_eq(find("link")->target, "b/m/1");
	mfs_snapshot_tree_strip(tree);
	ck_assert_ptr_null(find("a"));
	ck_assert_uint_eq(tree->nnodes, 17);
	mfs_snapshot_tree_free(tree);
}
END_TEST

START_TEST(sizes_are_taken_again)
{
	struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 5, .tv_nsec = 7 } };

	make_top("restat");
	make_tree();
	read_tree();
	ck_assert_int_eq(truncate("a", 12345), 0);
	ck_assert_int_eq(utimensat(top_fd, "b/a", times, 0), 0);
	ck_assert_int_eq(utimensat(top_fd, "b", times, 0), 0);
	ck_assert_int_eq(mfs_snapshot_tree_restat(tree, NULL), 0);
	ck_assert_int_eq(find("a")->st.st_size, 12345);
	ck_assert_int_eq(find("b/a")->st.st_mtim.tv_nsec, 7);
	ck_assert_int_ne(find("b")->st.st_mtim.tv_sec, 5); /* no image */
	mfs_snapshot_tree_free(tree);
}
END_TEST

static void expect_xattr(const struct mfs_snapshot_node *node, const char *name, const char *value)
{
	for (size_t i = 0; i < node->nxattrs; i++) {
		const struct mfs_snapshot_xattr *xattr = &node->xattrs[i];

		if (strcmp(xattr->name, name) != 0)
			continue;
		ck_assert_uint_eq(xattr->nbytes, strlen(value));
		ck_assert_mem_eq(xattr->value, value, strlen(value));
		return;
	}
	ck_abort_msg("no %s", name);
}

static void set_xattr(const char *path, const char *name, const char *value)
{
	ck_assert_int_eq(lsetxattr(path, name, value, strlen(value), 0), 0);
}

START_TEST(extended_attributes)
{
	char large[3000];

	make_top("xattrs");
	make_tree();
	memset(large, 'l', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	set_xattr("a", "user.one", "1");
	set_xattr("a", "user.mirrorfs.id", "hidden");
	set_xattr("a", "user.empty", "");
	set_xattr("a", "user.large", large);
	set_xattr("b", "user.dir", "of a directory");
	set_xattr("b/a", "user.mirrorfs.id", "hidden");
	if (geteuid() == 0)
		set_xattr("link", "trusted.link", "of the link itself");
	read_tree();
	ck_assert_uint_eq(find("a")->nxattrs, 3);
	expect_xattr(find("a"), "user.one", "1");
	expect_xattr(find("a"), "user.empty", "");
	expect_xattr(find("a"), "user.large", large);
	ck_assert_uint_eq(find("b")->nxattrs, 1);
	expect_xattr(find("b"), "user.dir", "of a directory");
	ck_assert_uint_eq(find("b/a")->nxattrs, 0);
	ck_assert_uint_eq(find("b/m/1")->nxattrs, 0);
	if (geteuid() == 0)
		expect_xattr(find("link"), "trusted.link", "of the link itself");
	for (size_t i = 0; i < tree->nnodes; i++)
		ck_assert_int_eq(tree->nodes[i]->xattr_error, 0);
	mfs_snapshot_tree_free(tree);
}
END_TEST

/* The rest of the tree is there nevertheless. */
START_TEST(extended_attributes_that_may_not_be_read)
{
	make_top("unreadable");
	make_tree();
	set_xattr("a", "user.one", "1");
	set_xattr("d", "user.two", "2");
	ck_assert_int_eq(chmod("a", 0), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0); /* of this test's process only */
	read_tree();
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0); /* a leak checker needs it at the end */
	ck_assert_int_eq(find("a")->xattr_error, -EACCES);
	ck_assert_uint_eq(find("a")->nxattrs, 0);
	expect_xattr(find("d"), "user.two", "2");
	ck_assert_uint_eq(tree->nnodes, 17);
	mfs_snapshot_tree_free(tree);
}
END_TEST

START_TEST(not_enough_descriptors)
{
	struct rlimit limit = { 100, 100 };
	struct bmf_error err = { 0 };
	unsigned int before;
	char name[32];

	make_top("descriptors");
	make_dir("dir");
	for (unsigned int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "dir/%u", i);
		make_file(name, "");
	}
	before = open_descriptors();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(
		mfs_snapshot_tree_read(&bmf_io_posix, top_fd, &no_limits, NULL, &tree, &err),
		-EMFILE);
	ck_assert_int_eq(err.code, -EMFILE);
	ck_assert_ptr_eq(strstr(err.text, "hold images open: too many open files; raise"),
			 err.text);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

/* Some are left to others; and nobody waits for ever. */
START_TEST(limits_are_kept)
{
	struct mfs_snapshot_tree_limits limits = no_limits;
	struct bmf_error err = { 0 };
	unsigned int before;

	make_top("limits");
	for (char name[] = "a"; *name <= 'z'; ++*name)
		make_file(name, "");
	before = open_descriptors();
	limits.fd_max = dup(top_fd) + 10;
	close(limits.fd_max - 10);
	ck_assert_int_eq(mfs_snapshot_tree_read(&bmf_io_posix, top_fd, &limits, NULL, &tree, &err),
			 -EMFILE);
	limits = (struct mfs_snapshot_tree_limits){ .fd_max = INT_MAX };
	ck_assert_int_eq(mfs_snapshot_tree_read(&bmf_io_posix, top_fd, &limits, NULL, &tree, &err),
			 -ETIMEDOUT);
	ck_assert_uint_eq(open_descriptors(), before);
	read_tree();
	mfs_snapshot_tree_free(tree);
}
END_TEST

/* Every allocation fails once. */
START_TEST(not_enough_memory)
{
	struct mfs_snapshot_tree *const untouched = (void *)&top_fd;
	struct bmf_error err;
	unsigned int before, n;
	bool fired;
	int r;

	make_top("memory");
	make_tree();
	set_xattr("a", "user.one", "1");
	ck_assert_int_eq(link("a", "b/m/same"), 0);
	before = open_descriptors();
	for (n = 1;; n++) {
		tree = untouched;
		faultmem_arm(n, false);
		r = mfs_snapshot_tree_read(&bmf_io_posix, top_fd, &no_limits, NULL, &tree, &err);
		fired = faultmem_fired();
		faultmem_arm(0, false);
		if (!fired)
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_int_eq(err.code, -ENOMEM);
		ck_assert_ptr_eq(strstr(err.text, "read "), err.text);
		ck_assert_ptr_eq(tree, untouched);
		ck_assert_uint_eq(open_descriptors(), before);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_uint_gt(n, 60);
	mfs_snapshot_tree_free(tree);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot_tree");
	TCase *tc = tcase_create("snapshot_tree");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, names_and_attributes);
	tcase_add_test(tc, hard_links_are_one_node);
	tcase_add_test(tc, images_are_found_by_inode);
	tcase_add_test(tc, what_changes_later_changes_nothing);
	tcase_add_test(tc, sizes_are_taken_again);
	tcase_add_test(tc, extended_attributes);
	tcase_add_test(tc, extended_attributes_that_may_not_be_read);
	tcase_add_test(tc, not_enough_descriptors);
	tcase_add_test(tc, limits_are_kept);
	tcase_add_test(tc, not_enough_memory);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
