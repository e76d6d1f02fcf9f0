/* SPDX-License-Identifier: GPL-2.0-or-later */
/* resync.c - brings to a replica what really differs from what it has, told by digests */
#include "config.h"

#include "tools/digest_compare.h"
#include "tools/resync.h"

#include "bitmapfile/bits.h"

#include <errno.h>

/*
 * So much is looked at before what differs in it is copied: little enough to be in the cache
 * still, and a multiple of every size of blocks.
 */
#define WINDOW (UINT64_C(64) << 20)

/* What is found in one window. */
struct look {
	const struct resync *resync;
	struct digest_compare compare;
	struct bmf_bits *differ; /* blocks, counted from the start of the image */
};

/* ---- digests against digests ---- */

static int on_block(void *arg, uint64_t block, enum digest_verdict verdict)
{
	struct look *look = arg;

	/* what nobody knows differs */
	return verdict == DIGEST_SAME ? 0 : bmf_bits_set(look->differ, block, 1);
}

/* ---- windows ---- */

/* Blocks are read, and not released: some of them will be read again. */
static int look_at(const struct resync *resync, struct digester *digester, uint64_t offset,
		   uint64_t end)
{
	struct copy *copy = resync->copy;
	const struct copy_sink *sink = copy->sink;
	uint64_t copied = copy->copied;
	int r;

	copy->sink = &copy_to_digester;
	copy->digester = digester;
	copy->again = true;
	r = copy_range(copy, offset, end - offset);
	copy->again = false;
	copy->digester = resync->update->digester;
	copy->sink = sink;
	copy->copied = copied; /* nothing has been yet */
	return r;
}

/* How far it is has been told while it was looked at. */
static int copy_differing(const struct look *look, uint64_t offset, uint64_t end)
{
	struct copy *copy = look->resync->copy;
	unsigned int shift = look->resync->key->block_shift;
	void (*tick)(void *, uint64_t) = copy->tick;
	int r;

	copy->tick = NULL;
	r = copy_blocks(copy, look->differ, shift, offset >> shift, ((end - 1) >> shift) + 1);
	copy->tick = tick;
	/* also what was the same there */
	source_image_release(copy->source, end, end - offset);
	return r;
}

static int resync_window(struct look *look, struct digester *digester, uint64_t offset,
			 uint64_t end)
{
	int r;

	look->differ = bmf_bits_new();
	if (!look->differ)
		return copy_failed(look->resync->copy, -ENOMEM, "compare", false, offset);
	r = look_at(look->resync, digester, offset, end);
	if (r == 0)
		r = copy_differing(look, offset, end);
	bmf_bits_free(look->differ);
	return r;
}

int resync_image(const struct resync *resync)
{
	const struct digests_key *key = resync->key;
	struct look look = {
		.resync = resync,
		.compare = { .record = resync->update->digests, .block = on_block, .arg = &look },
	};
	uint64_t size = resync->copy->size, end;
	struct digester *digester;
	int r = digest_compare_init(key, &look.compare);

	if (r == 0)
		r = digester_new(digest_seed(&key->replica), key->block_shift, digest_compare_take,
				 &look.compare, &digester);
	if (r < 0)
		return copy_failed(resync->copy, r, "compare", false, 0);
	for (uint64_t offset = 0; r == 0 && offset < size; offset = end) {
		end = size - offset < WINDOW ? size : offset + WINDOW;
		r = resync_window(&look, digester, offset, end);
	}
	digester_free(digester);
	return r;
}
