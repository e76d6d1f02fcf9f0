/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree_make.h - makes a tree in an empty directory
 *
 * Calling sequence: tree_make_begin makes all names; then the content of files, each by
 * tree_make_file and whatever it takes, or by tree_make_copy; tree_make_end gives all of them
 * their metadata.  tree_make_destroy in any case.  tree_copy does all of it for a tree that
 * is on disk.
 *
 * Nothing is durable when these return.  After a failure part of it is there: tree_clear().
 * Each returns 0 or a negative errno, with a message; -ECANCELED when a signal asked to stop.
 * Not thread safe.
 */
#ifndef TOOLS_TREE_MAKE_H
#define TOOLS_TREE_MAKE_H

#include "tools/copy.h"
#include "tools/meta.h"
#include "tools/plan.h"
#include "tools/tree.h"

struct tree_make {
	const char *path;  /* of the directory; borrowed */
	int fd;		   /* likewise */
	struct tree *have; /* what was there: the top alone */
	struct plan *plan; /* a node for each of want->nodes */
	struct copy_ring *ring;
	struct bmf_error *err;
	/* Special files, owners and the like that our rights or the filesystem don't allow. */
	uint64_t nrefused;
	char *first_refused;
};

/* want, path and fd are borrowed.  What a fresh filesystem has at its top isn't made. */
int tree_make_begin(struct tree_make *make, struct tree *want, const char *path, int fd,
		    struct bmf_error *err);

/* Opens a regular file that was made, O_RDWR; by its index in want->nodes. */
int tree_make_file(struct tree_make *make, size_t index);

/* Gives it the content of from_fd, by a clone where that can be. */
int tree_make_copy(struct tree_make *make, size_t index, int from_fd);

/* What get says of each node; *ret is given zeroed, and destroyed here.  0 or -errno. */
int tree_make_end(struct tree_make *make, int (*get)(void *arg, size_t index, struct meta *ret),
		  void *arg);

void tree_make_destroy(struct tree_make *make);

/* Makes what is in the tree `from`, which was read with tree_read(), in the directory fd. */
int tree_copy(struct tree *from, struct tree_make *make, const char *path, int fd,
	      struct bmf_error *err);

/* Removes all that is in the directory fd, but .mirrorfs at its top, and lost+found. */
int tree_clear(const char *path, int fd, struct bmf_error *err);

#endif
