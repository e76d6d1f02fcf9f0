/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.c - brings ranges of an image to where they are wanted: data as data, holes as holes
 *
 * Threads: copy_carry_out is called by the ring's, with const access to the copy but for what the
 * sink is allowed to; all else is the caller's.
 */
#include "config.h"

#include "tools/copy_ring.h"
#include "tools/stop.h"

#include <errno.h>
#include <string.h>

int copy_failed(struct copy *copy, int code, const char *verb, bool at_source, uint64_t offset)
{
	copy->verb = verb;
	copy->at_source = at_source;
	copy->offset = offset;
	return code;
}

static void tick(struct copy *copy, uint64_t nbytes)
{
	if (copy->tick)
		copy->tick(copy->tick_arg, nbytes);
}

static int digested(struct copy *copy, int r, uint64_t offset)
{
	return r < 0 ? copy_failed(copy, r, "write digests of", false, offset) : 0;
}

/* ---- pieces, by whichever thread ---- */

bool copy_has_read(struct copy_piece *piece, ssize_t got)
{
	piece->verb = "read";
	piece->at_source = true;
	piece->code = got < 0 ? (int)got : 0;
	piece->got = got < 0 ? 0 : (size_t)got;
	return got >= 0 && piece->copy->sink->side_by_side;
}

void copy_has_written(struct copy_piece *piece, int r)
{
	piece->verb = piece->copy->sink->verb;
	piece->at_source = false;
	piece->code = r;
}

void copy_write(struct copy_piece *piece)
{
	copy_has_written(piece, piece->copy->sink->data(piece->copy, piece->buffer, piece->got,
							piece->offset));
}

void copy_carry_out(struct copy_piece *piece)
{
	ssize_t got = (ssize_t)piece->nbytes;

	if (piece->kind == COPY_DATA)
		got = source_image_read(piece->copy->source, piece->buffer, piece->nbytes,
					piece->offset, piece->cached);
	if (copy_has_read(piece, got))
		copy_write(piece);
}

/* ---- pieces, in order ---- */

static int finish_zeros(struct copy *copy, uint64_t offset, uint64_t nbytes)
{
	int r = nbytes > 0 ? copy->sink->zeros(copy, offset, offset + nbytes) : 0;

	if (r == 0 && copy->digester && nbytes > 0)
		r = digested(copy, digester_zeros(copy->digester, offset, nbytes), offset);
	if (r == 0)
		tick(copy, nbytes);
	return r;
}

static bool is_unreadable(ssize_t r)
{
	return r == -EIO || r == -EUCLEAN || r == -EBADMSG;
}

/* Block by block: whatever the disk gives of it. */
static int read_again(struct copy *copy, struct copy_piece *piece)
{
	uint64_t block = UINT64_C(1) << copy->block_shift, at = piece->offset, next;
	uint64_t end = piece->offset + piece->nbytes;

	for (; at < end; at = next) {
		char *buf = (char *)piece->buffer + (at - piece->offset);
		ssize_t got;

		next = (at / block + 1) * block;
		next = next < end ? next : end;
		got = source_image_read(copy->source, buf, next - at, at, true);
		if (is_unreadable(got)) {
			int r = bmf_bits_set(copy->unreadable, at >> copy->block_shift, 1);

			got = r < 0 ? r : 0;
		}
		if (got < 0)
			return (int)got;
		memset(buf + got, 0, next - at - (size_t)got);
	}
	piece->got = piece->nbytes;
	return 0;
}

static int finish_data(struct copy *copy, struct copy_piece *piece)
{
	uint64_t end = piece->offset + piece->got;
	int r;

	if (copy->unreadable && piece->at_source && is_unreadable(piece->code))
		piece->code = read_again(copy, piece);
	if (piece->code == 0 && !copy->sink->side_by_side)
		copy_write(piece);
	if (piece->code == 0 && piece->late)
		copy_has_written(piece, direct_write_tail(&copy->dest, piece->buffer, piece->got,
							  piece->offset, piece->asked));
	if (piece->code < 0)
		return copy_failed(copy, piece->code, piece->verb, piece->at_source, piece->offset);
	if (piece->kind == COPY_BYTES)
		return 0;
	if (copy->digester && piece->got > 0) {
		r = digested(
			copy,
			digester_data(copy->digester, piece->buffer, piece->got, piece->offset),
			piece->offset);
		if (r < 0)
			return r;
	}
	copy->copied += piece->got;
	tick(copy, piece->got);
	if (!copy->again)
		source_image_release(copy->source, end, piece->got);
	/* the image has been cut off there */
	return finish_zeros(copy, end, piece->nbytes - piece->got);
}

static int finish(struct copy_piece *piece)
{
	struct copy *copy = piece->copy;

	switch (piece->kind) {
	case COPY_DATA:
	case COPY_BYTES:
		return finish_data(copy, piece);
	case COPY_ZEROS:
		return finish_zeros(copy, piece->offset, piece->nbytes);
	case COPY_SKIPPED:
		copy->copied += piece->nbytes;
		tick(copy, piece->nbytes);
		return 0;
	}
	return 0;
}

int copy_finish(struct copy_piece *piece)
{
	struct digester *digester = piece->copy->digester;
	int r = 0;

	if (digester && piece->begins)
		r = digested(piece->copy, digester_begin(digester, piece->offset), piece->offset);
	if (r == 0)
		r = finish(piece);
	if (r == 0 && digester && piece->ends)
		r = digested(piece->copy, digester_finish(digester, piece->copy->size),
			     piece->offset);
	return r;
}

/* ---- what pieces there are ---- */

/* What is there is fast to be had; and if a guest has just written it, past it means to wait. */
bool copy_is_cached(struct copy *copy, uint64_t offset, uint64_t nbytes)
{
	return copy->again || direct_is_cached(&copy->source->direct) ||
	       cached_has(&copy->cached, copy->source->fd, offset, nbytes);
}

struct range {
	uint64_t begin, end;
};

static int put(struct copy *copy, const struct range *range, enum copy_kind kind, uint64_t offset,
	       uint64_t nbytes)
{
	struct copy_piece *piece;
	int r;

	if (stop_signal())
		return -ECANCELED;
	r = copy_ring_next(copy->ring, kind == COPY_DATA, &piece);
	if (r < 0)
		return r == -ENOMEM ? copy_failed(copy, r, "copy", false, offset) : r;
	piece->copy = copy;
	piece->kind = kind;
	piece->offset = offset;
	piece->nbytes = nbytes;
	piece->begins = offset == range->begin;
	piece->ends = offset + nbytes == range->end;
	if (kind == COPY_DATA)
		piece->cached = copy_is_cached(copy, offset, nbytes);
	copy_ring_start(copy->ring, kind == COPY_DATA);
	return 0;
}

static int put_data(struct copy *copy, const struct range *range, uint64_t offset, uint64_t end)
{
	int r = 0;

	if (!copy->sink->data)
		return put(copy, range, COPY_SKIPPED, offset, end - offset);
	while (r == 0 && offset < end) {
		/* all but the first begin where they are aligned */
		uint64_t stop = (offset / COPY_PIECE + 1) * COPY_PIECE;

		stop = stop < end ? stop : end;
		r = put(copy, range, COPY_DATA, offset, stop - offset);
		offset = stop;
	}
	return r;
}

static int put_range(struct copy *copy, uint64_t offset, uint64_t nbytes)
{
	const struct range range = { .begin = offset, .end = offset + nbytes };
	uint64_t first, last;
	int r;

	while ((r = source_image_next_data(copy->source, offset, range.end, &first, &last)) > 0) {
		r = offset < first ? put(copy, &range, COPY_ZEROS, offset, first - offset) : 0;
		if (r == 0)
			r = put_data(copy, &range, first, last);
		if (r < 0)
			return r;
		offset = last;
	}
	if (r < 0)
		return copy_failed(copy, r, "seek in", true, offset);
	return offset < range.end ? put(copy, &range, COPY_ZEROS, offset, range.end - offset) : 0;
}

/* What failed first is told: an earlier piece, if there is one. */
static int end(struct copy *copy, int r)
{
	const char *verb = copy->verb;
	bool at_source = copy->at_source;
	uint64_t offset = copy->offset;
	int earlier = copy_ring_drain(copy->ring);

	if (earlier < 0)
		return earlier;
	return r < 0 ? copy_failed(copy, r, verb, at_source, offset) : 0;
}

int copy_range(struct copy *copy, uint64_t offset, uint64_t nbytes)
{
	copy->cached.end = 0; /* of another file, or of long ago */
	return end(copy, put_range(copy, offset, nbytes));
}

int copy_blocks(struct copy *copy, const struct bmf_bits *bits, unsigned int block_shift,
		uint64_t first_block, uint64_t end_block)
{
	uint64_t first, n, stop;
	int r = 0;

	copy->cached.end = 0;
	while (r == 0 && bmf_bits_next(bits, first_block, end_block, &first, &n)) {
		stop = (first + n) << block_shift;
		r = put_range(copy, first << block_shift,
			      (stop < copy->size ? stop : copy->size) - (first << block_shift));
		first_block = first + n;
	}
	return end(copy, r);
}

/* Whatever failed of rest, be it read or written, is the replica's. */
static void take_over(struct copy *copy, const struct copy *rest)
{
	if (!rest->verb)
		return;
	copy_failed(copy, 0, rest->verb, false, rest->offset);
	copy->of_rest = true;
}

int copy_blocks_and_rest(struct copy *copy, struct copy *rest, const struct bmf_bits *bits,
			 unsigned int block_shift)
{
	uint64_t first, n, at = 0, size = copy->size;
	int r = 0;

	copy->cached.end = rest->cached.end = 0;
	rest->verb = NULL;
	copy->of_rest = false;
	while (r == 0 && at < size) {
		bool found = bmf_bits_next(bits, at >> block_shift, ((size - 1) >> block_shift) + 1,
					   &first, &n);
		uint64_t begin = found ? first << block_shift : size;
		uint64_t stop = found ? (first + n) << block_shift : size;

		stop = stop < size ? stop : size;
		if (at < begin)
			r = put_range(rest, at, begin - at);
		if (r == 0 && begin < stop)
			r = put_range(copy, begin, stop - begin);
		at = stop;
	}
	take_over(copy, rest);
	rest->verb = NULL;
	r = end(copy, r);
	take_over(copy, rest);
	return r;
}

int copy_put(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset)
{
	const char *from = buf;

	while (nbytes > 0) {
		size_t n = COPY_PIECE - offset % COPY_PIECE;
		struct copy_piece *piece;
		int r = copy_ring_next(copy->ring, true, &piece);

		if (r < 0)
			return r == -ENOMEM ? copy_failed(copy, r, "copy", false, offset) : r;
		n = n < nbytes ? n : nbytes;
		piece->copy = copy;
		piece->kind = COPY_BYTES;
		piece->offset = offset;
		piece->nbytes = n;
		piece->begins = piece->ends = false;
		memcpy(piece->buffer, from, n);
		copy_ring_start(copy->ring, true);
		from += n;
		offset += n;
		nbytes -= n;
	}
	return 0;
}

int copy_drain(struct copy *copy)
{
	return copy_ring_drain(copy->ring);
}
