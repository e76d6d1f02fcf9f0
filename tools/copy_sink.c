/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy_sink.c - the sinks of copy.h: a file, and nowhere */
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

/* ---- a file ---- */

static int write_all(struct copy *copy, const void *data, size_t nbytes, uint64_t offset)
{
	const char *buf = data;
	size_t done = 0;

	while (done < nbytes) {
		ssize_t n =
			pwrite(copy->dest_fd, buf + done, nbytes - done, (off_t)(offset + done));

		if (n < 0 && errno != EINTR)
			return copy_failed(copy, -errno, "write", false, offset + done);
		if (n == 0)
			return copy_failed(copy, -EIO, "write", false, offset + done);
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

static int punch(struct copy *copy, uint64_t offset, uint64_t end)
{
	if (fallocate(copy->dest_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)(end - offset)) == 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return write_zeros(copy, offset, end);
	return copy_failed(copy, -errno, "punch hole in", false, offset);
}

/* Only touches what holds data; zero is NULL where nothing is to be changed. */
static int each_data(struct copy *copy, uint64_t offset, uint64_t end,
		     int (*zero)(struct copy *copy, uint64_t offset, uint64_t end))
{
	uint64_t first, last;
	int r;

	if (copy->dest_fd < 0)
		return 0;
	while ((r = holes_next_data(copy->dest_fd, offset, end, &first, &last)) > 0) {
		r = zero ? zero(copy, first, last) : 0;
		if (r < 0)
			return r;
		copy->zeroed += last - first;
		offset = last;
	}
	return r < 0 ? copy_failed(copy, r, "seek in", false, offset) : 0;
}

static int zeros_to_file(struct copy *copy, uint64_t offset, uint64_t end)
{
	return each_data(copy, offset, end, punch);
}

const struct copy_sink copy_to_file = { .data = write_all, .zeros = zeros_to_file };

/* ---- nowhere ---- */

static int count_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	return each_data(copy, offset, end, NULL);
}

const struct copy_sink copy_to_nowhere = { .data = NULL, .zeros = count_zeros };
