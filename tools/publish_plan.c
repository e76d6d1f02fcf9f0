/* SPDX-License-Identifier: GPL-2.0-or-later */
/* publish_plan.c - the tree that a journal wants, and which of a replica's files are to be in it */
#include "config.h"

#include "tools/publish_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the journal's nodes ---- */

static int add_node(struct publish *p, const struct stream_node *node, size_t *room)
{
	struct publish_node *added;
	struct stat st = node->meta.st;
	int r;

	if (p->nnodes == *room) {
		size_t more = *room ? *room * 2 : 64;
		struct publish_node *bigger = reallocarray(p->nodes, more, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		p->nodes = bigger;
		*room = more;
	}
	added = &p->nodes[p->nnodes];
	*added = (struct publish_node){ .meta = { .st = node->meta.st },
					.content = node->content,
					.image = node->image,
					.stamp = node->stamp,
					.busy = node->busy };
	r = xattrs_copy(&node->meta.xattrs, &added->meta.xattrs);
	if (r < 0)
		return r;
	p->nnodes++;
	st.st_ino = p->nnodes; /* tells which names are links: see tree_put */
	return tree_put(p->want, node->path, &st, node->target);
}

static int add_link(struct publish *p, const char *path)
{
	struct stat st = p->nodes[p->nnodes - 1].meta.st;

	st.st_ino = p->nnodes;
	return tree_put(p->want, path, &st, NULL);
}

static int read_nodes(struct publish *p, struct stream_reader *reader)
{
	struct stream_record record;
	size_t room = 0;
	int r;

	for (;;) {
		r = stream_next(reader, &record, p->err);
		if (r < 0)
			return r;
		if (record.type == STREAM_NODE)
			r = add_node(p, &record.node, &room);
		else if (record.type == STREAM_LINK)
			r = add_link(p, record.link.path);
		else
			return 0;
		if (r < 0)
			return publish_failed(p, r, "read journal of", NULL);
	}
}

int publish_read(struct publish *p)
{
	struct stream_reader *reader;
	int r = publish_open_stream(p, &reader);

	if (r < 0)
		return r;
	r = tree_new(p->replica->path, -1, &p->want);
	if (r < 0)
		publish_failed(p, r, "read journal of", NULL);
	if (r == 0)
		r = read_nodes(p, reader);
	stream_reader_close(reader);
	if (r == 0) {
		r = tree_finish(p->want);
		if (r < 0)
			publish_failed(p, r, "read journal of", NULL);
	}
	/* two names that are equal, as a checksum doesn't tell who made it */
	if (r == 0 && p->want->nnodes != p->nnodes)
		r = bmf_error_set(p->err, -EBADMSG, "read journal: its names make no sense");
	return r;
}

/* ---- the plan ---- */

/* Its names count in the next sync, which copies it anew. */
static void note_gone(struct publish *p, struct plan_node *node, struct publish_node *what)
{
	what->gone = true;
	node->vanished = true;
	if (p->report->ngone++ == 0)
		p->report->first_gone = strdup(node->source->first->path);
}

/*
 * Of a regular file: the one that the journal means, wherever it is by now.  One that has got names
 * outside of the replica is not ours to change.
 */
static void claim_file(struct publish *p, struct plan_node *node, struct publish_node *what)
{
	struct tree_node *file = tree_find_file(p->dest, &what->stamp);

	if (!file || file->st.st_nlink != file->nentries || p->plan->claims[file->index]) {
		note_gone(p, node, what);
		return;
	}
	node->dest = file;
	p->plan->claims[file->index] = node;
}

int publish_plan(struct publish *p)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	if (plan) {
		p->plan = plan;
		plan->source = p->want;
		plan->dest = p->dest;
		plan->block_shift = p->header.block_shift;
		plan->nodes = calloc(p->nnodes + 1, sizeof(*plan->nodes));
		plan->claims = calloc(p->dest->nnodes + 1, sizeof(struct plan_node *));
	}
	if (!plan || !plan->nodes || !plan->claims)
		return publish_failed(p, -ENOMEM, "read journal of", NULL);
	for (size_t i = 0; i < p->nnodes; i++) {
		struct plan_node *node = &plan->nodes[i];

		node->source = p->want->nodes[i];
		node->content = p->nodes[i].content;
		if (S_ISREG(node->source->st.st_mode))
			claim_file(p, node, &p->nodes[i]);
		else
			plan_by_path(plan, node);
	}
	return names_list(plan, &p->steps) < 0 ? publish_failed(p, -ENOMEM, "read journal of", NULL)
					       : 0;
}
