/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compare.c - compares the content of two files, as far as either has data */
#include "config.h"

#include "tools/compare.h"
#include "tools/holes.h"
#include "tools/stop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What is missing at the end (somebody truncates it right now) counts as zeros. */
static int read_block(struct compare *c, int fd, char *buf, size_t nbytes, uint64_t offset)
{
	size_t done = 0;

	while (done < nbytes) {
		ssize_t n = pread(fd, buf + done, nbytes - done, (off_t)(offset + done));

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR) {
			c->failed_at_b = fd == c->b_fd;
			c->failed_offset = offset + done;
			return -errno;
		}
		done += n < 0 ? 0 : (size_t)n;
	}
	memset(buf + done, 0, nbytes - done);
	return 0;
}

static int compare_block(struct compare *c, uint64_t offset, size_t nbytes, char *a, char *b)
{
	int r = read_block(c, c->a_fd, a, nbytes, offset);

	if (r == 0)
		r = read_block(c, c->b_fd, b, nbytes, offset);
	if (r < 0)
		return r;
	c->compared += nbytes;
	if (memcmp(a, b, nbytes) == 0)
		return 0;
	if (c->blocks++ == 0) {
		size_t i = 0;

		while (a[i] == b[i])
			i++;
		c->first_offset = offset + i;
	}
	return 0;
}

/* The next offset at which either file has data; end when neither has. */
static int next_data(struct compare *c, uint64_t offset, uint64_t end, uint64_t *ret)
{
	uint64_t a = end, b = end, unused;
	int r = holes_next_data(c->a_fd, offset, end, &a, &unused);

	if (r >= 0 && a > offset) {
		r = holes_next_data(c->b_fd, offset, end, &b, &unused);
		c->failed_at_b = r < 0;
	}
	if (r < 0) {
		c->failed_offset = offset;
		return r;
	}
	*ret = a < b ? a : b;
	return 0;
}

/* The next block that is to be compared, and where either has data; size when there is none. */
static int next_block(struct compare *c, uint64_t offset, uint64_t size, uint64_t *ret)
{
	uint64_t end = (size - 1) / c->block + 1, first, n;
	int r;

	if (c->only) {
		bool found = bmf_bits_next(c->only, offset / c->block, end, &first, &n);

		*ret = found ? first * c->block : size;
		return 0;
	}
	r = next_data(c, offset, size, ret);
	if (r < 0 || *ret == size)
		return r;
	*ret -= *ret % c->block;
	return 0;
}

int compare_files(struct compare *c, uint64_t size, void *buffers[2])
{
	uint64_t offset = 0;

	while (offset < size) {
		uint64_t block;
		size_t nbytes;
		int r;

		if (stop_signal())
			return -ECANCELED;
		r = next_block(c, offset, size, &block);
		if (r < 0)
			return r;
		nbytes = size - block < c->block ? (size_t)(size - block) : c->block;
		if (nbytes > 0)
			r = compare_block(c, block, nbytes, buffers[0], buffers[1]);
		if (r < 0)
			return r;
		if (c->tick)
			c->tick(c->tick_arg, block + nbytes - offset);
		offset = block + nbytes;
	}
	return 0;
}
