/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * names.h - the names of a replica: what has to be moved, removed and made
 *
 * First a list of steps, which is worth something of its own (a dry run), then their
 * execution.  The order makes every swap, cycle and change between file and directory possible:
 *
 *   1. a file that is wanted, but at none of the places where it is, goes aside, to
 *      .mirrorfs/moving/, under a name of its own; one in .mirrorfs/staging/ is aside already
 *   2. every name that isn't wanted is removed, but those whose place a file from aside takes;
 *      then every directory, deepest first
 *   3. directories are made
 *   4. files come from aside to their places, new ones are made (empty), hard links too
 *
 * Killed anywhere, every file that is wanted still has a name, in the tree or aside, where the
 * next sync finds it by its inode.
 */
#ifndef TOOLS_NAMES_H
#define TOOLS_NAMES_H

#include "tools/plan.h"

enum name_kind {
	NAME_ASIDE,  /* path goes aside */
	NAME_UNLINK, /* path */
	NAME_RMDIR,
	NAME_MKDIR,
	NAME_PLACE,   /* what is aside gets to path, */
	NAME_REPLACE, /* and takes the place of what is there: the name is never missing */
	NAME_CREATE,
	NAME_LINK, /* path becomes another name of from */
};

struct name_step {
	enum name_kind kind;
	const char *path, *from;
	struct plan_node *node; /* whose; NULL for what is removed */
};

struct name_steps {
	struct name_step *steps;
	size_t n, room;
};

/* Borrows from the plan; names of nodes that are aside already are noted in it. */
int names_list(struct plan *plan, struct name_steps *ret);
void names_destroy(struct name_steps *steps);

struct names_result {
	/* Special files that couldn't be made for want of rights; one of them. */
	size_t refused;
	const char *refused_path;
};

/*
 * Carries the steps out below dest_fd.  Nodes whose counterpart is concerned are marked as
 * changed, those that can't be made as vanished.  -ECANCELED when a signal asked to stop.
 */
int names_apply(struct plan *plan, const struct name_steps *steps, int dest_fd,
		struct names_result *ret, struct bmf_error *err);

#endif
