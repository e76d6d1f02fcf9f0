/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_filter.c - filter.h: which names are taken */
#include "config.h"

#include "tests/unit/suite.h"
#include "tools/filter.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words: -x is an exclude of x, +x an include. */
static struct filter make(const char *words)
{
	struct filter filter = { 0 };
	char *copy = strdup(words), *rest = copy;

	for (char *word; (word = strsep(&rest, " "));)
		ck_assert_msg(filter_add(&filter, *word == '+', word + 1) == 0, "%s", words);
	free(copy);
	return filter;
}

/* path: with a slash at its end it is a directory. */
static enum filter_verdict ask(const char *words, const char *path)
{
	struct filter filter = make(words);
	char *name = strdup(path);
	size_t n = strlen(name);
	bool is_directory = n > 0 && name[n - 1] == '/';
	enum filter_verdict verdict;

	if (is_directory)
		name[n - 1] = '\0';
	verdict = filter_ask(&filter, name, is_directory);
	free(name);
	filter_destroy(&filter);
	return verdict;
}

START_TEST(verdicts)
{
	enum { T = FILTER_TAKEN, N = FILTER_AS_NEEDED, O = FILTER_OUT };
	static const struct {
		const char *words, *path;
		int verdict;
	} cases[] = {
		/* without a slash: each name of a path, at any depth */
		{ "-*.tmp", "a", T },
		{ "-*.tmp", "a.tmp", O },
		{ "-*.tmp", "x/y/a.tmp", O },
		{ "-*.tmp", "x.tmp/y/a", O },
		{ "-*.tmp", "a.tmpx", T },
		{ "-a", "ab", T },
		{ "-a", "b/ca", T },
		{ "-?", "ab", T },
		{ "-?", "ab/c", O },
		{ "-[ab]*", "x/b7", O },
		{ "-*", ".hidden", O },
		/* with one: the path from the top; a star ends at a slash */
		{ "-x/*.tmp", "x/a.tmp", O },
		{ "-x/*.tmp", "y/x/a.tmp", T },
		{ "-x/*.tmp", "x/y/a.tmp", T },
		{ "-x/*.tmp", "x/y.tmp/a", O },
		{ "-/a", "a", O },
		{ "-/a", "a/b", O },
		{ "-/a", "b/a", T },
		{ "-*/a", "b/a", O },
		{ "-*/a", "a", T },
		{ "-*/a", "b/c/a", T },
		/* with one at its end: directories */
		{ "-a/", "a", T },
		{ "-a/", "a/", O },
		{ "-a/", "a/b", O },
		{ "-a/", "x/a", T },
		{ "-a/", "x/a/", O },
		{ "-a/", "a/a", O },
		{ "-x/a/", "x/a", T },
		{ "-x/a/", "x/a/", O },
		{ "-x/a/", "x/a/b", O },
		/* a backslash makes a name of what follows */
		{ "-a\\*", "a*", O },
		{ "-a\\*", "ab", T },
		/* includes: directories as they are needed */
		{ "+*.img", "a.img", T },
		{ "+*.img", "x/a.img", T },
		{ "+*.img", "a.iso", O },
		{ "+*.img", "x/", N },
		{ "+*.img", "x.img/", T },
		{ "+*.img", "x.img/a.iso", T },
		{ "+x", "x/", T },
		{ "+x", "x/y/z", T },
		{ "+x/*", "x/", N },
		{ "+x/*", "x/y/", T },
		{ "+x/*", "y/", N },
		{ "+a +b", "b", T },
		/* an exclude wins, in whatever order they come */
		{ "+*.img -x", "x/a.img", O },
		{ "-x +x/a.img", "x/a.img", O },
		{ "-x +x/a.img", "x/", O },
		{ "+x -*.iso", "x/a.iso", O },
		{ "+x -*.iso", "x/a.img", T },
		{ "-* +a", "a", O },
		/* the top, whatever they say */
		{ "-*", "", T },
		{ "+a", "", T },
		/* bytes */
		{ "-a\nb", "a\nb", O },
		{ "-\xff*", "\xff\xfe", O },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg((int)ask(cases[i].words, cases[i].path) == cases[i].verdict,
			      "'%s' of '%s'", cases[i].path, cases[i].words);
}
END_TEST

START_TEST(no_names)
{
	struct filter filter = { 0 };

	ck_assert(filter_is_empty(&filter));
	ck_assert_int_eq(filter_add(&filter, true, ""), -EINVAL);
	ck_assert_int_eq(filter_add(&filter, true, "/"), -EINVAL);
	ck_assert_int_eq(filter_add(&filter, false, "///"), -EINVAL);
	ck_assert(filter_is_empty(&filter));
	ck_assert_int_eq(filter_ask(&filter, "a", false), FILTER_TAKEN);
	filter_destroy(&filter);
}
END_TEST

/* Those that nothing has matched, as words. */
static const char *unmatched_of(const struct filter *filter)
{
	static char words[64];
	const char *pattern;
	size_t at = 0, n = 0;
	bool include;

	words[0] = '\0';
	while ((pattern = filter_next_unmatched(filter, &at, &include)))
		n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%c%s", n > 0 ? " " : "",
				      include ? '+' : '-', pattern);
	return words;
}

START_TEST(unmatched)
{
	struct filter filter = make("-x +a* +/b/ -y +c -[z -x*");

	ck_assert_str_eq(unmatched_of(&filter), "-x +a* +/b/ -y +c -[z -x*");
	filter_ask(&filter, "abc", false);
	ck_assert_str_eq(unmatched_of(&filter), "-x +/b/ -y +c -[z -x*");
	filter_ask(&filter, "b", false);
	ck_assert_str_eq(unmatched_of(&filter), "-x +/b/ -y +c -[z -x*");
	filter_ask(&filter, "b/abc", false);
	ck_assert_str_eq(unmatched_of(&filter), "-x -y +c -[z -x*");
	/* two of the same path, though one would do */
	filter_ask(&filter, "x", false);
	ck_assert_str_eq(unmatched_of(&filter), "-y +c -[z");
	filter_ask(&filter, "c", false);
	filter_ask(&filter, "d/[z", false); /* a bracket that isn't closed is one */
	filter_ask(&filter, "d/y", true);
	ck_assert_str_eq(unmatched_of(&filter), "");
	filter_destroy(&filter);
}
END_TEST

/* ---- trees ---- */

static void put(struct tree *tree, const char *path, mode_t mode, ino_t inode)
{
	struct stat st = { .st_mode = mode, .st_ino = inode };

	ck_assert_int_eq(tree_put(tree, path, &st, NULL), 0);
}

/* As a walk would, then the filter; what is left, with spaces between. */
static char *left_of(const char *words, size_t *ret_nfiles)
{
	struct filter filter = make(words);
	static char left[1000];
	struct tree *tree;

	ck_assert_int_eq(tree_new("top", -1, &tree), 0);
	put(tree, "", S_IFDIR, 1);
	put(tree, "a", S_IFREG, 2);
	put(tree, "e", S_IFDIR, 3);
	put(tree, "m", S_IFDIR, 4);
	put(tree, "m/b", S_IFREG, 2); /* a hard link of a */
	put(tree, "m/n", S_IFDIR, 5);
	put(tree, "m/n/c", S_IFREG, 6);
	put(tree, "m/n/l", S_IFLNK, 7);
	put(tree, "m-", S_IFREG, 8);
	*ret_nfiles = filter_tree(&filter, tree);
	ck_assert_int_eq(tree_finish(tree), 0);
	left[0] = '\0';
	for (size_t i = 1; i < tree->nentries; i++) {
		const struct tree_entry *entry = &tree->entries[i];
		size_t n = strlen(left);

		ck_assert_ptr_eq(tree_find(tree, entry->path), entry);
		snprintf(left + n, sizeof(left) - n, "%s%s%s", i > 1 ? " " : "", entry->path,
			 entry->node->nentries > 1 ? "=" : "");
	}
	ck_assert_str_eq(tree->entries[0].path, "");
	tree_free(tree);
	filter_destroy(&filter);
	return left;
}

START_TEST(trees)
{
	size_t nfiles;

	ck_assert_str_eq(left_of("-x", &nfiles), "a= e m m/b= m/n m/n/c m/n/l m-");
	ck_assert_uint_eq(nfiles, 0);
	ck_assert_str_eq(left_of("-m", &nfiles), "a e m-");
	ck_assert_uint_eq(nfiles, 2);
	/* the other name stays */
	ck_assert_str_eq(left_of("-a", &nfiles), "e m m/b m/n m/n/c m/n/l m-");
	/* directories as needed, and no empty ones */
	ck_assert_str_eq(left_of("+c", &nfiles), "m m/n m/n/c");
	ck_assert_uint_eq(nfiles, 3);
	ck_assert_str_eq(left_of("+a", &nfiles), "a");
	ck_assert_str_eq(left_of("+m-", &nfiles), "m-");
	ck_assert_str_eq(left_of("+e", &nfiles), "e");
	ck_assert_uint_eq(nfiles, 4);
	ck_assert_str_eq(left_of("+m -n", &nfiles), "m m/b");
	ck_assert_str_eq(left_of("-*", &nfiles), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_filter");
	TCase *tc = tcase_create("filter");

	tcase_add_test(tc, verdicts);
	tcase_add_test(tc, no_names);
	tcase_add_test(tc, unmatched);
	tcase_add_test(tc, trees);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
