/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history.c - decides what of a sidecar may be believed
 *
 * A history that is handed out reaches up to the state's current generation,
 * and its last section is that generation's alone: what the sidecar leaves
 * open between the generation it was written in and now is filled with what a
 * crash may have hidden (rule 5) or with nothing (a clean stop, or a tracker
 * that lives and would have saved it).
 */
#include "config.h"

#include "bitmapfile/format.h"
#include "bitmapfile/history.h"
#include "bitmapfile/identity.h"

#include <errno.h>
#include <stdlib.h>

static int bits_copy(const struct bmf_bits *src, struct bmf_bits **ret)
{
	struct bmf_bits *copy = bmf_bits_new();
	int r;

	if (!copy)
		return -ENOMEM;
	if (src) {
		r = bmf_bits_union_into(copy, src);
		if (r < 0) {
			bmf_bits_free(copy);
			return r;
		}
	}
	*ret = copy;
	return 0;
}

static int add_section_copy(struct bmf_sidecar *sidecar, uint64_t first, uint64_t last,
			    const struct bmf_bits *bits)
{
	struct bmf_bits *copy;
	int r = bits_copy(bits, &copy);

	if (r < 0)
		return r;
	r = bmf_sidecar_add_section(sidecar, first, last, copy);
	if (r < 0)
		bmf_bits_free(copy);
	return r;
}

/* Cuts the section that holds generation in two, such that one begins there. */
static int split_before(struct bmf_sidecar *sidecar, uint64_t generation)
{
	struct bmf_section *last = &sidecar->sections[sidecar->nsections - 1];
	uint64_t end = last->last;
	int r;

	if (last->first >= generation || last->last < generation)
		return 0;
	last->last = generation - 1;
	r = add_section_copy(sidecar, generation, end, last->bits);
	if (r < 0)
		sidecar->sections[sidecar->nsections - 1].last = end;
	return r;
}

/* Makes the sections reach up to generation; the new ones hold extra (may be NULL). */
static int extend(struct bmf_sidecar *sidecar, uint64_t generation, const struct bmf_bits *extra)
{
	int r;

	if (sidecar->active >= generation)
		return 0;
	r = add_section_copy(sidecar, sidecar->active + 1, generation, extra);
	if (r == 0)
		sidecar->active = generation;
	return r;
}

/* Converts every section, outward, when the source has got another block size. */
static int convert_blocks(struct bmf_sidecar *sidecar, unsigned int block_shift)
{
	if (sidecar->block_shift == block_shift)
		return 0;
	for (size_t i = 0; i < sidecar->nsections; i++) {
		struct bmf_bits *converted;
		int r = bmf_bits_convert(sidecar->sections[i].bits, sidecar->block_shift,
					 block_shift, &converted);

		if (r < 0)
			return r;
		bmf_bits_free(sidecar->sections[i].bits);
		sidecar->sections[i].bits = converted;
	}
	sidecar->block_shift = block_shift;
	return 0;
}

/* The bytes of an image of that size that the armed map covers, no more than there are. */
static uint64_t armed_nbytes(const struct bmf_sidecar *sidecar, uint64_t size)
{
	uint64_t total = 0, first, n, from = 0;
	unsigned int shift = sidecar->region_shift;
	uint64_t end = (size >> shift) + 1;

	while (bmf_bits_next(sidecar->armed, from, end, &first, &n)) {
		uint64_t begin_byte = first << shift, end_byte = (first + n) << shift;

		if (first + n >= BMF_REGIONS_MAX)
			end_byte = size; /* the last one has no end */
		if (begin_byte < size)
			total += (end_byte < size ? end_byte : size) - begin_byte;
		from = first + n;
	}
	return total;
}

static int armed_blocks(const struct bmf_sidecar *sidecar, struct bmf_bits **ret)
{
	unsigned int region = sidecar->region_shift, block = sidecar->block_shift;
	uint64_t end = UINT64_C(1) << (BMF_OFFSET_BITS - block);
	uint64_t tail = region > block ? BMF_REGIONS_MAX << (region - block)
				       : BMF_REGIONS_MAX >> (block - region);
	struct bmf_bits *blocks;
	int r;

	r = bmf_bits_convert(sidecar->armed, region, block, &blocks);
	if (r < 0)
		return r;
	/* the last region has no end of its own */
	if (tail < end && bmf_bits_test(sidecar->armed, BMF_REGIONS_MAX - 1))
		r = bmf_bits_set(blocks, tail, end - tail);
	if (r < 0)
		bmf_bits_free(blocks);
	else
		*ret = blocks;
	return r;
}

/*
 * Rule 5, and I1: the writer crashed, so any block of an armed region may have
 * changed, in any generation from the one that the sidecar was written in.
 */
static int add_armed(struct bmf_sidecar *sidecar, uint64_t crashed_at, uint64_t size)
{
	struct bmf_bits *blocks, *own;
	uint64_t written_in = sidecar->active, nblocks, before;
	int r;

	r = armed_blocks(sidecar, &blocks);
	if (r < 0)
		return r;
	r = split_before(sidecar, written_in);
	if (r == 0) {
		own = sidecar->sections[sidecar->nsections - 1].bits;
		nblocks = (size >> sidecar->block_shift) + 1;
		before = bmf_bits_count(own, 0, nblocks);
		r = bmf_bits_union_into(own, blocks);
		sidecar->crash_nbytes += (bmf_bits_count(own, 0, nblocks) - before)
					 << sidecar->block_shift;
		sidecar->crash_generation = crashed_at;
	}
	if (r == 0)
		r = extend(sidecar, crashed_at, blocks);
	bmf_bits_free(blocks);
	return r;
}

static enum bmf_reason reason_of_load_error(int error)
{
	switch (error) {
	case -ENOENT:
		return BMF_REASON_MISSING;
	case -EPROTONOSUPPORT:
		return BMF_REASON_VERSION;
	default: /* unreadable is in doubt as much as damaged (I1) */
		return BMF_REASON_DAMAGED;
	}
}

/* Rules 2 to 4, and the last part of 1: is the sidecar this image's, and is it current? */
static enum bmf_reason judge(const struct bmf_sidecar *sidecar, const struct bmf_state *state,
			     const struct bmf_sessions *sessions, const struct bmf_stamp *now,
			     unsigned int flags)
{
	bool live = flags & BMF_HISTORY_LIVE;

	if (!bmf_uuid_equal(&sidecar->source, &state->source))
		return BMF_REASON_FOREIGN;
	if (!live && sidecar->active > state->generation)
		return BMF_REASON_FOREIGN;
	if (!bmf_stamp_same_file(&sidecar->stamp, now))
		return BMF_REASON_COPIED;
	if (sidecar->suspect)
		return BMF_REASON_IO_ERROR;
	if (!live && !sidecar->in_use && !bmf_stamp_equal(&sidecar->stamp, now))
		return BMF_REASON_BEHIND;
	if (!live && sidecar->in_use &&
	    !bmf_sessions_vouch(sessions, sidecar->session, now->ctime_ns))
		return BMF_REASON_UNWATCHED;
	return BMF_REASON_NONE;
}

/* Fills in reason, sidecar and armed_bytes.  0, or -ENOMEM. */
static int believe(struct bmf_store *store, const struct bmf_state *state, uint64_t crashed_at,
		   unsigned int flags, struct bmf_history *history, struct bmf_error *err)
{
	struct bmf_sidecar *sidecar;
	int r;

	r = bmf_store_load_sidecar(store, &history->id, &sidecar, err);
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r; /* that says nothing of the sidecar */
	if (r == -ENOENT && state->generation == 0)
		return 0; /* new: its id is from an earlier life of the source */
	if (r < 0) {
		history->reason = reason_of_load_error(r);
		return 0;
	}
	history->reason = judge(sidecar, state, &store->sessions, &history->stamp, flags);
	if (history->reason != BMF_REASON_NONE) {
		bmf_sidecar_free(sidecar);
		return 0;
	}

	r = convert_blocks(sidecar, state->block_shift);
	if (sidecar->in_use) {
		history->armed_bytes = armed_nbytes(sidecar, history->stamp.size);
		if (r == 0 && !(flags & BMF_HISTORY_LIVE))
			r = add_armed(sidecar, crashed_at, history->stamp.size);
	}
	if (r == 0)
		r = extend(sidecar, state->generation, NULL);
	if (r == 0)
		r = split_before(sidecar, state->generation);
	if (r < 0) {
		bmf_sidecar_free(sidecar);
		return r;
	}
	history->sidecar = sidecar;
	return 0;
}

int bmf_history_load(struct bmf_store *store, const struct bmf_state *state, int fd,
		     uint64_t crashed_at, unsigned int flags, struct bmf_history *ret,
		     struct bmf_error *err)
{
	struct bmf_history history = { .reason = BMF_REASON_NEW };
	int r;

	r = bmf_stamp_take(store->io, fd, &history.stamp);
	if (r < 0)
		return bmf_error_set(err, r, "stat image: %s", bmf_errno_text(r));

	r = bmf_identity_read(store->io, fd, &history.id);
	if (r == 0) {
		history.has_id = true;
		r = believe(store, state, crashed_at, flags, &history, err);
		if (r < 0)
			return bmf_error_set(err, r, "load history of image: %s",
					     bmf_errno_text(r));
	} else if (r == -EOPNOTSUPP || r == -EACCES || r == -EPERM) {
		history.reason = BMF_REASON_NO_ID;
		bmf_error_set(err, r, "read id of image: %s", bmf_errno_text(r));
	} else if (r != -ENODATA && r != -EINVAL) {
		/* it may have one, with a sidecar that would be believed later */
		return bmf_error_set(err, r, "read id of image: %s", bmf_errno_text(r));
	}
	*ret = history;
	return 0;
}

bool bmf_history_is_vouched_for(const struct bmf_store *store, const struct bmf_history *history)
{
	const struct bmf_sidecar *sidecar = history->sidecar;

	if (!sidecar->in_use)
		return bmf_stamp_equal(&sidecar->stamp, &history->stamp);
	return bmf_sessions_vouch(&store->sessions, sidecar->session, history->stamp.ctime_ns);
}

void bmf_history_destroy(struct bmf_history *history)
{
	bmf_sidecar_free(history->sidecar);
	history->sidecar = NULL;
}
