/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.h - which names of a source are taken: --include and --exclude
 *
 * A pattern is one of glob(7).  Without a slash, but for one at its end, it is matched with each
 * name of a path, whatever directory that is in; with one, also at its beginning, with the path
 * from the top, and neither * nor ? nor [] stand for a slash.  A slash at its end: only
 * directories.  What matches a directory matches all that is in it.
 *
 *   - What matches an exclude is out.
 *   - With any include, what matches none is out too; but directories that something is in that is
 * taken.
 *   - The top is always taken.
 *
 * So a filter says of each path whether it is taken, without looking at any other; and what isn't
 * taken is to a sync what isn't there (I2: nothing of it stays in a replica, where it would be at
 * another checkpoint).
 *
 * Bytes are compared, in no locale.  Not thread safe.
 */
#ifndef TOOLS_FILTER_H
#define TOOLS_FILTER_H

#include "tools/tree.h"

#include <stdbool.h>
#include <stddef.h>

struct filter {
	struct filter_glob *globs; /* owned; all zero: everything is taken */
	size_t n, nincludes;
};

/*
 * 0; -EINVAL: nothing can match it, as there is no name in it, or one is . or .., or it ends with a
 * backslash; -ENOMEM.  pattern is copied.
 */
int filter_add(struct filter *filter, bool include, const char *pattern);
void filter_destroy(struct filter *filter);

static inline bool filter_is_empty(const struct filter *filter)
{
	return filter->n == 0;
}

enum filter_verdict {
	FILTER_TAKEN,
	FILTER_AS_NEEDED, /* a directory: if anything in it is taken */
	FILTER_OUT,
};

enum filter_verdict filter_ask(struct filter *filter, const char *path, bool is_directory);

/*
 * Leaves out of a tree that was added, and not finished yet, what isn't taken.  Returns how many
 * regular files that were.
 */
size_t filter_tree(struct filter *filter, struct tree *tree);

/*
 * The next pattern, as it was given, that nothing has matched so far; or NULL.  *at: 0 for the
 * first, and left alone between the calls.
 */
const char *filter_next_unmatched(const struct filter *filter, size_t *at, bool *ret_include);

#endif
