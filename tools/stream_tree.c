/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_tree.c - the tree that a delta stream lists, in memory */
#include "config.h"

#include "tools/fail.h"
#include "tools/stream_tree.h"

#include <errno.h>
#include <stdlib.h>

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
	/* two names that are equal, as a checksum doesn't tell who made it */
	if (r == 0 && tree.tree->nnodes != tree.n)
		r = fail_text(err, -EBADMSG, "read delta of", name, NULL,
			      "its names make no sense");
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
		return copy_to_file.data(copy, record->data.bytes, record->data.nbytes,
					 record->data.offset);
	return copy_to_file.zeros(copy, record->zero.offset,
				  record->zero.offset + record->zero.nbytes);
}
