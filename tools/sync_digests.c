/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_digests.c - a replica's digests, brought up to date with what is copied */
#include "config.h"

#include "tools/digest_update.h"
#include "tools/fail.h"
#include "tools/sync_internal.h"

#include <errno.h>
#include <unistd.h>

static int fail_digests(struct sync *s, const struct plan_node *node, int code)
{
	return fail_errno(s->err, code, "write digests of", s->replica.path, sync_path(node));
}

/* Where there are no ids, or nothing is written, there are no digests. */
static bool wants_digests(const struct sync *s, const struct plan_node *node)
{
	return node->has_id && !s->options->dry_run;
}

static int begin(struct sync *s, const struct plan_node *node, int dir_fd, uint64_t size,
		 struct digest_update *ret)
{
	struct digests_key key = { .replica = s->replica.manifest.replica,
				   .image = node->id,
				   .block_shift = s->plan->block_shift };
	bool fresh = node->reason != FULL_NONE;
	int r = 0;

	if (!fresh && dir_fd != s->digests_fd)
		r = digest_update_copy(s->digests_fd, dir_fd, &node->id);
	return r < 0 ? r : digest_update_begin(dir_fd, &key, size, fresh, ret);
}

int sync_copy_image(struct sync *s, const struct plan_node *node, int dir_fd, uint64_t size)
{
	struct digest_update update;
	int r, copied;

	if (!wants_digests(s, node))
		return sync_copy(s, node, size);
	r = begin(s, node, dir_fd, size, &update);
	if (r < 0)
		return fail_digests(s, node, r);
	s->copy.digester = update.digester;
	s->copy.size = size;
	copied = sync_copy(s, node, size);
	s->copy.digester = NULL;
	r = digest_update_end(&update, copied);
	return r < 0 && copied == 0 ? fail_digests(s, node, r) : r;
}
