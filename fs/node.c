/* SPDX-License-Identifier: GPL-2.0-or-later */
/* node.c - the inode table: what the kernel's inode numbers stand for */
#include "config.h"

#include "fs/node.h"

#include "fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHAINS_MIN 1024

struct mfs_proc_path mfs_proc_path(int fd)
{
	struct mfs_proc_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

static void node_init(struct mfs_node *node, int fd, const struct stat *st)
{
	*node = (struct mfs_node){
		.nlookup = 1,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.type = st->st_mode & S_IFMT,
		.fd = fd,
	};
	atomic_init(&node->privileged, true);
}

static int open_root(int source_fd)
{
	return openat(source_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int mfs_nodes_init(struct mfs_nodes *nodes, int source_fd)
{
	struct stat st;
	int fd;

	fd = open_root(source_fd);
	if (fd < 0)
		return -errno;
	nodes->chains = calloc(CHAINS_MIN, sizeof(*nodes->chains));
	if (!nodes->chains || fstat(fd, &st) < 0) {
		free(nodes->chains);
		close(fd);
		return -ENOMEM;
	}
	nodes->nchains = CHAINS_MIN;
	nodes->nnodes = 0;
	node_init(&nodes->root, fd, &st);
	pthread_mutex_init(&nodes->lock, NULL);
	return 0;
}

int mfs_nodes_move_root(struct mfs_nodes *nodes, int source_fd)
{
	int fd = open_root(source_fd);

	if (fd < 0)
		return -errno;
	close(nodes->root.fd);
	nodes->root.fd = fd;
	return 0;
}

void mfs_nodes_destroy(struct mfs_nodes *nodes)
{
	struct mfs_node *node, *next;

	for (size_t i = 0; i < nodes->nchains; i++) {
		for (node = nodes->chains[i]; node; node = next) {
			next = node->next;
			close(node->fd);
			free(node);
		}
	}
	close(nodes->root.fd);
	free(nodes->chains);
	pthread_mutex_destroy(&nodes->lock);
}

static size_t chain_of(dev_t dev, ino_t ino, size_t nchains)
{
	uint64_t key = (uint64_t)ino ^ (uint64_t)dev << 40;

	return (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (nchains - 1);
}

/* Without memory the chains only get longer. */
static void grow_locked(struct mfs_nodes *nodes)
{
	size_t nchains = nodes->nchains * 2;
	struct mfs_node **chains = calloc(nchains, sizeof(*chains));
	struct mfs_node *node, *next, **chain;

	if (!chains)
		return;
	for (size_t i = 0; i < nodes->nchains; i++) {
		for (node = nodes->chains[i]; node; node = next) {
			next = node->next;
			chain = &chains[chain_of(node->dev, node->ino, nchains)];
			node->next = *chain;
			*chain = node;
		}
	}
	free(nodes->chains);
	nodes->chains = chains;
	nodes->nchains = nchains;
}

static struct mfs_node *find_locked(struct mfs_nodes *nodes, const struct stat *st)
{
	struct mfs_node *node = nodes->chains[chain_of(st->st_dev, st->st_ino, nodes->nchains)];

	while (node && (node->ino != st->st_ino || node->dev != st->st_dev))
		node = node->next;
	return node;
}

/* The node of what st describes with one more lookup, or NULL. */
static struct mfs_node *node_find(struct mfs_nodes *nodes, const struct stat *st)
{
	struct mfs_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, st);
	if (node)
		node->nlookup++;
	pthread_mutex_unlock(&nodes->lock);
	return node;
}

/* Takes over fd in any case. */
static int node_add(struct mfs_nodes *nodes, int fd, const struct stat *st, struct mfs_node **ret)
{
	struct mfs_node *node, *added = malloc(sizeof(*added)), **chain;

	if (!added) {
		close(fd);
		return -ENOMEM;
	}
	node_init(added, fd, st);

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, st);
	if (node) {
		node->nlookup++;
	} else {
		if (nodes->nnodes >= nodes->nchains)
			grow_locked(nodes);
		node = added;
		chain = &nodes->chains[chain_of(node->dev, node->ino, nodes->nchains)];
		node->next = *chain;
		*chain = node;
		nodes->nnodes++;
	}
	pthread_mutex_unlock(&nodes->lock);

	if (node != added) {
		close(fd);
		free(added);
	}
	*ret = node;
	return 0;
}

int mfs_node_lookup(struct mfs *fs, const struct mfs_node *parent, const char *name,
		    struct mfs_node **ret, struct stat *ret_st)
{
	struct stat st;
	int fd, r;

	if (fstatat(parent->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	/* What is found needs no opening: a node keeps its inode from being another one. */
	*ret = node_find(&fs->nodes, &st);
	if (*ret) {
		*ret_st = st;
		return 0;
	}
	fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	r = node_add(&fs->nodes, fd, &st, ret);
	if (r == 0)
		*ret_st = st;
	return r;
}

int mfs_node_of_fd(struct mfs *fs, int fd, struct mfs_node **ret, struct stat *ret_st)
{
	struct stat st;
	int path_fd, r;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = node_find(&fs->nodes, &st);
	if (!*ret) {
		path_fd = open(mfs_proc_path(fd).text, O_PATH | O_CLOEXEC);
		if (path_fd < 0)
			return -errno;
		r = node_add(&fs->nodes, path_fd, &st, ret);
		if (r < 0)
			return r;
	}
	*ret_st = st;
	return 0;
}

void mfs_node_forget(struct mfs *fs, struct mfs_node *node, uint64_t nlookup)
{
	struct mfs_nodes *nodes = &fs->nodes;
	struct mfs_node **chain;

	if (node == &nodes->root)
		return;
	pthread_mutex_lock(&nodes->lock);
	node->nlookup -= nlookup;
	if (node->nlookup > 0) {
		pthread_mutex_unlock(&nodes->lock);
		return;
	}
	chain = &nodes->chains[chain_of(node->dev, node->ino, nodes->nchains)];
	while (*chain != node)
		chain = &(*chain)->next;
	*chain = node->next;
	nodes->nnodes--;
	pthread_mutex_unlock(&nodes->lock);
	close(node->fd);
	free(node);
}

int mfs_node_open(const struct mfs_node *node, int flags)
{
	int fd = open(mfs_proc_path(node->fd).text, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
