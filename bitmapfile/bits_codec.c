/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bits_codec.c - a set of bits as bytes, and back
 *
 * The bytes.  The positions 0 .. 2^51 - 1 are divided into chunks of 32768 bits; chunk c
 * holds the positions from 32768 * c.  A set is a sequence of records without
 * anything before, between or after them; an empty set is no bytes at all.  All
 * integers are little-endian.  A record begins with 16 bytes:
 *
 *   offset  size  field
 *        0     8  first  number of the (first) chunk
 *        8     8  nfull  0: one chunk, whose 4096 bytes follow
 *                        n > 0: the n chunks from `first` have all bits set; nothing follows
 *
 * In the 4096 bytes, bit i of the chunk (i = 0 .. 32767) is bit i % 8 of byte i / 8,
 * bit 0 being the least significant.
 *
 * There is one sequence for a set.  Records ascend and do not overlap; a chunk whose
 * bits are all clear is left out; one whose bits are all set is never given by its bytes;
 * a run of full chunks is as long as it can be, so that two records with nfull > 0 never
 * touch; no record passes chunk 2^36 - 1.  A decoder refuses everything else (I5).
 *
 * Decoding takes memory in proportion to the bytes: at most 24 KiB a record, and 16 KiB.
 */
#include "config.h"

#include "bitmapfile/bits_internal.h"
#include "bitmapfile/le.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct record {
	struct le64 first;
	struct le64 nfull;
};

static_assert(sizeof(struct record) == 16, "on-disk format");
static_assert(BMF_BITS_CHUNK_BYTES == 4096, "on-disk format");
static_assert(BMF_BITS_MAX_CHUNKS == UINT64_C(1) << 36, "on-disk format");
static_assert(sizeof(((struct bmf_bits_piece *)0)->words) == BMF_BITS_CHUNK_BYTES, "one chunk");

enum fill { FILL_CLEAR, FILL_FULL, FILL_MIXED };

static enum fill words_fill(const uint64_t words[BMF_BITS_CHUNK_WORDS])
{
	uint64_t any = 0, all = UINT64_MAX;

	for (unsigned int w = 0; w < BMF_BITS_CHUNK_WORDS; w++) {
		any |= words[w];
		all &= words[w];
	}
	if (!any)
		return FILL_CLEAR;
	return all == UINT64_MAX ? FILL_FULL : FILL_MIXED;
}

struct encoder {
	uint8_t *buf;
	size_t nbytes, capacity;
	uint64_t run_first, run_n; /* full chunks not yet written; none if run_n is 0 */
};

static int append(struct encoder *e, const void *data, size_t nbytes)
{
	if (nbytes > e->capacity - e->nbytes) {
		size_t capacity = e->capacity * 2 + nbytes;
		uint8_t *buf = realloc(e->buf, capacity);

		if (!buf)
			return -ENOMEM;
		e->buf = buf;
		e->capacity = capacity;
	}
	memcpy(e->buf + e->nbytes, data, nbytes);
	e->nbytes += nbytes;
	return 0;
}

static int append_record(struct encoder *e, uint64_t first, uint64_t nfull)
{
	const struct record record = { le64_make(first), le64_make(nfull) };

	return append(e, &record, sizeof(record));
}

static int flush_run(struct encoder *e)
{
	uint64_t n = e->run_n;

	e->run_n = 0;
	return n ? append_record(e, e->run_first, n) : 0;
}

static int encode_full(struct encoder *e, uint64_t first, uint64_t nchunks)
{
	int r;

	if (e->run_n && e->run_first + e->run_n == first) {
		e->run_n += nchunks;
		return 0;
	}
	r = flush_run(e);
	e->run_first = first;
	e->run_n = nchunks;
	return r;
}

static int encode_piece(struct encoder *e, struct bmf_bits_piece *piece)
{
	enum fill fill = piece->full ? FILL_FULL : words_fill(piece->words);
	int r;

	if (fill == FILL_CLEAR)
		return 0;
	if (fill == FILL_FULL)
		return encode_full(e, piece->first, piece->nchunks);
	r = flush_run(e);
	if (r == 0)
		r = append_record(e, piece->first, 0);
	for (unsigned int w = 0; w < BMF_BITS_CHUNK_WORDS; w++)
		piece->words[w] = htole64(piece->words[w]);
	return r < 0 ? r : append(e, piece->words, sizeof(piece->words));
}

int bmf_bits_encode(const struct bmf_bits *bits, void **ret_buf, size_t *ret_nbytes)
{
	struct encoder e = { .buf = malloc(sizeof(struct record)),
			     .capacity = sizeof(struct record) };
	struct bmf_bits_piece piece;
	uint64_t at = 0;
	int r = e.buf ? 0 : -ENOMEM;

	while (r == 0 && bmf_bits_next_piece(bits, at, &piece)) {
		at = piece.first + piece.nchunks;
		r = encode_piece(&e, &piece);
	}
	if (r == 0)
		r = flush_run(&e);
	if (r < 0) {
		free(e.buf);
		return r;
	}
	*ret_buf = e.buf;
	*ret_nbytes = e.nbytes;
	return 0;
}

struct decoder {
	const uint8_t *next;
	size_t left;
	uint64_t free_from; /* the first chunk that a record may name */
	bool after_full;    /* the last record was one of full chunks */
};

static bool take(struct decoder *d, void *ret, size_t nbytes)
{
	if (nbytes > d->left)
		return false;
	memcpy(ret, d->next, nbytes);
	d->next += nbytes;
	d->left -= nbytes;
	return true;
}

/* Reads and checks one record; the checks follow the list at the top of the file. */
static int decode_piece(struct decoder *d, struct bmf_bits_piece *ret)
{
	struct record record;
	uint64_t nfull;

	if (!take(d, &record, sizeof(record)))
		return -EBADMSG;
	ret->first = le64_get(record.first);
	nfull = le64_get(record.nfull);
	ret->full = nfull > 0;
	ret->nchunks = nfull ? nfull : 1;
	if (ret->first < d->free_from || ret->first >= BMF_BITS_MAX_CHUNKS ||
	    ret->nchunks > BMF_BITS_MAX_CHUNKS - ret->first)
		return -EBADMSG;
	if (ret->full && d->after_full && ret->first == d->free_from)
		return -EBADMSG;
	d->free_from = ret->first + ret->nchunks;
	d->after_full = ret->full;
	if (ret->full)
		return 0;
	if (!take(d, ret->words, sizeof(ret->words)))
		return -EBADMSG;
	for (unsigned int w = 0; w < BMF_BITS_CHUNK_WORDS; w++)
		ret->words[w] = le64toh(ret->words[w]);
	return words_fill(ret->words) == FILL_MIXED ? 0 : -EBADMSG;
}

int bmf_bits_decode(const void *buf, size_t nbytes, struct bmf_bits **ret)
{
	struct decoder d = { .next = buf, .left = nbytes };
	struct bmf_bits *bits = bmf_bits_new();
	struct bmf_bits_piece piece;
	int r = bits ? 0 : -ENOMEM;

	while (r == 0 && d.left > 0) {
		r = decode_piece(&d, &piece);
		if (r == 0)
			r = bmf_bits_add_piece(bits, &piece);
	}
	if (r < 0) {
		bmf_bits_free(bits);
		return r;
	}
	*ret = bits;
	return 0;
}
