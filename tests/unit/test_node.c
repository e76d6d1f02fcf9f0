/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_node.c - the inode table: names to nodes, lookups counted, handles on them
 */
#include "config.h"

#include "fs/fs.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define NFILES 3000 /* more than the table has chains at first */
#define NSPARE 64   /* descriptors that are no node's */
#define NTHREADS 4
#define NROUNDS 2000

static struct mfs fs;

static void setup(void)
{
	fs = (struct mfs){ .source_fd = scratch_fd };
	ck_assert_int_eq(mfs_nodes_init(&fs.nodes, scratch_fd), 0);
	mfs_handles_init(&fs.handles);
}

static void teardown(void)
{
	mfs_handles_destroy(&fs.handles);
	mfs_nodes_destroy(&fs.nodes);
}

static void make(const char *name)
{
	int fd = openat(scratch_fd, name, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static struct mfs_node *lookup(const char *name)
{
	struct mfs_node *node;
	struct stat st;

	ck_assert_int_eq(mfs_node_lookup(&fs, &fs.nodes.root, name, &node, &st), 0);
	ck_assert(st.st_ino == node->ino);
	return node;
}

START_TEST(test_names_of_one_inode_are_one_node)
{
	struct mfs_node *a, *b, *by_fd;
	struct stat st;
	int fd;

	make("a");
	ck_assert_int_eq(linkat(scratch_fd, "a", scratch_fd, "b", 0), 0);
	a = lookup("a");
	b = lookup("b");
	ck_assert_ptr_eq(a, b);
	fd = openat(scratch_fd, "a", O_RDONLY);
	ck_assert_int_eq(mfs_node_of_fd(&fs, fd, &by_fd, &st), 0);
	ck_assert_ptr_eq(a, by_fd);
	close(fd);
	ck_assert_uint_eq(a->nlookup, 3);
	mfs_node_forget(&fs, a, 2);
	ck_assert_ptr_eq(lookup("a"), a);
	mfs_node_forget(&fs, a, 2);
	ck_assert_uint_eq(fs.nodes.nnodes, 0);
}
END_TEST

START_TEST(test_what_is_not_there)
{
	struct mfs_node *node = NULL;
	struct stat st;

	ck_assert_int_eq(mfs_node_lookup(&fs, &fs.nodes.root, "no", &node, &st), -ENOENT);
	ck_assert_int_eq(symlinkat("no", scratch_fd, "link"), 0);
	node = lookup("link");
	ck_assert(S_ISLNK(node->type));
	mfs_node_forget(&fs, node, 1);
	/* the root is not counted */
	mfs_node_forget(&fs, &fs.nodes.root, 1000);
	ck_assert_int_ge(fs.nodes.root.fd, 0);
}
END_TEST

/* As long as a node is known, its inode can't become another file's. */
START_TEST(test_a_replaced_name_is_another_node)
{
	struct mfs_node *old, *new;
	struct stat st;

	make("file");
	old = lookup("file");
	for (int i = 0; i < 20; i++) {
		make("other");
		ck_assert_int_eq(renameat(scratch_fd, "other", scratch_fd, "file"), 0);
		new = lookup("file");
		ck_assert_ptr_ne(old, new);
		ck_assert(new->ino != old->ino);
		mfs_node_forget(&fs, new, 1);
	}
	ck_assert_int_eq(fstat(old->fd, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 0);
	mfs_node_forget(&fs, old, 1);
}
END_TEST

/* A node is a descriptor.  Returns how many are allowed, up to NFILES, after asking for more. */
static int allowed_nodes(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur >= NFILES + NSPARE)
		return NFILES;
	ck_assert_uint_gt(limit.rlim_cur, 2 * NSPARE);
	return (int)limit.rlim_cur - NSPARE;
}

START_TEST(test_many_nodes)
{
	static struct mfs_node *nodes[NFILES];
	int nfiles = allowed_nodes();
	char name[32];

	for (int i = 0; i < nfiles; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		make(name);
		nodes[i] = lookup(name);
	}
	ck_assert_uint_eq(fs.nodes.nnodes, nfiles);
	for (int i = 0; i < nfiles; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		ck_assert_ptr_eq(lookup(name), nodes[i]);
		mfs_node_forget(&fs, nodes[i], i % 2 ? 2 : 1);
	}
	ck_assert_uint_eq(fs.nodes.nnodes, (nfiles + 1) / 2);
	for (int i = 0; i < nfiles; i++) {
		if (i % 2 == 0)
			mfs_node_forget(&fs, nodes[i], 1);
		snprintf(name, sizeof(name), "file-%d", i);
		unlinkat(scratch_fd, name, 0);
	}
	ck_assert_uint_eq(fs.nodes.nnodes, 0);
}
END_TEST

static void *look_and_forget(void *arg)
{
	uintptr_t failures = 0;

	(void)arg;
	for (int i = 0; i < NROUNDS; i++) {
		struct mfs_node *node;
		struct stat st;

		if (mfs_node_lookup(&fs, &fs.nodes.root, "file", &node, &st) < 0 ||
		    node->ino != st.st_ino || fstat(node->fd, &st) < 0 || node->ino != st.st_ino)
			failures++;
		else
			mfs_node_forget(&fs, node, 1);
	}
	return (void *)failures;
}

START_TEST(test_threads_find_and_forget_one_node)
{
	pthread_t threads[NTHREADS];
	void *failures;

	make("file");
	for (int i = 0; i < NTHREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, look_and_forget, NULL), 0);
	for (int i = 0; i < NTHREADS; i++) {
		pthread_join(threads[i], &failures);
		ck_assert_ptr_null(failures);
	}
	ck_assert_uint_eq(fs.nodes.nnodes, 0);
}
END_TEST

static struct mfs_handle *open_handle(struct mfs_node *node, int flags)
{
	struct mfs_handle *handle;

	ck_assert_int_eq(mfs_handle_open(&fs, node, O_RDONLY | flags, &handle), 0);
	return handle;
}

/* Where the kernel does not mix them, all files that are open at a time are alike. */
START_TEST(test_direct_io_does_not_mix)
{
	struct mfs_node *node;
	struct mfs_handle *first, *second, *third;

	make("file");
	node = lookup("file");
	for (int mixes = 0; mixes < 2; mixes++) {
		fs.direct_io_mixes = mixes;
		first = open_handle(node, O_DIRECT);
		second = open_handle(node, 0);
		ck_assert(mfs_handle_direct_io(&fs, first));
		ck_assert(mfs_handle_direct_io(&fs, second) == !mixes);
		mfs_handle_close(&fs, first);
		third = open_handle(node, 0);
		ck_assert(mfs_handle_direct_io(&fs, third) == !mixes);
		mfs_handle_close(&fs, second);
		mfs_handle_close(&fs, third);

		first = open_handle(node, 0);
		second = open_handle(node, O_DIRECT);
		ck_assert(!mfs_handle_direct_io(&fs, first));
		ck_assert(mfs_handle_direct_io(&fs, second) == (bool)mixes);
		mfs_handle_close(&fs, second);
		mfs_handle_close(&fs, first);
	}
	ck_assert(node->ncached == 0 && node->ndirect == 0);
	mfs_node_forget(&fs, node, 1);
}
END_TEST

/* dd clears O_DIRECT for its last block, which then goes through another descriptor. */
START_TEST(test_handle_without_its_o_direct)
{
	struct mfs_node *node;
	struct mfs_handle *handle;
	int fd;

	make("file");
	node = lookup("file");
	handle = open_handle(node, O_DIRECT);
	ck_assert_int_eq(mfs_handle_fd(handle, O_RDONLY | O_DIRECT), handle->fd);
	fd = mfs_handle_fd(handle, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ne(fd, handle->fd);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_DIRECT, 0);
	ck_assert_int_eq(mfs_handle_fd(handle, O_RDONLY), fd);
	mfs_handle_close(&fs, handle);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);

	handle = open_handle(node, 0);
	ck_assert_int_eq(mfs_handle_fd(handle, O_RDONLY), handle->fd);
	ck_assert_int_eq(mfs_handle_fd(handle, O_RDONLY | O_DIRECT), handle->fd);
	/* left open: teardown closes it, before the nodes */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node");
	TCase *tcase = tcase_create("node");

	tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_names_of_one_inode_are_one_node);
	tcase_add_test(tcase, test_what_is_not_there);
	tcase_add_test(tcase, test_a_replaced_name_is_another_node);
	tcase_add_test(tcase, test_many_nodes);
	tcase_add_test(tcase, test_threads_find_and_forget_one_node);
	tcase_add_test(tcase, test_direct_io_does_not_mix);
	tcase_add_test(tcase, test_handle_without_its_o_direct);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
