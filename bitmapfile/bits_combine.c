/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bits_combine.c - union of two sets, and the same bytes in blocks of another size
 *
 * Both err on the side of set bits: a block of the result is set when any byte
 * of it was in a set block (I1).
 */
#include "config.h"

#include "bitmapfile/bits_internal.h"

#include <errno.h>

int bmf_bits_union_into(struct bmf_bits *dst, const struct bmf_bits *src)
{
	struct bmf_bits_piece piece;
	int r;

	for (uint64_t at = 0; bmf_bits_next_piece(src, at, &piece);
	     at = piece.first + piece.nchunks) {
		r = bmf_bits_add_piece(dst, &piece);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Each target block holds 2^shift source blocks. */
static int convert_coarser(const struct bmf_bits *src, unsigned int shift, struct bmf_bits *dst)
{
	uint64_t at = 0, first, n, last;
	int r;

	while (bmf_bits_next(src, at, BMF_BITS_MAX, &first, &n)) {
		last = (first + n - 1) >> shift;
		r = bmf_bits_set(dst, first >> shift, last - (first >> shift) + 1);
		if (r < 0)
			return r;
		at = (last + 1) << shift; /* the rest of the last block adds nothing */
	}
	return 0;
}

/* Each source block becomes 2^shift target blocks. */
static int convert_finer(const struct bmf_bits *src, unsigned int shift, struct bmf_bits *dst)
{
	/* what lies higher is beyond the 2^63 bytes that a file can have */
	const uint64_t end = BMF_BITS_MAX >> shift;
	uint64_t first, n;
	int r;

	for (uint64_t at = 0; bmf_bits_next(src, at, end, &first, &n); at = first + n) {
		r = bmf_bits_set(dst, first << shift, n << shift);
		if (r < 0)
			return r;
	}
	return 0;
}

int bmf_bits_convert(const struct bmf_bits *src, unsigned int src_shift, unsigned int dst_shift,
		     struct bmf_bits **ret)
{
	struct bmf_bits *dst = bmf_bits_new();
	int r;

	if (!dst)
		return -ENOMEM;
	if (src_shift == dst_shift)
		r = bmf_bits_union_into(dst, src);
	else if (src_shift < dst_shift)
		r = convert_coarser(src, dst_shift - src_shift, dst);
	else
		r = convert_finer(src, src_shift - dst_shift, dst);
	if (r < 0) {
		bmf_bits_free(dst);
		return r;
	}
	*ret = dst;
	return 0;
}
