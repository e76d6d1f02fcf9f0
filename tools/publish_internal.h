/* SPDX-License-Identifier: GPL-2.0-or-later */
/* publish_internal.h - what the files that publish share */
#ifndef TOOLS_PUBLISH_INTERNAL_H
#define TOOLS_PUBLISH_INTERNAL_H

#include "tools/names.h"
#include "tools/plan.h"
#include "tools/publish.h"
#include "tools/stream.h"

/* What the journal has of a node, besides what is in the plan. */
struct publish_node {
	struct meta meta; /* owned */
	enum stream_kind content;
	struct bmf_uuid image;
	struct bmf_stamp stamp;
	bool busy;
	bool gone; /* its file isn't there any more */
};

struct publish {
	struct replica *replica;
	int fd, digests_fd; /* of the journal, and the directory of digests */
	struct stream_header header;
	struct tree *want, *dest;
	struct publish_node *nodes; /* one for each of want->nodes, in the journal's order */
	size_t nnodes;
	struct plan *plan;
	struct name_steps steps;
	struct publish_report *report;
	struct bmf_error *err;
};

/* Reads the journal from its start, up to what begin or visit make of it. */
int publish_open_stream(struct publish *publish, struct stream_reader **ret);

int publish_failed(struct publish *publish, int code, const char *verb, const char *path);

/* publish_plan.c: want, nodes and plan, from the journal and dest. */
int publish_read(struct publish *publish);
int publish_plan(struct publish *publish);

/* publish_data.c: content from the journal; then metadata of all, directories last. */
int publish_content(struct publish *publish);
int publish_metadata(struct publish *publish);

#endif
