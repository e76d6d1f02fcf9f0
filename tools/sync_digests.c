/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_digests.c - a replica's digests, brought up to date with what is copied */
#include "config.h"

#include "tools/digest_file.h"
#include "tools/digest_update.h"
#include "tools/fail.h"
#include "tools/progress.h"
#include "tools/sync_internal.h"

#include <errno.h>
#include <fcntl.h>
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

static struct digests_key key_of(const struct sync *s, const struct bmf_uuid *image)
{
	return (struct digests_key){ .replica = s->replica.manifest.replica,
				     .image = *image,
				     .block_shift = s->plan->block_shift };
}

/* ---- what the replica has of an image that is compared by digest ---- */

/*
 * From the file itself, as nobody knows what is in it.  1: it can't be read, so that all of it has
 * to be copied.
 */
static int take_anew(struct sync *s, const struct plan_node *node, struct digest_update *update,
		     uint64_t size)
{
	struct digest_file file = { .fd = s->copy.old_fd,
				    .size = size,
				    .ring = s->copy.ring,
				    .tick = sync_tick,
				    .tick_arg = s };
	int r;

	if (file.fd < 0)
		return file.fd;
	posix_fadvise(file.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	progress_image(sync_path(node));
	r = digest_file(&file, update->digester);
	return r == -EIO || r == -EUCLEAN || r == -EBADMSG ? 1 : r;
}

/* The digests on record of it; NULL: there are none that can be believed. */
static int open_record(struct sync *s, const struct plan_node *node, struct digests **ret)
{
	struct digests_key key = key_of(s, &node->had);
	struct bmf_error why;
	int r = node->proved ? digests_open(&bmf_io_posix, s->digests_fd, &key, false, ret, &why)
			     : -ENOENT;

	return r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT ? 0 : r;
}

/* ---- digests of what is copied ---- */

static int begin(struct sync *s, const struct plan_node *node, int dir_fd, uint64_t size,
		 struct digest_update *ret)
{
	struct digests_key key = key_of(s, &node->id);
	bool fresh = node->reason != FULL_NONE;
	int r = 0;

	if (!fresh && dir_fd != s->digests_fd)
		r = digest_update_copy(s->digests_fd, dir_fd, &node->id);
	return r < 0 ? r : digest_update_begin(dir_fd, &key, size, fresh, ret);
}

static int copy_differing(struct sync *s, const struct plan_node *node, uint64_t size,
			  struct digest_update *update, struct digests *record)
{
	struct digests_key key = key_of(s, &node->id);
	struct resync resync = { .copy = &s->copy,
				 .update = update,
				 .had = record ? record : update->digests,
				 .key = &key };
	struct sync_full_copy *full = &s->result->full[node->full];
	uint64_t before = s->copy.copied + s->copy.zeroed;
	int r, had = record ? 0 : take_anew(s, node, update, size);

	if (had < 0)
		return had == -ECANCELED ? had : fail_digests(s, node, had);
	full->by_digest = had == 0;
	r = sync_copy(s, node, size, full->by_digest ? &resync : NULL);
	full->bytes = s->copy.copied + s->copy.zeroed - before;
	return r;
}

int sync_copy_image(struct sync *s, const struct plan_node *node, int dir_fd, uint64_t size)
{
	struct digests *record = NULL;
	struct digest_update update;
	int r = 0, copied;

	if (!wants_digests(s, node))
		return sync_copy(s, node, size, NULL);
	/* before the new ones may take their place */
	if (node->by_digest)
		r = open_record(s, node, &record);
	if (r == 0)
		r = begin(s, node, dir_fd, size, &update);
	if (r < 0) {
		digests_close(record);
		return fail_digests(s, node, r);
	}
	s->copy.digester = update.digester;
	copied = node->by_digest ? copy_differing(s, node, size, &update, record)
				 : sync_copy(s, node, size, NULL);
	s->copy.digester = NULL;
	digests_close(record);
	r = digest_update_end(&update, copied);
	return r < 0 && copied == 0 ? fail_digests(s, node, r) : r;
}
