/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_tools_names.c - tree.h and names.h on random trees: whatever the replica's names are,
 * the steps lead to the source's, also when they are cut short and begun anew
 */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"
#include "tools/names.h"
#include "tools/tree.h"

#include "bitmapfile/identity.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = { "a", "b", "a-b", "c" };

static char *random_path(struct rng *rng, char path[64])
{
	size_t depth = 1 + rng_below(rng, 3), used = 0;

	for (size_t i = 0; i < depth; i++)
		used += (size_t)snprintf(path + used, 64 - used, "%s%s", i ? "/" : "",
					 names[rng_below(rng, 4)]);
	return path;
}

/* Whatever works of it; most of what is tried fails, as something is in the way. */
static void grow_tree(struct rng *rng, int fd, int nsteps)
{
	for (int i = 0; i < nsteps; i++) {
		char path[64], other[64];
		int file, r = 0;

		random_path(rng, path);
		switch (rng_below(rng, 6)) {
		case 0:
		case 1:
			r = mkdirat(fd, path, 0700);
			break;
		case 2:
		case 3:
			file = openat(fd, path, O_CREAT | O_EXCL | O_WRONLY, 0600);
			if (file >= 0)
				close(file);
			break;
		case 4:
			r = symlinkat(rng_below(rng, 2) ? "x" : "y", fd, path);
			break;
		default:
			r = linkat(fd, random_path(rng, other), fd, path, 0);
		}
		(void)r;
	}
}

static int make_dir(const char *name)
{
	int fd;

	ck_assert_int_eq(mkdirat(scratch_fd, name, 0700), 0);
	fd = openat(scratch_fd, name, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static struct tree *read_tree(int fd)
{
	struct tree *tree;
	int moving;

	ck_assert_int_eq(tree_new("t", fd, &tree), 0);
	ck_assert_int_eq(tree_add(tree, fd, "", TREE_STAMPS, NULL), 0);
	moving = openat(fd, PLAN_MOVING, O_RDONLY | O_DIRECTORY);
	if (moving >= 0) {
		ck_assert_int_eq(tree_add(tree, moving, PLAN_MOVING "/", TREE_STAMPS, NULL), 0);
		close(moving);
	}
	ck_assert_int_eq(tree_finish(tree), 0);
	return tree;
}

/* Which file of the replica is which of the source: by inode, as a manifest has it. */
struct pair {
	ino_t source, dest;
};

struct pairs {
	struct pair list[64];
	size_t n;
};

static void pair_files(struct rng *rng, const struct tree *a, const struct tree *b,
		       struct pairs *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < a->nby_inode && ret->n < 64; i++) {
		const struct tree_node *other =
			b->nby_inode ? b->by_inode[rng_below(rng, b->nby_inode)] : NULL;
		bool taken = false;

		if (!other || !S_ISREG(a->by_inode[i]->st.st_mode) || !S_ISREG(other->st.st_mode))
			continue;
		for (size_t k = 0; k < ret->n; k++)
			taken |= ret->list[k].dest == other->st.st_ino;
		if (!taken)
			ret->list[ret->n++] =
				(struct pair){ a->by_inode[i]->st.st_ino, other->st.st_ino };
	}
}

static void claim(struct plan *plan, size_t i, struct tree_node *dest)
{
	plan->nodes[i].dest = dest;
	plan->claims[dest->index] = &plan->nodes[i];
}

static void claim_by_path(struct plan *plan, size_t i)
{
	struct tree_node *node = plan->source->nodes[i];
	struct tree_entry *entry = tree_find(plan->dest, node->first->path);

	if (entry && !plan->claims[entry->node->index] &&
	    (entry->node->st.st_mode & S_IFMT) == (node->st.st_mode & S_IFMT) &&
	    (!S_ISLNK(node->st.st_mode) || strcmp(node->target, entry->node->target) == 0))
		claim(plan, i, entry->node);
}

static void claim_paired(struct plan *plan, size_t i, const struct pairs *pairs)
{
	for (size_t k = 0; k < pairs->n; k++)
		for (size_t j = 0; j < plan->dest->nby_inode; j++)
			if (pairs->list[k].source == plan->source->nodes[i]->st.st_ino &&
			    pairs->list[k].dest == plan->dest->by_inode[j]->st.st_ino)
				claim(plan, i, plan->dest->by_inode[j]);
}

static struct plan *make_plan(struct tree *a, struct tree *b, const struct pairs *pairs)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	plan->source = a;
	plan->dest = b;
	plan->nnodes = a->nnodes;
	plan->nodes = calloc(a->nnodes + 1, sizeof(*plan->nodes));
	plan->claims = calloc(b->nnodes + 1, sizeof(struct plan_node *));
	for (size_t i = 0; i < a->nnodes; i++) {
		plan->nodes[i].source = a->nodes[i];
		if (S_ISREG(a->nodes[i]->st.st_mode))
			claim_paired(plan, i, pairs);
		else
			claim_by_path(plan, i);
	}
	return plan;
}

/* Plans anew and carries out at most max steps; how many there were. */
static size_t bring_in_line(int a_fd, int b_fd, const struct pairs *pairs, size_t max)
{
	struct tree *a = read_tree(a_fd), *b = read_tree(b_fd);
	struct plan *plan = make_plan(a, b, pairs);
	struct name_steps steps;
	struct names_result result;
	struct bmf_error err = { 0 };
	size_t n;

	ck_assert_int_eq(names_list(plan, &steps), 0);
	n = steps.n;
	if (steps.n > max)
		steps.n = max;
	ck_assert_msg(names_apply(plan, &steps, b_fd, &result, &err) == 0, "%s", err.text);
	names_destroy(&steps);
	plan_free(plan);
	tree_free(a);
	tree_free(b);
	return n;
}

static void check_equal(int a_fd, int b_fd, const struct pairs *pairs)
{
	struct tree *a = read_tree(a_fd), *b = read_tree(b_fd);

	ck_assert_uint_eq(a->nentries, b->nentries);
	for (size_t i = 0; i < a->nentries; i++) {
		const struct tree_entry *x = &a->entries[i], *y = &b->entries[i];

		ck_assert_str_eq(x->path, y->path);
		ck_assert_uint_eq(x->node->st.st_mode & S_IFMT, y->node->st.st_mode & S_IFMT);
		ck_assert_str_eq(x->node->first->path, y->node->first->path);
		if (S_ISLNK(x->node->st.st_mode))
			ck_assert_str_eq(x->node->target, y->node->target);
		for (size_t k = 0; k < pairs->n; k++)
			if (S_ISREG(x->node->st.st_mode) &&
			    pairs->list[k].source == x->node->st.st_ino)
				ck_assert_uint_eq(pairs->list[k].dest, y->node->st.st_ino);
	}
	ck_assert_int_lt(faccessat(b_fd, PLAN_MOVING, F_OK, 0), 0);
	tree_free(a);
	tree_free(b);
}

static void empty_out(const char *name)
{
	char command[5000];

	snprintf(command, sizeof(command), "rm -rf '%s/%s'", scratch_path, name);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(any_tree_becomes_any_other)
{
	struct rng rng = rng_start("any_tree_becomes_any_other");

	for (int round = 0; round < 300; round++) {
		int a_fd = make_dir("a"), b_fd = make_dir("b");
		struct tree *a, *b;
		struct pairs pairs;

		ck_assert_int_eq(mkdirat(b_fd, ".mirrorfs", 0700), 0);
		grow_tree(&rng, a_fd, 25);
		grow_tree(&rng, b_fd, 25);
		a = read_tree(a_fd);
		b = read_tree(b_fd);
		pair_files(&rng, a, b, &pairs);
		tree_free(a);
		tree_free(b);

		/* some attempts end early, at any step; the last one doesn't */
		while (rng_below(&rng, 3) != 0)
			bring_in_line(a_fd, b_fd, &pairs, rng_below(&rng, 20));
		bring_in_line(a_fd, b_fd, &pairs, SIZE_MAX);
		check_equal(a_fd, b_fd, &pairs);
		close(a_fd);
		close(b_fd);
		empty_out("a");
		empty_out("b");
	}
}
END_TEST

START_TEST(nothing_to_do_is_no_step)
{
	struct rng rng = rng_start("nothing_to_do_is_no_step");
	int fd = make_dir("same"), copy_fd;
	struct pairs pairs = { .n = 0 };
	struct tree *a, *b;
	char command[10000];

	grow_tree(&rng, fd, 60);
	snprintf(command, sizeof(command), "cp -a '%s/same' '%s/copy'", scratch_path, scratch_path);
	ck_assert_int_eq(system(command), 0);
	copy_fd = openat(scratch_fd, "copy", O_RDONLY | O_DIRECTORY);
	a = read_tree(fd);
	b = read_tree(copy_fd);
	for (size_t i = 0; i < a->nentries; i++) {
		const struct tree_node *x = a->entries[i].node, *y = b->entries[i].node;

		if (S_ISREG(x->st.st_mode) && pairs.n < 64 && x->first == &a->entries[i])
			pairs.list[pairs.n++] = (struct pair){ x->st.st_ino, y->st.st_ino };
	}
	tree_free(a);
	tree_free(b);
	ck_assert_uint_eq(bring_in_line(fd, copy_fd, &pairs, SIZE_MAX), 0);
	close(fd);
	close(copy_fd);
}
END_TEST

START_TEST(order_of_paths)
{
	static const char *const ordered[] = { "",	"a",   "a/b", "a/b/c", "a/c",
					       "a\x01", "a-b", "ab",  "b",     "\xff" };
	size_t n = sizeof(ordered) / sizeof(ordered[0]);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			int order = tree_compare_paths(ordered[i], ordered[k]);

			ck_assert_int_eq((order > 0) - (order < 0), (i > k) - (i < k));
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_names");
	TCase *tc = tcase_create("names");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, order_of_paths);
	tcase_add_test(tc, any_tree_becomes_any_other);
	tcase_add_test(tc, nothing_to_do_is_no_step);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
