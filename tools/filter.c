/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filter.c - which names of a source are taken */
#include "config.h"

#include "tools/filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct filter_glob {
	char *given;   /* owned */
	char *pattern; /* owned; without slashes at its ends */
	bool include;
	bool from_top;
	bool directories; /* only */
	bool matched;
};

/* Does it end with a backslash that quotes nothing?  To fnmatch(3) that matches nothing. */
static bool ends_amid_quoting(const char *pattern, size_t n)
{
	size_t nbackslashes = 0;

	while (nbackslashes < n && pattern[n - 1 - nbackslashes] == '\\')
		nbackslashes++;
	return nbackslashes % 2 != 0;
}

/* Is one of its names . or ..?  Nothing in a tree is called that. */
static bool has_dots(const char *pattern, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t dots = strspn(pattern + i, ".");

		if (dots >= 1 && dots <= 2 && (i + dots == n || pattern[i + dots] == '/'))
			return true;
		i += strcspn(pattern + i, "/");
	}
	return false;
}

static int glob_init(struct filter_glob *glob, bool include, const char *pattern)
{
	size_t n = strlen(pattern), skipped = strspn(pattern, "/");

	while (n > skipped && pattern[n - 1] == '/')
		n--;
	if (n == skipped || ends_amid_quoting(pattern + skipped, n - skipped) ||
	    has_dots(pattern + skipped, n - skipped))
		return -EINVAL;
	*glob = (struct filter_glob){ .given = strdup(pattern),
				      .pattern = strndup(pattern + skipped, n - skipped),
				      .include = include,
				      .directories = pattern[n] == '/' };
	if (!glob->given || !glob->pattern) {
		free(glob->given);
		free(glob->pattern);
		return -ENOMEM;
	}
	glob->from_top = skipped > 0 || strchr(glob->pattern, '/');
	return 0;
}

int filter_add(struct filter *filter, bool include, const char *pattern)
{
	struct filter_glob *globs = reallocarray(filter->globs, filter->n + 1, sizeof(*globs));
	int r;

	if (!globs)
		return -ENOMEM;
	filter->globs = globs;
	r = glob_init(&globs[filter->n], include, pattern);
	if (r < 0)
		return r;
	filter->n++;
	filter->nincludes += include;
	return 0;
}

void filter_destroy(struct filter *filter)
{
	for (size_t i = 0; i < filter->n; i++) {
		free(filter->globs[i].given);
		free(filter->globs[i].pattern);
	}
	free(filter->globs);
	*filter = (struct filter){ 0 };
}

/* ---- one pattern ---- */

/* Of the path that begins at `at`: it, or a directory that it is in. */
static bool matches_at(const struct filter_glob *glob, const char *at, bool is_directory)
{
	if (fnmatch(glob->pattern, at, FNM_PATHNAME | FNM_LEADING_DIR) != 0)
		return false;
	return !glob->directories || is_directory || fnmatch(glob->pattern, at, FNM_PATHNAME) != 0;
}

static bool matches(const struct filter_glob *glob, const char *path, bool is_directory)
{
	if (glob->from_top)
		return matches_at(glob, path, is_directory);
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (matches_at(glob, at, is_directory))
			return true;
	}
	return false;
}

/* ---- all of them ---- */

static bool any_matches(struct filter *filter, bool include, const char *path, bool is_directory)
{
	bool found = false;

	/* all are tried, to know which of them match nothing */
	for (size_t i = 0; i < filter->n; i++) {
		struct filter_glob *glob = &filter->globs[i];

		if (glob->include == include && matches(glob, path, is_directory))
			found = glob->matched = true;
	}
	return found;
}

enum filter_verdict filter_ask(struct filter *filter, const char *path, bool is_directory)
{
	if (!*path)
		return FILTER_TAKEN;
	if (any_matches(filter, false, path, is_directory))
		return FILTER_OUT;
	if (filter->nincludes == 0 || any_matches(filter, true, path, is_directory))
		return FILTER_TAKEN;
	return is_directory ? FILTER_AS_NEEDED : FILTER_OUT;
}

/*
 * From its end, as in the order of a walk what is in a directory follows right after it: if
 * anything of that is taken, then so is what comes next.
 */
size_t filter_tree(struct filter *filter, struct tree *tree)
{
	size_t kept = tree->nentries, nfiles = 0;

	for (size_t i = tree->nentries; i > 0; i--) {
		struct tree_entry *entry = &tree->entries[i - 1];
		bool is_directory = S_ISDIR(entry->node->st.st_mode);
		const char *next = kept < tree->nentries ? tree->entries[kept].path : "";
		enum filter_verdict verdict = filter_ask(filter, entry->path, is_directory);

		if (verdict == FILTER_TAKEN ||
		    (verdict == FILTER_AS_NEEDED && tree_is_in(entry->path, next))) {
			tree->entries[--kept] = *entry;
			continue;
		}
		nfiles += S_ISREG(entry->node->st.st_mode);
		free(entry->path);
	}
	tree->nentries -= kept;
	memmove(tree->entries, tree->entries + kept, tree->nentries * sizeof(*tree->entries));
	return nfiles;
}

const char *filter_next_unmatched(const struct filter *filter, size_t *at, bool *ret_include)
{
	while (*at < filter->n) {
		const struct filter_glob *glob = &filter->globs[(*at)++];

		if (!glob->matched) {
			*ret_include = glob->include;
			return glob->given;
		}
	}
	return NULL;
}
