/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot_tree.c - the names and metadata of a source at one instant, in memory
 *
 * Whoever changes a name waits for it, so it is made of few system calls: per file those
 * of the walk, one to keep its descriptor, one for the list of its extended attributes,
 * one for each of them.
 */
#include "config.h"

#include "bitmapfile/source.h"
#include "bitmapfile/walk.h"
#include "fs/deadline.h"
#include "fs/node.h"
#include "fs/snapshot_image.h"
#include "fs/snapshot_tree.h"
#include "fs/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BUCKETS_MIN 64

/* A directory that leads to what is being read. */
struct level {
	struct mfs_snapshot_node *dir;
	size_t path_nbytes;
	size_t capacity; /* of dir->entries */
};

struct reader {
	const struct mfs_snapshot_tree_limits *limits;
	struct mfs_snapshot *snapshot;
	struct mfs_snapshot_tree *tree;
	size_t capacity; /* of tree->nodes */
	struct bmf_error *err;
	struct level *levels; /* from the top to the one that was entered last */
	size_t nlevels, levels_capacity;
	char names[MFS_XATTR_MAX], value[MFS_XATTR_MAX];
};

/* --- which inode is which node */

/* Where it is, or would be. */
static struct mfs_snapshot_node **bucket_of(struct mfs_snapshot_node **buckets, size_t nbuckets,
					    dev_t dev, ino_t ino)
{
	uint64_t key = ((uint64_t)ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(key >> 20) & (nbuckets - 1);

	while (buckets[i] && (buckets[i]->st.st_ino != ino || buckets[i]->st.st_dev != dev))
		i = (i + 1) & (nbuckets - 1);
	return &buckets[i];
}

static struct mfs_snapshot_node *find_inode(const struct mfs_snapshot_tree *tree, dev_t dev,
					    ino_t ino)
{
	return tree->nbuckets ? *bucket_of(tree->by_inode, tree->nbuckets, dev, ino) : NULL;
}

static int grow_index(struct mfs_snapshot_tree *tree)
{
	size_t nbuckets = tree->nbuckets ? tree->nbuckets * 2 : BUCKETS_MIN;
	struct mfs_snapshot_node **buckets = calloc(nbuckets, sizeof(*buckets)), *node;

	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < tree->nbuckets; i++) {
		node = tree->by_inode[i];
		if (node)
			*bucket_of(buckets, nbuckets, node->st.st_dev, node->st.st_ino) = node;
	}
	free(tree->by_inode);
	tree->by_inode = buckets;
	tree->nbuckets = nbuckets;
	return 0;
}

static int index_node(struct mfs_snapshot_tree *tree, struct mfs_snapshot_node *node)
{
	int r;

	if ((tree->nindexed + 1) * 2 > tree->nbuckets) {
		r = grow_index(tree);
		if (r < 0)
			return r;
	}
	*bucket_of(tree->by_inode, tree->nbuckets, node->st.st_dev, node->st.st_ino) = node;
	tree->nindexed++;
	return 0;
}

struct mfs_snapshot_node *mfs_snapshot_tree_by_inode(const struct mfs_snapshot_tree *tree,
						     dev_t dev, ino_t ino)
{
	struct mfs_snapshot_node *node = find_inode(tree, dev, ino);

	return node && S_ISREG(node->st.st_mode) ? node : NULL;
}

/* --- reading one node */

static int read_xattr(struct reader *reader, struct mfs_snapshot_node *node, const char *path,
		      const char *name)
{
	struct mfs_snapshot_xattr *xattr = &node->xattrs[node->nxattrs];
	ssize_t n = getxattr(path, name, reader->value, sizeof(reader->value));

	if (n < 0)
		return errno == ENODATA ? 0 : -errno; /* just removed, beside the mount */
	xattr->name = strdup(name);
	xattr->value = malloc((size_t)n + 1); /* never of 0 bytes, which may give NULL */
	if (!xattr->name || !xattr->value) {
		free(xattr->name);
		free(xattr->value);
		return -ENOMEM;
	}
	memcpy(xattr->value, reader->value, (size_t)n);
	xattr->nbytes = (size_t)n;
	node->nxattrs++;
	return 0;
}

static void free_xattrs(struct mfs_snapshot_node *node)
{
	for (size_t i = 0; i < node->nxattrs; i++) {
		free(node->xattrs[i].name);
		free(node->xattrs[i].value);
	}
	free(node->xattrs);
	node->xattrs = NULL;
	node->nxattrs = 0;
}

static size_t count_shown(const char *names, size_t nbytes)
{
	size_t n = 0;

	for (const char *name = names; name < names + nbytes; name += strlen(name) + 1)
		n += !mfs_xattr_is_hidden(name);
	return n;
}

static int read_all_xattrs(struct reader *reader, struct mfs_snapshot_node *node, int fd)
{
	struct mfs_proc_path path = mfs_proc_path(fd);
	ssize_t nbytes = listxattr(path.text, reader->names, sizeof(reader->names));
	const char *name = reader->names;
	size_t n;
	int r = 0;

	if (nbytes < 0)
		return -errno;
	n = count_shown(name, (size_t)nbytes);
	if (n == 0)
		return 0;
	node->xattrs = calloc(n, sizeof(*node->xattrs));
	if (!node->xattrs)
		return -ENOMEM;
	for (; r == 0 && name < reader->names + nbytes; name += strlen(name) + 1)
		if (!mfs_xattr_is_hidden(name))
			r = read_xattr(reader, node, path.text, name);
	return r;
}

/*
 * A file whose attributes the daemon's user may not read, or a filesystem that has none, is no
 * reason to have no snapshot: it is the one who asks for them who gets the error.
 */
static int read_xattrs(struct reader *reader, struct mfs_snapshot_node *node, int fd)
{
	int r = read_all_xattrs(reader, node, fd);

	if (r == 0 || r == -ENOMEM)
		return r;
	free_xattrs(node);
	node->xattr_error = r;
	return 0;
}

static int read_target(struct mfs_snapshot_node *node, int fd)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	node->target = strdup(target);
	return node->target ? 0 : -ENOMEM;
}

static int read_node(struct reader *reader, struct mfs_snapshot_node *node, int fd)
{
	int r = 0;

	if (S_ISREG(node->st.st_mode)) {
		node->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (node->fd < 0)
			return -errno;
		if (node->fd >= reader->limits->fd_max)
			return -EMFILE;
	} else if (S_ISLNK(node->st.st_mode)) {
		r = read_target(node, fd);
	}
	if (r == 0 && !S_ISDIR(node->st.st_mode))
		r = index_node(reader->tree, node);
	return r < 0 ? r : read_xattrs(reader, node, fd);
}

/* What was added belongs to the tree, also on failure. */
static int add_node(struct reader *reader, const struct bmf_walk_entry *entry,
		    struct mfs_snapshot_node **ret)
{
	struct mfs_snapshot_tree *tree = reader->tree;
	struct mfs_snapshot_node **nodes, *node;

	if (tree->nnodes == reader->capacity) {
		reader->capacity = reader->capacity * 2 + 64;
		nodes = reallocarray(tree->nodes, reader->capacity, sizeof(*nodes));
		if (!nodes)
			return -ENOMEM;
		tree->nodes = nodes;
	}
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->snapshot = reader->snapshot;
	node->st = *entry->st;
	node->fd = -1;
	tree->nodes[tree->nnodes++] = node;
	*ret = node;
	return read_node(reader, node, entry->fd);
}

/* --- reading the tree */

static int add_entry(struct level *level, const char *name, struct mfs_snapshot_node *node)
{
	struct mfs_snapshot_node *dir = level->dir;
	struct mfs_snapshot_entry *entries;
	char *copy;

	if (dir->nentries == level->capacity) {
		level->capacity = level->capacity * 2 + 16;
		entries = reallocarray(dir->entries, level->capacity, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		dir->entries = entries;
	}
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	dir->entries[dir->nentries++] = (struct mfs_snapshot_entry){ .name = copy, .node = node };
	return 0;
}

static int push_level(struct reader *reader, struct mfs_snapshot_node *dir, size_t path_nbytes)
{
	struct level *levels;

	if (reader->nlevels == reader->levels_capacity) {
		reader->levels_capacity = reader->levels_capacity * 2 + 16;
		levels = reallocarray(reader->levels, reader->levels_capacity, sizeof(*levels));
		if (!levels)
			return -ENOMEM;
		reader->levels = levels;
	}
	reader->levels[reader->nlevels++] =
		(struct level){ .dir = dir, .path_nbytes = path_nbytes };
	return 0;
}

/*
 * The directory that holds an entry.  It is one of those that lead to the entry before, and of
 * these no two paths have the same length.
 */
static struct level *level_of(struct reader *reader, const struct bmf_walk_entry *entry,
			      size_t path_nbytes)
{
	size_t name_nbytes = strlen(entry->name);
	size_t dir_nbytes = path_nbytes > name_nbytes ? path_nbytes - name_nbytes - 1 : 0;

	while (reader->levels[reader->nlevels - 1].path_nbytes != dir_nbytes)
		reader->nlevels--;
	return &reader->levels[reader->nlevels - 1];
}

static int add(struct reader *reader, const struct bmf_walk_entry *entry)
{
	const struct stat *st = entry->st;
	struct mfs_snapshot_node *node = NULL;
	size_t path_nbytes = strlen(entry->path);
	struct level *level = NULL;
	int r = 0;

	if (path_nbytes > 0)
		level = level_of(reader, entry, path_nbytes);
	if (!S_ISDIR(st->st_mode))
		node = find_inode(reader->tree, st->st_dev, st->st_ino);
	if (!node)
		r = add_node(reader, entry, &node);
	if (r == 0 && level)
		r = add_entry(level, entry->name, node);
	if (r < 0 || !S_ISDIR(st->st_mode))
		return r;
	node->parent = level ? level->dir : node;
	return push_level(reader, node, path_nbytes);
}

static int visit(const struct bmf_walk_entry *entry, void *arg)
{
	const size_t shown = 300;
	struct reader *reader = arg;
	size_t nbytes = strlen(entry->path);
	const char *path = nbytes == 0 ? "." : entry->path;
	int r = mfs_deadline_passed(&reader->limits->deadline) ? -ETIMEDOUT : add(reader, entry);

	if (r == 0)
		return 0;
	return bmf_error_set(reader->err, r, "read '%s%s': %s", nbytes > shown ? "..." : "",
			     nbytes > shown ? path + nbytes - shown : path, bmf_errno_text(r));
}

int mfs_snapshot_tree_read(const struct bmf_io *io, int source_fd,
			   const struct mfs_snapshot_tree_limits *limits,
			   struct mfs_snapshot *snapshot, struct mfs_snapshot_tree **ret,
			   struct bmf_error *err)
{
	struct mfs_snapshot_tree *tree = calloc(1, sizeof(*tree));
	struct reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!tree || !reader) {
		free(tree);
		free(reader);
		return bmf_error_set(err, -ENOMEM, "read directory: out of memory");
	}
	tree->io = io;
	reader->limits = limits;
	reader->snapshot = snapshot;
	reader->tree = tree;
	reader->err = err;
	r = bmf_walk(io, source_fd, visit, reader, err);
	if (r == -EMFILE)
		bmf_error_set(err, r,
			      "hold images open: too many open files; raise the limit (ulimit -Hn) "
			      "to ten times the number of images");
	free(reader->levels);
	free(reader);
	if (r < 0)
		mfs_snapshot_tree_free(tree);
	else
		*ret = tree;
	return r;
}

static void strip_node(struct mfs_snapshot_node *node)
{
	for (size_t i = 0; i < node->nentries; i++)
		free(node->entries[i].name);
	free(node->entries);
	node->entries = NULL;
	node->nentries = 0;
	free_xattrs(node);
	free(node->target);
	node->target = NULL;
	if (node->fd >= 0)
		close(node->fd);
	node->fd = -1;
}

void mfs_snapshot_tree_strip(struct mfs_snapshot_tree *tree)
{
	for (size_t i = 0; i < tree->nnodes; i++)
		strip_node(tree->nodes[i]);
	free(tree->by_inode);
	tree->by_inode = NULL;
	tree->nbuckets = 0;
}

void mfs_snapshot_tree_free(struct mfs_snapshot_tree *tree)
{
	if (!tree)
		return;
	mfs_snapshot_tree_strip(tree);
	for (size_t i = 0; i < tree->nnodes; i++)
		free(tree->nodes[i]);
	free(tree->nodes);
	free(tree);
}

int mfs_snapshot_tree_restat(struct mfs_snapshot_tree *tree, struct bmf_source *source)
{
	for (size_t i = 0; i < tree->nnodes; i++) {
		struct mfs_snapshot_node *node = tree->nodes[i];
		int fd, r;

		if (!S_ISREG(node->st.st_mode) || (source && !bmf_source_has(source, &node->st)))
			continue;
		fd = node->image ? mfs_snapshot_image_fd(node->image) : node->fd;
		r = tree->io->fstat(tree->io, fd, &node->st);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_name(const void *name, const void *entry)
{
	return strcmp(name, ((const struct mfs_snapshot_entry *)entry)->name);
}

struct mfs_snapshot_node *mfs_snapshot_tree_find(const struct mfs_snapshot_node *dir,
						 const char *name)
{
	const struct mfs_snapshot_entry *entry = NULL;

	if (dir->nentries > 0)
		entry = bsearch(name, dir->entries, dir->nentries, sizeof(*dir->entries),
				compare_name);
	return entry ? entry->node : NULL;
}
