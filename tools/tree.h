/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.h - what is in a directory tree, as a list
 *
 * An entry is a name, a node is what it leads to: hard links are several entries of
 * one node.  Calling sequence: tree_new, tree_add (once or more), tree_finish, then
 * look things up.
 *
 * Memory is in proportion to the number of names.  Not thread safe.
 */
#ifndef TOOLS_TREE_H
#define TOOLS_TREE_H

#include "bitmapfile/error.h"
#include "bitmapfile/sidecar.h"

#include <stddef.h>
#include <sys/stat.h>

struct tree_node {
	struct stat st;		  /* as it was when the walk came by */
	struct bmf_stamp stamp;	  /* of a regular file, with TREE_STAMPS */
	char *target;		  /* of a symlink; owned */
	int fd;			  /* O_PATH; -1 where it isn't held */
	size_t index;		  /* in tree->nodes */
	struct tree_entry *first; /* its names, in order */
	size_t nentries;
};

struct tree_entry {
	char *path; /* relative; the top itself is "" */
	struct tree_node *node;
	struct tree_entry *next; /* the node's next name */
};

struct tree {
	const char *top;	    /* for messages; borrowed */
	int fd;			    /* borrowed */
	struct tree_entry *entries; /* a directory before what is in it */
	size_t nentries, entries_room;
	struct tree_node **nodes;
	size_t nnodes, nodes_room, nheld;
	struct tree_node **by_inode; /* all but directories */
	size_t nby_inode;
};

#define TREE_STAMPS 1u	       /* take regular files' stamps */
#define TREE_HOLD 2u	       /* hold regular files open (O_PATH), while descriptors last */
#define TREE_ONE_FILESYSTEM 4u /* -EXDEV when another one is mounted below */

int tree_new(const char *top, int fd, struct tree **ret);
void tree_free(struct tree *tree); /* NULL is allowed */

/*
 * Adds all that is in the directory dirfd, as paths that begin with prefix: "" for the
 * top, or "a/b/" for a directory inside (which itself isn't added).
 */
int tree_add(struct tree *tree, int dirfd, const char *prefix, unsigned int flags,
	     struct bmf_error *err);

/* All that is in the directory fd: the three of the calling sequence in one.  The caller frees it.
 */
int tree_read(const char *top, int fd, unsigned int flags, struct tree **ret,
	      struct bmf_error *err);

/*
 * Adds one name of something that is described and not found: st_ino, and for all st_dev the same,
 * tell which names are one node.  0 or -ENOMEM.
 */
int tree_put(struct tree *tree, const char *path, const struct stat *st, const char *target);

/* Sorts, finds out what is the same node.  0 or -ENOMEM. */
int tree_finish(struct tree *tree);

/* Is path, relative as all of them, below that directory? */
bool tree_is_in(const char *directory, const char *path);

/* The entry with that path, or NULL. */
struct tree_entry *tree_find(const struct tree *tree, const char *path);

/* The regular file that has the stamp's inode and handle, or NULL. */
struct tree_node *tree_find_file(const struct tree *tree, const struct bmf_stamp *stamp);

/*
 * An O_PATH descriptor of the node, that the caller closes; -ESTALE when its name leads
 * elsewhere by now; -ENOENT; or another error of open.
 */
int tree_open(const struct tree *tree, const struct tree_node *node);

/* Orders paths such that what is in a directory follows right after it. */
int tree_compare_paths(const char *a, const char *b);

#endif
