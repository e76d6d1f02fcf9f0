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

/* The digests on record of it; NULL: there are none that can be believed. */
static int open_record(struct sync *s, const struct plan_node *node, struct digests **ret)
{
	struct digests_key key = key_of(s, &node->had);
	struct bmf_error why;
	int r = node->proved ? digests_open(&bmf_io_posix, s->digests_fd, &key, false, ret, &why)
			     : -ENOENT;

	return r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT ? 0 : r;
}

/* So many blocks at a time: few enough to be copied if their file can't be read. */
#define WINDOW (UINT64_C(1) << 14)
#define BATCH 256

/* What the replica has of an image. */
struct had {
	struct digests *record; /* NULL: nothing is known */
	struct digest_update *update;
	struct digest_file file;
};

/* Of [block, end): the digests on record, and in unknown the blocks that have none. */
static int take_known(const struct had *had, uint64_t block, uint64_t end, struct bmf_bits *unknown)
{
	struct digest known[BATCH];
	size_t n;
	int r = 0;

	if (!had->record)
		return bmf_bits_set(unknown, block, end - block);
	for (; r == 0 && block < end; block += n) {
		n = end - block < BATCH ? (size_t)(end - block) : BATCH;
		r = digests_read(had->record, block, n, known);
		if (r == 0)
			r = digests_write(had->update->digests, block, n, known);
		for (size_t i = 0; r == 0 && i < n; i++)
			if (!digest_is_known(&known[i]))
				r = bmf_bits_set(unknown, block + i, 1);
	}
	return r;
}

/* From the file itself, as nobody knows what is in it.  What can't be read stays unknown (I2). */
static int take_unknown(struct had *had, uint64_t block, uint64_t end,
			const struct bmf_bits *unknown)
{
	int r;

	if (had->file.fd < 0)
		return had->file.fd;
	r = digest_file_blocks(&had->file, had->update->digester, unknown, block, end);
	if (had->file.at_file && (r == -EIO || r == -EUCLEAN || r == -EBADMSG))
		return digest_update_forget(had->update, block, end - block);
	return r;
}

static int take_window(struct sync *s, const struct plan_node *node, struct had *had,
		       uint64_t block, uint64_t end)
{
	struct bmf_bits *unknown = bmf_bits_new();
	int r = unknown ? take_known(had, block, end, unknown) : -ENOMEM;

	if (r == 0 && !bmf_bits_is_empty(unknown)) {
		if (node->proved) /* the plan didn't count on having to read it */
			s->plan->scan_total += bmf_bits_count(unknown, block, end - block)
					       << s->plan->block_shift;
		r = take_unknown(had, block, end, unknown);
	}
	bmf_bits_free(unknown);
	return r;
}

static int take_had(struct sync *s, const struct plan_node *node, uint64_t size, struct had *had)
{
	uint64_t nblocks = digests_nblocks(had->update->digests), end;
	int r = 0;

	had->file = (struct digest_file){ .fd = s->copy.old_fd,
					  .size = size,
					  .ring = s->copy.ring,
					  .block_shift = s->plan->block_shift,
					  .tick = sync_tick,
					  .tick_arg = s };
	posix_fadvise(s->copy.old_fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	progress_image(sync_path(node));
	for (uint64_t block = 0; r == 0 && block < nblocks; block = end) {
		end = nblocks - block < WINDOW ? nblocks : block + WINDOW;
		r = take_window(s, node, had, block, end);
	}
	return r;
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
	struct resync resync = { .copy = &s->copy, .update = update, .key = &key };
	struct had had = { .record = record, .update = update };
	struct sync_full_copy *full = &s->result->full[node->full];
	uint64_t before = s->copy.copied + s->copy.zeroed;
	int r = take_had(s, node, size, &had);

	if (r < 0)
		return r == -ECANCELED ? r : fail_digests(s, node, r);
	r = sync_copy(s, node, size, &resync);
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
