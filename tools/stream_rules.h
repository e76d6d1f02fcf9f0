/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_rules.h - what any delta stream keeps to, whoever made it
 *
 * Writer and reader tell this of each record before they write it or give it to the
 * caller; so what the one writes the other doesn't refuse.  Each function returns 0;
 * -ENOMEM; or -EBADMSG, and then *ret_why says what is wrong ("its path has '..'"), a
 * literal.  After a failure nothing more may be asked.  Internal to stream_*.c.
 */
#ifndef TOOLS_STREAM_RULES_H
#define TOOLS_STREAM_RULES_H

#include "tools/stream.h"

enum stream_phase {
	STREAM_IN_TREE,	   /* nodes and links */
	STREAM_IN_CONTENT, /* between STREAM_CONTENT and its end */
	STREAM_BETWEEN,	   /* contents */
	STREAM_AT_END	   /* after the footer */
};

/* A node whose content has to follow. */
struct stream_due {
	uint64_t node, size;
	enum stream_kind kind;
};

struct stream_rules {
	struct stream_header header;
	enum stream_phase phase;
	char *path, *link;	/* of the last node, and its last link's (or its own) */
	mode_t mode;		/* of the last node */
	struct stream_due *due; /* in order; those from next_due on have yet to come */
	size_t ndue, due_room, next_due;
	struct stream_due current;	 /* in STREAM_IN_CONTENT */
	uint64_t extent_end, blocks_end; /* what comes now begins here or later */
	struct stream_totals totals;	 /* counts the nodes, links, contents, nbytes */
};

int stream_rules_init(struct stream_rules *rules, const struct stream_header *header);
void stream_rules_destroy(struct stream_rules *rules);

int stream_rules_node(struct stream_rules *rules, const struct stream_node *node,
		      const char **ret_why);
int stream_rules_link(struct stream_rules *rules, const char *path, const char **ret_why);
int stream_rules_content(struct stream_rules *rules, uint64_t node, const char **ret_why);
/* stored_nbytes: what the stream has for it */
int stream_rules_data(struct stream_rules *rules, uint64_t offset, uint64_t nbytes,
		      uint64_t stored_nbytes, const char **ret_why);
int stream_rules_zero(struct stream_rules *rules, uint64_t offset, uint64_t nbytes,
		      const char **ret_why);
int stream_rules_digests(struct stream_rules *rules, uint64_t first_block, uint64_t n,
			 const char **ret_why);
int stream_rules_content_end(struct stream_rules *rules, const char **ret_why);
int stream_rules_footer(struct stream_rules *rules, const char **ret_why);

#endif
