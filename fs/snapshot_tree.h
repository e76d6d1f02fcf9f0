/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot_tree.h - the names and metadata of a source at one instant, in memory
 *
 * Made while nobody changes a name or metadata (fs->namespace is held exclusively), and
 * not changed afterwards, but for size and times of images, which are taken again while the
 * gate is closed.  Regular files are pinned by an O_PATH descriptor each, so an image that
 * is unlinked or replaced later stays what it was.  Names that somebody changes beside the
 * mount meanwhile may be there or not.
 *
 * Reading it is thread safe.
 */
#ifndef FS_SNAPSHOT_TREE_H
#define FS_SNAPSHOT_TREE_H

#include "bitmapfile/error.h"
#include "bitmapfile/io.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

struct bmf_source;
struct mfs_snapshot;
struct mfs_snapshot_image;
struct mfs_snapshot_node;

struct mfs_snapshot_xattr {
	char *name;
	void *value;
	size_t nbytes;
};

struct mfs_snapshot_entry {
	char *name;
	struct mfs_snapshot_node *node;
};

/* What an inode was.  Several entries may lead to one: hard links. */
struct mfs_snapshot_node {
	struct mfs_snapshot *snapshot;
	struct stat st;			   /* st_dev and st_ino as the source has them */
	char *target;			   /* of a symlink */
	struct mfs_snapshot_xattr *xattrs; /* without mirrorfs's own; in the order of listxattr */
	size_t nxattrs;
	int xattr_error; /* 0; or -errno: why they could not be read, and nxattrs is 0 */
	int fd;		 /* of a regular file: O_PATH, until image has taken it over; else -1 */
	struct mfs_snapshot_image *image; /* of a regular file; set by snapshot.c */
	/* of a directory; entries in byte order of names */
	struct mfs_snapshot_node *parent; /* the top's is itself */
	struct mfs_snapshot_entry *entries;
	size_t nentries;
};

struct mfs_snapshot_tree {
	struct mfs_snapshot_node **nodes; /* [0] is the top directory */
	size_t nnodes;
	/* private */
	const struct bmf_io *io;
	struct mfs_snapshot_node **by_inode; /* open addressing; what is no directory */
	size_t nbuckets, nindexed;	     /* nbuckets: 0 or a power of two */
};

/* So that others, who wait for it or need descriptors too, are not held up without end. */
struct mfs_snapshot_tree_limits {
	struct timespec deadline; /* CLOCK_MONOTONIC; then -ETIMEDOUT */
	int fd_max;		  /* -EMFILE when a descriptor would be larger */
};

/*
 * source_fd is borrowed.  0 or -errno, with err.  Extended attributes that can't be read fail
 * only those who ask for them.
 */
int mfs_snapshot_tree_read(const struct bmf_io *io, int source_fd,
			   const struct mfs_snapshot_tree_limits *limits,
			   struct mfs_snapshot *snapshot, struct mfs_snapshot_tree **ret,
			   struct bmf_error *err);
/* Closes what fds are left; images are the caller's.  NULL is allowed. */
void mfs_snapshot_tree_free(struct mfs_snapshot_tree *tree);

/*
 * The snapshot is gone, but not its nodes, which the kernel may know for a long time yet: frees
 * all that hangs on them.  Nobody may be reading the tree.
 */
void mfs_snapshot_tree_strip(struct mfs_snapshot_tree *tree);

/*
 * Takes size and times of regular files again: of those that source has a tracker of, or (NULL) of
 * all.  0 or -errno.
 */
int mfs_snapshot_tree_restat(struct mfs_snapshot_tree *tree, struct bmf_source *source);

/* NULL when there is none. */
struct mfs_snapshot_node *mfs_snapshot_tree_find(const struct mfs_snapshot_node *dir,
						 const char *name);

/* The regular file with that inode, or NULL. */
struct mfs_snapshot_node *mfs_snapshot_tree_by_inode(const struct mfs_snapshot_tree *tree,
						     dev_t dev, ino_t ino);

#endif
