/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compare.c - compares the content of two files, byte by byte, as far as either has data
 *
 * The ring reads a piece of a, then the same piece of b, and so on, and finishes them in that
 * order: so a's bytes are kept until b's come.
 */
#include "config.h"

#include "tools/compare.h"
#include "tools/copy_ring.h"
#include "tools/holes.h"
#include "tools/stop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pair {
	struct compare *compare;
	struct copy a, b;
	struct source_image a_image, b_image;
	char *kept;	   /* COPY_PIECE bytes: a's last piece */
	uint64_t last_end; /* of the last block that was counted */
};

/* Where in a piece that is: none crosses a multiple of COPY_PIECE. */
static char *kept_at(const struct pair *pair, uint64_t offset)
{
	return pair->kept + offset % COPY_PIECE;
}

static int keep_data(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset)
{
	memcpy(kept_at(copy->sink_arg, offset), buf, nbytes);
	return 0;
}

static int keep_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	memset(kept_at(copy->sink_arg, offset), 0, end - offset);
	return 0;
}

/* These bytes differ: counts their block, once. */
static void count(struct pair *pair, const char *a, const char *b, uint64_t offset)
{
	struct compare *c = pair->compare;

	if (c->blocks > 0 && offset < pair->last_end)
		return;
	if (c->blocks++ == 0) {
		size_t i = 0;

		while (a[i] == b[i])
			i++;
		c->first_offset = offset + i;
	}
	pair->last_end = (offset / c->block + 1) * c->block;
}

static int compare_data(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset)
{
	struct pair *pair = copy->sink_arg;
	size_t block = pair->compare->block, n;
	const char *a = kept_at(pair, offset), *b = buf;

	pair->compare->compared += nbytes;
	if (memcmp(a, b, nbytes) == 0)
		return 0;
	for (; nbytes > 0; nbytes -= n, offset += n, a += n, b += n) {
		n = block - offset % block;
		n = n < nbytes ? n : nbytes;
		if (memcmp(a, b, n) != 0)
			count(pair, a, b, offset);
	}
	return 0;
}

/* b has been cut off there. */
static int compare_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	static const char zeros[DIRECT_ALIGN];
	int r = 0;

	while (r == 0 && offset < end) {
		uint64_t left = end - offset;
		size_t n = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);

		r = compare_data(copy, zeros, n, offset);
		offset += n;
	}
	return r;
}

static const struct copy_sink to_keep = { .data = keep_data, .zeros = keep_zeros };
static const struct copy_sink to_compare = { .data = compare_data, .zeros = compare_zeros };

static void pair_side(struct pair *pair, struct copy *copy, struct source_image *image, int fd,
		      const struct copy_sink *sink)
{
	image->fd = image->file_fd = fd;
	direct_open_quietly(&image->direct, fd);
	copy->ring = pair->compare->ring;
	copy->source = image;
	copy->sink = sink;
	copy->sink_arg = pair;
}

static int pair_new(struct compare *c, struct pair **ret)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	if (pair)
		pair->kept = malloc(COPY_PIECE);
	if (!pair || !pair->kept) {
		free(pair);
		return -ENOMEM;
	}
	pair->compare = c;
	pair_side(pair, &pair->a, &pair->a_image, c->a_fd, &to_keep);
	pair_side(pair, &pair->b, &pair->b_image, c->b_fd, &to_compare);
	pair->b.tick = c->tick;
	pair->b.tick_arg = c->tick_arg;
	*ret = pair;
	return 0;
}

static void pair_free(struct pair *pair)
{
	direct_close(&pair->a_image.direct);
	direct_close(&pair->b_image.direct);
	free(pair->kept);
	free(pair);
}

/* The next range that is to be compared: 1, 0 when there is none, or an error. */
static int next_range(struct compare *c, uint64_t offset, uint64_t size, uint64_t *ret_first,
		      uint64_t *ret_end)
{
	uint64_t first, n;

	c->failed_offset = offset;
	if (!c->only)
		return holes_next_data_of_two(c->a_fd, c->b_fd, c->block, offset, size, ret_first,
					      ret_end, &c->failed_at_b);
	if (offset >= size ||
	    !bmf_bits_next(c->only, offset / c->block, (size - 1) / c->block + 1, &first, &n))
		return 0;
	*ret_first = first * c->block;
	*ret_end = (first + n) * c->block < size ? (first + n) * c->block : size;
	return 1;
}

static int compare_range(struct pair *pair, uint64_t offset, uint64_t end)
{
	int r = 0;

	while (r == 0 && offset < end) {
		uint64_t stop = (offset / COPY_PIECE + 1) * COPY_PIECE;
		size_t nbytes = (size_t)((stop < end ? stop : end) - offset);

		if (stop_signal())
			return -ECANCELED;
		r = copy_ring_read(&pair->a, offset, nbytes);
		if (r == 0)
			r = copy_ring_read(&pair->b, offset, nbytes);
		offset += nbytes;
	}
	return r;
}

static int compare_ranges(struct pair *pair, uint64_t size)
{
	struct compare *c = pair->compare;
	uint64_t offset = 0, first, end;
	int r;

	while ((r = next_range(c, offset, size, &first, &end)) > 0) {
		if (c->tick)
			c->tick(c->tick_arg, first - offset);
		r = compare_range(pair, first, end);
		if (r < 0)
			return r;
		offset = end;
	}
	if (r == 0 && c->tick)
		c->tick(c->tick_arg, size - offset);
	return r;
}

int compare_files(struct compare *c, uint64_t size)
{
	struct pair *pair;
	int earlier, r = pair_new(c, &pair);

	if (r < 0)
		return r;
	r = compare_ranges(pair, size);
	earlier = copy_ring_drain(c->ring);
	if (earlier < 0)
		r = earlier;
	if (pair->a.verb || pair->b.verb) {
		c->failed_at_b = pair->b.verb;
		c->failed_offset = pair->b.verb ? pair->b.offset : pair->a.offset;
	}
	pair_free(pair);
	return r;
}
