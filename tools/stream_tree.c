/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_tree.c - the tree that a delta stream lists, in memory */
#include "config.h"

#include "tools/fail.h"
#include "tools/stream_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_node(struct stream_tree *tree, const struct stream_node *node)
{
	struct stream_tree_node *added;
	struct stat st = node->meta.st;
	int r;

	if (tree->n == tree->room) {
		size_t more = tree->room ? tree->room * 2 : 64;
		struct stream_tree_node *bigger = reallocarray(tree->nodes, more, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		tree->nodes = bigger;
		tree->room = more;
	}
	added = &tree->nodes[tree->n];
	*added = (struct stream_tree_node){ .meta = { .st = node->meta.st },
					    .content = node->content,
					    .image = node->image,
					    .stamp = node->stamp,
					    .busy = node->busy };
	r = xattrs_copy(&node->meta.xattrs, &added->meta.xattrs);
	if (r < 0)
		return r;
	tree->n++;
	st.st_ino = tree->n; /* tells which names are links: see tree_put */
	return tree_put(tree->tree, node->path, &st, node->target);
}

static int add_link(struct stream_tree *tree, const char *path)
{
	struct stat st = tree->nodes[tree->n - 1].meta.st;

	st.st_ino = tree->n;
	return tree_put(tree->tree, path, &st, NULL);
}

static int read_nodes(struct stream_tree *tree, struct stream_reader *reader, struct bmf_error *err)
{
	struct stream_record record;
	int r;

	for (;;) {
		r = stream_next(reader, &record, err);
		if (r < 0)
			return r;
		if (record.type == STREAM_NODE)
			r = add_node(tree, &record.node);
		else if (record.type == STREAM_LINK)
			r = add_link(tree, record.link.path);
		else
			return 0;
		if (r < 0)
			return bmf_error_set(err, r, "read delta: %s", fail_reason(r));
	}
}

/* ---- what a stream can be right without, record by record (see stream.h) ---- */

static bool is_directory(const struct tree *tree, const char *path, size_t nbytes)
{
	char *parent = strndup(path, nbytes);
	const struct tree_entry *entry = parent ? tree_find(tree, parent) : NULL;

	free(parent);
	return entry && S_ISDIR(entry->node->st.st_mode);
}

/* Each name once, and in a directory that is listed too. */
static bool names_make_sense(const struct tree *tree)
{
	for (size_t i = 0; i < tree->nentries; i++) {
		const char *path = tree->entries[i].path, *slash = strrchr(path, '/');

		if (i > 0 && strcmp(path, tree->entries[i - 1].path) == 0)
			return false;
		if (slash && !is_directory(tree, path, (size_t)(slash - path)))
			return false;
	}
	return true;
}

static int compare_uuids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct bmf_uuid));
}

/* 1: each image once; 0: no; or -ENOMEM. */
static int images_are_one_each(const struct stream_tree *tree)
{
	struct bmf_uuid *images = calloc(tree->n + 1, sizeof(*images));
	size_t n = 0;
	int one = 1;

	if (!images)
		return -ENOMEM;
	for (size_t i = 0; i < tree->n; i++)
		if (!bmf_uuid_is_none(&tree->nodes[i].image))
			images[n++] = tree->nodes[i].image;
	qsort(images, n, sizeof(*images), compare_uuids);
	for (size_t i = 1; i < n; i++)
		if (bmf_uuid_equal(&images[i - 1], &images[i]))
			one = 0;
	free(images);
	return one;
}

static int check_tree(const struct stream_tree *tree, const char *name, struct bmf_error *err)
{
	int one = images_are_one_each(tree);

	if (one < 0)
		return fail_errno(err, one, "read delta of", name, NULL);
	if (!one)
		return fail_text(err, -EBADMSG, "read delta of", name, NULL,
				 "it has an image twice");
	/* names that are equal may have made one node of two */
	if (tree->tree->nnodes != tree->n || !names_make_sense(tree->tree))
		return fail_text(err, -EBADMSG, "read delta of", name, NULL,
				 "its names make no sense");
	return 0;
}

int stream_tree_read(struct stream_reader *reader, const char *name, struct stream_tree *ret,
		     struct bmf_error *err)
{
	struct stream_tree tree = { 0 };
	int r = tree_new(name, -1, &tree.tree);

	if (r < 0)
		return fail_errno(err, r, "read delta of", name, NULL);
	r = read_nodes(&tree, reader, err);
	if (r == 0) {
		r = tree_finish(tree.tree);
		if (r < 0)
			fail_errno(err, r, "read delta of", name, NULL);
	}
	if (r == 0)
		r = check_tree(&tree, name, err);
	if (r < 0) {
		stream_tree_destroy(&tree);
		return r;
	}
	*ret = tree;
	return 0;
}

void stream_tree_destroy(struct stream_tree *tree)
{
	for (size_t i = 0; i < tree->n; i++)
		meta_destroy(&tree->nodes[i].meta);
	free(tree->nodes);
	tree_free(tree->tree);
	*tree = (struct stream_tree){ 0 };
}

int stream_tree_put_extent(struct copy *copy, const struct stream_record *record)
{
	if (record->type == STREAM_DATA)
		return copy_put(copy, record->data.bytes, record->data.nbytes, record->data.offset);
	return copy_to_file.zeros(copy, record->zero.offset,
				  record->zero.offset + record->zero.nbytes);
}
