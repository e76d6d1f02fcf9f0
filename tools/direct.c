/* SPDX-License-Identifier: GPL-2.0-or-later */
/* direct.c - reads and writes a file past the page cache, where that can be */
#include "config.h"

#include "tools/beneath.h"
#include "tools/direct.h"

#include "bitmapfile/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void direct_open(struct direct *direct, int fd, int flags)
{
	direct->fd = fd;
	direct->direct_fd = beneath_reopen(fd, flags | O_DIRECT);
	atomic_init(&direct->off, direct->direct_fd < 0);
}

void direct_open_quietly(struct direct *direct, int fd)
{
	direct_open(direct, fd, O_RDONLY | O_NOATIME);
	if (direct_is_cached(direct)) /* only the owner may ask for that */
		direct_open(direct, fd, O_RDONLY);
}

void direct_open_cached(struct direct *direct, int fd)
{
	direct->fd = fd;
	direct->direct_fd = -1;
	atomic_init(&direct->off, 1);
}

void direct_close(struct direct *direct)
{
	if (direct->direct_fd >= 0)
		close(direct->direct_fd);
	direct->fd = direct->direct_fd = -1;
}

void *direct_buffer(size_t nbytes)
{
	return aligned_alloc(DIRECT_ALIGN, nbytes);
}

static bool is_aligned(const void *buf, uint64_t offset)
{
	return (((uintptr_t)buf | offset) & (DIRECT_ALIGN - 1)) == 0;
}

bool direct_is_cached(const struct direct *direct)
{
	return atomic_load_explicit(&direct->off, memory_order_relaxed) != 0;
}

bool direct_is_refused(struct direct *direct, ssize_t r)
{
	if (r != -EINVAL && r != -EOPNOTSUPP && r != -ENOTBLK)
		return false;
	atomic_store_explicit(&direct->off, 1, memory_order_relaxed);
	return true;
}

/* As far as it goes: a read that ends in the middle of a block can't be gone on with. */
static ssize_t read_direct(int fd, char *buf, size_t nbytes, uint64_t offset)
{
	size_t done = 0;

	do {
		ssize_t n = pread(fd, buf + done, nbytes - done, (off_t)(offset + done));

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n < 0 ? 0 : (size_t)n;
	} while (done < nbytes && (done & (DIRECT_ALIGN - 1)) == 0);
	return (ssize_t)done;
}

int direct_fd_for(const struct direct *direct, const void *buf, uint64_t offset)
{
	return direct_is_cached(direct) || !is_aligned(buf, offset) ? -1 : direct->direct_fd;
}

ssize_t direct_read(struct direct *direct, void *buf, size_t nbytes, uint64_t offset)
{
	const struct bmf_io *io = &bmf_io_posix;
	size_t whole = direct_whole(nbytes);
	int fd = direct_fd_for(direct, buf, offset);
	ssize_t r = -EINVAL;

	if (fd >= 0)
		r = read_direct(fd, buf, whole, offset);
	if (fd >= 0 && !direct_is_refused(direct, r) && (r < 0 || r >= (ssize_t)nbytes))
		return r < 0 ? r : (ssize_t)nbytes;
	/* fewer: it ends there, or its filesystem gave less than it has, as those of FUSE may */
	return io->pread(io, direct->fd, buf, nbytes, (off_t)offset);
}

int direct_write(struct direct *direct, const void *buf, size_t nbytes, uint64_t offset)
{
	const struct bmf_io *io = &bmf_io_posix;
	int fd = direct_fd_for(direct, buf, offset);
	size_t whole = fd < 0 ? 0 : nbytes & ~(DIRECT_ALIGN - 1);
	ssize_t r = 0;

	if (whole > 0)
		r = io->pwrite(io, fd, buf, whole, (off_t)offset);
	if (direct_is_refused(direct, r))
		r = (ssize_t)(whole = 0);
	return r < 0 ? (int)r : direct_write_tail(direct, buf, nbytes, offset, whole);
}

int direct_write_tail(struct direct *direct, const void *buf, size_t nbytes, uint64_t offset,
		      size_t done)
{
	const struct bmf_io *io = &bmf_io_posix;
	ssize_t r = 0;

	if (done < nbytes)
		r = io->pwrite(io, direct->fd, (const char *)buf + done, nbytes - done,
			       (off_t)(offset + done));
	return r < 0 ? (int)r : 0;
}
