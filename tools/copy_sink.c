/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy_sink.c - the sinks of copy.h: a file, a new one, and nowhere */
#include "config.h"

#include "tools/copy.h"
#include "tools/holes.h"
#include "tools/stop.h"

#include <errno.h>
#include <fcntl.h>

/* Start writeback that often: the fsync at the end shall not have everything left to do. */
#define FLUSH_EVERY ((uint64_t)16 << 20)

static const _Alignas(DIRECT_ALIGN) char zeros[64 << 10];

/* ---- a file ---- */

static int write_data(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset)
{
	uint64_t unflushed;
	int r = direct_write(&copy->dest, buf, nbytes, offset);

	if (r < 0 || !direct_is_cached(&copy->dest))
		return r;
	unflushed = atomic_fetch_add(&copy->unflushed, nbytes) + nbytes;
	if (unflushed >= FLUSH_EVERY &&
	    atomic_compare_exchange_strong(&copy->unflushed, &unflushed, 0))
		/* a hint: the fsync at the end is what counts */
		sync_file_range(copy->dest.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int write_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		size_t n = end - offset < sizeof(zeros) ? (size_t)(end - offset) : sizeof(zeros);
		int r = stop_signal() ? -ECANCELED : write_data(copy, zeros, n, offset);

		if (r < 0)
			return r == -ECANCELED ? r : copy_failed(copy, r, "write", false, offset);
		offset += n;
	}
	return 0;
}

static int punch(struct copy *copy, uint64_t offset, uint64_t end)
{
	if (fallocate(copy->dest.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		      (off_t)(end - offset)) == 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return write_zeros(copy, offset, end);
	return copy_failed(copy, -errno, "punch hole in", false, offset);
}

/* Only touches what holds data in fd; zero is NULL where nothing is to be changed. */
static int each_data(struct copy *copy, int fd, uint64_t offset, uint64_t end,
		     int (*zero)(struct copy *copy, uint64_t offset, uint64_t end))
{
	uint64_t first, last;
	int r;

	if (fd < 0)
		return 0;
	while ((r = holes_next_data(fd, offset, end, &first, &last)) > 0) {
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
	return each_data(copy, copy->dest.fd, offset, end, punch);
}

const struct copy_sink copy_to_file = { .data = write_data,
					.side_by_side = true,
					.to_dest = true,
					.verb = "write",
					.zeros = zeros_to_file };

/* ---- a new file; nowhere ---- */

static int count_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	return each_data(copy, copy->old_fd, offset, end, NULL);
}

const struct copy_sink copy_to_new = { .data = write_data,
				       .side_by_side = true,
				       .to_dest = true,
				       .verb = "write",
				       .zeros = count_zeros };

static int look_only(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset)
{
	(void)copy;
	(void)buf;
	(void)nbytes;
	(void)offset;
	return 0;
}

static int skip_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	(void)copy;
	(void)offset;
	(void)end;
	return 0;
}

const struct copy_sink copy_to_digester = { .data = look_only,
					    .side_by_side = true,
					    .zeros = skip_zeros };

const struct copy_sink copy_to_nowhere = { .zeros = count_zeros };
