/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tree.c - what is in a directory tree, as a list */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/tree.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct adding {
	struct tree *tree;
	const char *prefix;
	unsigned int flags;
	size_t may_hold;
	struct bmf_error *err;
};

int tree_compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	/* a slash sorts before every other character, the end before a slash */
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

int tree_new(const char *top, int fd, struct tree **ret)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -ENOMEM;
	tree->top = top;
	tree->fd = fd;
	*ret = tree;
	return 0;
}

static void node_free(struct tree_node *node)
{
	if (!node)
		return;
	if (node->fd >= 0)
		close(node->fd);
	free(node->target);
	free(node);
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->nentries; i++)
		free(tree->entries[i].path);
	for (size_t i = 0; i < tree->nnodes; i++)
		node_free(tree->nodes[i]);
	free(tree->entries);
	free(tree->nodes);
	free(tree->by_inode);
	free(tree);
}

/* Half of what the process may have open, so that the rest of the work goes on. */
static size_t descriptors_to_hold(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 64;
	return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur / 2;
}

static int grow(void **array, size_t *room, size_t n, size_t item)
{
	size_t more = *room ? *room * 2 : 64;
	void *bigger;

	if (n < *room)
		return 0;
	bigger = reallocarray(*array, more, item);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*room = more;
	return 0;
}

/* Takes over path. */
static int append(struct tree *tree, char *path, struct tree_node **ret)
{
	struct tree_node *node = path ? calloc(1, sizeof(*node)) : NULL;

	if (!node ||
	    grow((void **)&tree->entries, &tree->entries_room, tree->nentries,
		 sizeof(*tree->entries)) < 0 ||
	    grow((void **)&tree->nodes, &tree->nodes_room, tree->nnodes,
		 sizeof(struct tree_node *)) < 0) {
		free(node);
		free(path);
		return -ENOMEM;
	}
	node->fd = -1;
	tree->nodes[tree->nnodes++] = node;
	tree->entries[tree->nentries++] = (struct tree_entry){ .path = path, .node = node };
	*ret = node;
	return 0;
}

int tree_put(struct tree *tree, const char *path, const struct stat *st, const char *target)
{
	struct tree_node *node;
	int r = append(tree, strdup(path), &node);

	if (r < 0)
		return r;
	node->st = *st;
	node->target = target ? strdup(target) : NULL;
	return target && !node->target ? -ENOMEM : 0;
}

static int read_target(int fd, struct tree_node *node)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	node->target = strdup(target);
	return node->target ? 0 : -ENOMEM;
}

static int fill_node(struct adding *adding, const struct bmf_walk_entry *entry,
		     struct tree_node *node)
{
	int r = 0;

	node->st = *entry->st;
	if (S_ISLNK(node->st.st_mode))
		return read_target(entry->fd, node);
	if (!S_ISREG(node->st.st_mode))
		return 0;
	if (adding->flags & TREE_STAMPS)
		r = bmf_stamp_take(&bmf_io_posix, entry->fd, &node->stamp);
	if (r == 0 && (adding->flags & TREE_HOLD) && adding->tree->nheld < adding->may_hold) {
		node->fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 3);
		if (node->fd >= 0)
			adding->tree->nheld++;
	}
	return r;
}

static int add_entry(struct adding *adding, const struct bmf_walk_entry *entry)
{
	struct tree_node *node;
	char *path;
	int r;

	if (asprintf(&path, "%s%s", adding->prefix, entry->path) < 0)
		return -ENOMEM;
	r = append(adding->tree, path, &node);
	return r < 0 ? r : fill_node(adding, entry, node);
}

static int visit(const struct bmf_walk_entry *entry, void *arg)
{
	struct adding *adding = arg;
	int r;

	if (!*entry->path && *adding->prefix)
		return 0;
	if (adding->flags & TREE_ONE_FILESYSTEM) {
		struct stat top;

		if (fstat(adding->tree->fd, &top) == 0 && top.st_dev != entry->st->st_dev)
			return fail_text(adding->err, -EXDEV, "read", adding->tree->top,
					 entry->path,
					 "it is on another filesystem: a replica has to be on "
					 "one, so unmount what is mounted there");
	}
	r = add_entry(adding, entry);
	if (r < 0)
		fail_errno(adding->err, r, "read", adding->tree->top, entry->path);
	return r;
}

int tree_add(struct tree *tree, int dirfd, const char *prefix, unsigned int flags,
	     struct bmf_error *err)
{
	struct adding adding = { tree, prefix, flags, descriptors_to_hold(), err };

	return bmf_walk(&bmf_io_posix, dirfd, visit, &adding, err);
}

static int compare_entries(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;

	return tree_compare_paths(x->path, y->path);
}

/* By inode; of one inode's names, the first in order of paths first. */
static int compare_inodes(const void *a, const void *b)
{
	const struct tree_node *x = *(struct tree_node *const *)a;
	const struct tree_node *y = *(struct tree_node *const *)b;

	if (x->st.st_ino != y->st.st_ino)
		return x->st.st_ino < y->st.st_ino ? -1 : 1;
	if (x->st.st_dev != y->st.st_dev)
		return x->st.st_dev < y->st.st_dev ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static void merge_into(struct tree_node *kept, struct tree_node *other)
{
	struct tree_entry **end = &kept->first;

	while (*end)
		end = &(*end)->next;
	*end = other->first;
	other->first->node = kept;
	kept->nentries++;
	other->first = NULL;
}

/* Gives each node its first name, and makes one node of the names of one inode. */
static void group_by_inode(struct tree *tree)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < tree->nentries; i++) {
		struct tree_entry *entry = &tree->entries[i];

		entry->node->first = entry;
		entry->node->nentries = 1;
		if (!S_ISDIR(entry->node->st.st_mode))
			tree->by_inode[n++] = entry->node;
	}
	if (n > 0)
		qsort(tree->by_inode, n, sizeof(struct tree_node *), compare_inodes);
	for (size_t i = 0; i < n; i++) {
		struct tree_node *node = tree->by_inode[i];
		struct tree_node *last = kept ? tree->by_inode[kept - 1] : NULL;

		if (last && last->st.st_ino == node->st.st_ino &&
		    last->st.st_dev == node->st.st_dev)
			merge_into(last, node);
		else
			tree->by_inode[kept++] = node;
	}
	tree->nby_inode = kept;
}

static void drop_merged(struct tree *tree)
{
	size_t kept = 0;

	for (size_t i = 0; i < tree->nnodes; i++) {
		struct tree_node *node = tree->nodes[i];

		if (!node->first) {
			node_free(node);
			continue;
		}
		node->index = kept;
		tree->nodes[kept++] = node;
	}
	tree->nnodes = kept;
}

int tree_finish(struct tree *tree)
{
	tree->by_inode = calloc(tree->nnodes + 1, sizeof(struct tree_node *));
	if (!tree->by_inode)
		return -ENOMEM;
	if (tree->nentries > 0)
		qsort(tree->entries, tree->nentries, sizeof(*tree->entries), compare_entries);
	group_by_inode(tree);
	drop_merged(tree);
	return 0;
}

int tree_read(const char *top, int fd, unsigned int flags, struct tree **ret, struct bmf_error *err)
{
	struct tree *tree;
	int r = tree_new(top, fd, &tree);

	if (r < 0)
		return fail_errno(err, r, "read", top, NULL);
	r = tree_add(tree, fd, "", flags, err);
	if (r == 0) {
		r = tree_finish(tree);
		if (r < 0)
			fail_errno(err, r, "read", top, NULL);
	}
	if (r < 0) {
		tree_free(tree);
		return r;
	}
	*ret = tree;
	return 0;
}

static int compare_key(const void *key, const void *member)
{
	return tree_compare_paths(key, ((const struct tree_entry *)member)->path);
}

bool tree_is_in(const char *directory, const char *path)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && path[n] == '/';
}

struct tree_entry *tree_find(const struct tree *tree, const char *path)
{
	if (tree->nentries == 0)
		return NULL;
	return bsearch(path, tree->entries, tree->nentries, sizeof(*tree->entries), compare_key);
}

struct tree_node *tree_find_file(const struct tree *tree, const struct bmf_stamp *stamp)
{
	size_t low = 0, high = tree->nby_inode;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tree->by_inode[middle]->st.st_ino < stamp->inode)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < tree->nby_inode && tree->by_inode[low]->st.st_ino == stamp->inode; low++) {
		struct tree_node *node = tree->by_inode[low];

		if (S_ISREG(node->st.st_mode) && bmf_stamp_same_file(&node->stamp, stamp))
			return node;
	}
	return NULL;
}

int tree_open(const struct tree *tree, const struct tree_node *node)
{
	struct stat st;
	int fd;

	if (node->fd >= 0)
		return beneath_reopen(node->fd, O_PATH);
	fd = beneath_open(tree->fd, node->first->path, O_PATH, 0);
	if (fd < 0)
		return fd == -ELOOP ? -ESTALE : fd; /* a symlink has taken a directory's place */
	if (fstat(fd, &st) < 0 || st.st_ino != node->st.st_ino || st.st_dev != node->st.st_dev) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}
