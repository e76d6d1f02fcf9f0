/* SPDX-License-Identifier: GPL-2.0-or-later */
/* publish_plan.c - the tree that a journal wants, and which of a replica's files are to be in it */
#include "config.h"

#include "tools/publish_internal.h"
#include "tools/text.h"

#include <errno.h>
#include <stdlib.h>

int publish_read(struct publish *p)
{
	struct stream_reader *reader;
	int r = publish_open_stream(p, &reader);

	if (r < 0)
		return r;
	r = stream_tree_read(reader, p->replica->path, &p->want, p->err);
	stream_reader_close(reader);
	return r;
}

/* Its names count in the next sync, which copies it anew. */
static void note_gone(struct publish *p, struct plan_node *node)
{
	node->vanished = true;
	text_note(&p->report->ngone, &p->report->first_gone, node->source->first->path);
}

/*
 * Of a regular file: the one that the journal means, wherever it is by now.  One that has got names
 * outside of the replica is not ours to change.
 */
static void claim_file(struct publish *p, struct plan_node *node, const struct bmf_stamp *stamp)
{
	struct tree_node *file = tree_find_file(p->dest, stamp);

	if (!file || file->st.st_nlink != file->nentries || p->plan->claims[file->index]) {
		note_gone(p, node);
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
		plan->source = p->want.tree;
		plan->dest = p->dest;
		plan->block_shift = p->header.block_shift;
		plan->nnodes = p->want.n;
		plan->nodes = calloc(p->want.n + 1, sizeof(*plan->nodes));
		plan->claims = calloc(p->dest->nnodes + 1, sizeof(struct plan_node *));
	}
	if (!plan || !plan->nodes || !plan->claims)
		return publish_failed(p, -ENOMEM, "read journal of", NULL);
	for (size_t i = 0; i < p->want.n; i++) {
		struct plan_node *node = &plan->nodes[i];

		node->source = p->want.tree->nodes[i];
		node->content = p->want.nodes[i].content;
		if (S_ISREG(node->source->st.st_mode))
			claim_file(p, node, &p->want.nodes[i].stamp);
		else
			plan_by_path(plan, node);
	}
	return names_list(plan, &p->steps) < 0 ? publish_failed(p, -ENOMEM, "read journal of", NULL)
					       : 0;
}
