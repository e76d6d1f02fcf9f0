/* SPDX-License-Identifier: GPL-2.0-or-later */
/* publish_internal.h - what the files that publish share */
#ifndef TOOLS_PUBLISH_INTERNAL_H
#define TOOLS_PUBLISH_INTERNAL_H

#include "tools/names.h"
#include "tools/plan.h"
#include "tools/publish.h"
#include "tools/stream_tree.h"

struct publish {
	unsigned int threads;
	struct replica *replica;
	int fd, digests_fd; /* of the journal, and the directory of digests */
	struct stream_header header;
	struct stream_tree want;
	struct tree *dest;
	struct plan *plan;
	struct name_steps steps;
	struct publish_report *report;
	struct bmf_error *err;
};

/* Reads the journal from its start, up to what begin or visit make of it. */
int publish_open_stream(struct publish *publish, struct stream_reader **ret);

int publish_failed(struct publish *publish, int code, const char *verb, const char *path);

/* publish_plan.c: want, from the journal, and plan, from that and dest. */
int publish_read(struct publish *publish);
int publish_plan(struct publish *publish);

/* publish_data.c: content from the journal; then metadata of all, directories last. */
int publish_content(struct publish *publish);
int publish_metadata(struct publish *publish);

#endif
