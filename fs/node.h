/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node.h - the inode table: what the kernel's inode numbers stand for
 *
 * A node is one inode of the source, keyed by device and inode number, and holds an
 * O_PATH descriptor of it; so the inode can't be freed, nor its number used
 * again, as long as the kernel knows of it.  The kernel counts what it was told
 * (lookups) and gives it back by forget; it never asks about a node, nor has a file of it
 * open, after the last forget.
 *
 * All functions are thread safe unless they say otherwise.
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct mfs;

struct mfs_node {
	struct mfs_node *next; /* in its hash chain; nodes->lock */
	uint64_t nlookup;      /* nodes->lock */
	dev_t dev;
	ino_t ino;
	mode_t type;		       /* S_IFMT */
	int fd;			       /* O_PATH */
	unsigned int ncached, ndirect; /* open files, by direct_io; nodes->lock */
	/* May have bits or capabilities that a write by another user must take away. */
	atomic_bool privileged;
};

struct mfs_nodes {
	pthread_mutex_t lock;
	struct mfs_node **chains;
	size_t nchains, nnodes; /* nchains: a power of two */
	struct mfs_node root;	/* is in no chain */
};

/* The text of a path that leads to what fd is open for. */
struct mfs_proc_path {
	char text[32];
};
struct mfs_proc_path mfs_proc_path(int fd);

/* Duplicates source_fd for the root.  Not thread safe.  0 or -errno. */
int mfs_nodes_init(struct mfs_nodes *nodes, int source_fd);
/* source_fd is another way to the same directory.  Before any request.  0 or -errno. */
int mfs_nodes_move_root(struct mfs_nodes *nodes, int source_fd);
/* Not thread safe. */
void mfs_nodes_destroy(struct mfs_nodes *nodes);

/*
 * The node of a name in the directory parent, with one more lookup, and its
 * attributes.  -errno as from openat(2) with O_NOFOLLOW.
 */
int mfs_node_lookup(struct mfs *fs, const struct mfs_node *parent, const char *name,
		    struct mfs_node **ret, struct stat *ret_st);

/* Likewise for an open file, which may have no name; fd stays the caller's. */
int mfs_node_of_fd(struct mfs *fs, int fd, struct mfs_node **ret, struct stat *ret_st);

void mfs_node_forget(struct mfs *fs, struct mfs_node *node, uint64_t nlookup);

/* Opens what the node stands for; flags without O_NOFOLLOW.  A descriptor or -errno. */
int mfs_node_open(const struct mfs_node *node, int flags);

#endif
