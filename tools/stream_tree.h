/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_tree.h - the tree that a delta stream lists, in memory */
#ifndef TOOLS_STREAM_TREE_H
#define TOOLS_STREAM_TREE_H

#include "tools/copy.h"
#include "tools/stream.h"
#include "tools/tree.h"

struct stream_tree_node {
	struct meta meta; /* owned */
	enum stream_kind content;
	struct bmf_uuid image;
	struct bmf_stamp stamp;
	bool busy;
};

struct stream_tree {
	struct tree *tree;
	struct stream_tree_node *nodes; /* one for each of tree->nodes, in the stream's order */
	size_t n, room;
};

/*
 * Reads from the start of a stream up to its content.  name is for messages, and borrowed.  0 or a
 * negative errno, with a message.
 */
int stream_tree_read(struct stream_reader *reader, const char *name, struct stream_tree *ret,
		     struct bmf_error *err);
void stream_tree_destroy(struct stream_tree *tree); /* all zeros are allowed */

/* Writes an extent, STREAM_DATA or STREAM_ZERO, to copy->dest_fd; errors as those of a sink. */
int stream_tree_put_extent(struct copy *copy, const struct stream_record *record);

#endif
