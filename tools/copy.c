/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy.c - brings ranges of one file to another: data as data, holes as holes */
#include "config.h"

#include "tools/copy.h"
#include "tools/holes.h"
#include "tools/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Start writeback that often: the fsync at the end shall not have everything left to do. */
#define FLUSH_EVERY ((uint64_t)16 << 20)

static int failed(struct copy *copy, int code, const char *verb, bool at_source, uint64_t offset)
{
	copy->verb = verb;
	copy->at_source = at_source;
	copy->offset = offset;
	return code;
}

static int write_all(struct copy *copy, const char *buf, size_t nbytes, uint64_t offset)
{
	size_t done = 0;

	while (done < nbytes) {
		ssize_t n =
			pwrite(copy->dest_fd, buf + done, nbytes - done, (off_t)(offset + done));

		if (n < 0 && errno != EINTR)
			return failed(copy, -errno, "write", false, offset + done);
		if (n == 0)
			return failed(copy, -EIO, "write", false, offset + done);
		done += n < 0 ? 0 : (size_t)n;
	}
	copy->unflushed += nbytes;
	if (copy->unflushed >= FLUSH_EVERY) {
		/* a hint: the fsync at the end is what counts */
		sync_file_range(copy->dest_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		copy->unflushed = 0;
	}
	return 0;
}

static int write_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	int r = 0;

	memset(copy->buffer, 0, COPY_BUFFER);
	while (r == 0 && offset < end) {
		size_t n = end - offset < COPY_BUFFER ? (size_t)(end - offset) : COPY_BUFFER;

		if (stop_signal())
			return -ECANCELED;
		r = write_all(copy, copy->buffer, n, offset);
		offset += n;
	}
	return r;
}

/* Makes the range read as zeros, but only touches what holds data. */
static int zero_range(struct copy *copy, uint64_t offset, uint64_t end)
{
	uint64_t first, last;
	int r;

	if (copy->dest_fd < 0)
		return 0;
	while ((r = holes_next_data(copy->dest_fd, offset, end, &first, &last)) > 0) {
		r = 0;
		if (!copy->dry_run)
			r = fallocate(copy->dest_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				      (off_t)first, (off_t)(last - first));
		if (r < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
			r = write_zeros(copy, first, last);
		else if (r < 0)
			r = failed(copy, -errno, "punch hole in", false, first);
		if (r < 0)
			return r;
		copy->zeroed += last - first;
		offset = last;
	}
	return r < 0 ? failed(copy, r, "seek in", false, offset) : 0;
}

static void tick(struct copy *copy, uint64_t nbytes)
{
	if (copy->tick)
		copy->tick(copy->tick_arg, nbytes);
}

static int copy_data(struct copy *copy, uint64_t offset, uint64_t end)
{
	if (copy->dry_run) {
		copy->copied += end - offset;
		tick(copy, end - offset);
		return 0;
	}
	while (offset < end) {
		size_t n = end - offset < COPY_BUFFER ? (size_t)(end - offset) : COPY_BUFFER;
		ssize_t got;
		int r;

		if (stop_signal())
			return -ECANCELED;
		got = source_image_read(copy->source, copy->buffer, n, offset);
		if (got < 0)
			return failed(copy, (int)got, "read", true, offset);
		r = write_all(copy, copy->buffer, (size_t)got, offset);
		if (r < 0)
			return r;
		copy->copied += (size_t)got;
		tick(copy, (size_t)got);
		offset += (size_t)got;
		source_image_release(copy->source, offset);
		if ((size_t)got < n) { /* it was truncated while we read */
			r = zero_range(copy, offset, end);
			tick(copy, end - offset);
			return r;
		}
	}
	return 0;
}

int copy_range(struct copy *copy, uint64_t offset, uint64_t nbytes)
{
	uint64_t end = offset + nbytes, first, last;
	int r;

	while ((r = source_image_next_data(copy->source, offset, end, &first, &last)) > 0) {
		if (first > offset) {
			r = zero_range(copy, offset, first);
			if (r < 0)
				return r;
			tick(copy, first - offset);
		}
		r = copy_data(copy, first, last);
		if (r < 0)
			return r;
		offset = last;
	}
	if (r < 0)
		return failed(copy, r, "seek in", true, offset);
	r = offset < end ? zero_range(copy, offset, end) : 0;
	if (r == 0)
		tick(copy, end - offset);
	return r;
}
