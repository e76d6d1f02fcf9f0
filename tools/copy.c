/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy.c - brings ranges of an image to where they are wanted: data as data, holes as holes */
#include "config.h"

#include "tools/copy.h"
#include "tools/stop.h"

#include <errno.h>

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

static int copy_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	int r = offset < end ? copy->sink->zeros(copy, offset, end) : 0;

	if (r == 0 && copy->digester && offset < end)
		r = digested(copy, digester_zeros(copy->digester, offset, end - offset), offset);
	if (r == 0)
		tick(copy, end - offset);
	return r;
}

/* One buffer of it: how much there was, less than nbytes where the image has been cut off. */
static ssize_t copy_piece(struct copy *copy, size_t nbytes, uint64_t offset)
{
	ssize_t got = source_image_read(copy->source, copy->buffer, nbytes, offset);
	int r;

	if (got < 0)
		return copy_failed(copy, (int)got, "read", true, offset);
	r = copy->sink->data(copy, copy->buffer, (size_t)got, offset);
	if (r == 0 && copy->digester && got > 0)
		r = digested(copy, digester_data(copy->digester, copy->buffer, (size_t)got, offset),
			     offset);
	if (r < 0)
		return r;
	copy->copied += (size_t)got;
	tick(copy, (size_t)got);
	if (!copy->again)
		source_image_release(copy->source, offset + (size_t)got);
	return got;
}

static int copy_data(struct copy *copy, uint64_t offset, uint64_t end)
{
	if (!copy->sink->data) {
		copy->copied += end - offset;
		tick(copy, end - offset);
		return 0;
	}
	while (offset < end) {
		size_t n = end - offset < COPY_BUFFER ? (size_t)(end - offset) : COPY_BUFFER;
		ssize_t got;

		if (stop_signal())
			return -ECANCELED;
		got = copy_piece(copy, n, offset);
		if (got < 0)
			return (int)got;
		offset += (size_t)got;
		if ((size_t)got < n)
			return copy_zeros(copy, offset, end);
	}
	return 0;
}

static int copy_all(struct copy *copy, uint64_t offset, uint64_t end)
{
	uint64_t first, last;
	int r;

	while ((r = source_image_next_data(copy->source, offset, end, &first, &last)) > 0) {
		r = copy_zeros(copy, offset, first);
		if (r == 0)
			r = copy_data(copy, first, last);
		if (r < 0)
			return r;
		offset = last;
	}
	return r < 0 ? copy_failed(copy, r, "seek in", true, offset)
		     : copy_zeros(copy, offset, end);
}

int copy_range(struct copy *copy, uint64_t offset, uint64_t nbytes)
{
	int r = 0;

	if (copy->digester)
		r = digested(copy, digester_begin(copy->digester, offset), offset);
	if (r == 0)
		r = copy_all(copy, offset, offset + nbytes);
	if (r == 0 && copy->digester)
		r = digested(copy, digester_finish(copy->digester, copy->size), offset);
	return r;
}
