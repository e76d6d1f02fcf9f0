/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file.c - reads and replaces small files as a whole, on any io table
 *
 * Replacing keeps this order, on which every document's safety rests (I1, I5):
 * content durable, then rename, then the directory durable.  So whatever a crash
 * leaves, the name leads to one complete document, the old or the new.
 */
#include "config.h"

#include "bitmapfile/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* What can be read as a file: anything else says why not. */
static int check_regular(mode_t mode)
{
	if (S_ISDIR(mode))
		return -EISDIR;
	return S_ISREG(mode) ? 0 : -EINVAL;
}

/*
 * Reads to the end of the file.  The size that fstat gave is only where to
 * begin: one byte more is asked for, to see the end.
 */
static int read_all(const struct bmf_io *io, int fd, size_t expected, size_t limit, void **ret_buf,
		    size_t *ret_nbytes)
{
	size_t capacity = expected + 1, done = 0;
	uint8_t *buf = NULL, *bigger;
	ssize_t got;

	for (;;) {
		bigger = realloc(buf, capacity);
		if (!bigger) {
			free(buf);
			return -ENOMEM;
		}
		buf = bigger;
		got = io->pread(io, fd, buf + done, capacity - done, (off_t)done);
		if (got < 0) {
			free(buf);
			return (int)got;
		}
		done += (size_t)got;
		if (done < capacity)
			break;
		if (done > limit) {
			free(buf);
			return -EFBIG;
		}
		/* it grew meanwhile, or has no size, like a file in /proc */
		capacity = capacity > limit / 2 ? limit + 1 : capacity * 2;
	}
	*ret_buf = buf;
	*ret_nbytes = done;
	return 0;
}

int bmf_io_read_file(const struct bmf_io *io, int dirfd, const char *name, size_t limit,
		     void **ret_buf, size_t *ret_nbytes)
{
	struct stat st;
	int fd, r;

	if (limit > SSIZE_MAX)
		limit = SSIZE_MAX;
	/* O_NONBLOCK: a fifo in the file's place must not stop us for ever */
	fd = io->openat(io, dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return fd;
	r = io->fstat(io, fd, &st);
	if (r == 0)
		r = check_regular(st.st_mode);
	if (r == 0 && (uintmax_t)st.st_size > limit)
		r = -EFBIG;
	if (r == 0)
		r = read_all(io, fd, (size_t)st.st_size, limit, ret_buf, ret_nbytes);
	io->close(io, fd);
	return r;
}

/*
 * A new file, and never one that is there: a leftover could be a hard link to
 * something, or have another mode.
 */
static int open_temp(const struct bmf_io *io, int dirfd, const char *temp)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
	int fd, r;

	fd = io->openat(io, dirfd, temp, flags, 0600);
	if (fd != -EEXIST)
		return fd;
	r = io->unlinkat(io, dirfd, temp, 0);
	if (r < 0 && r != -ENOENT)
		return r;
	return io->openat(io, dirfd, temp, flags, 0600);
}

/* Gives the temporary file its content, durably.  *fd is closed on failure. */
static int fill_temp(const struct bmf_io *io, int *fd, const void *buf, size_t nbytes,
		     bool keep_open)
{
	ssize_t put = io->pwrite(io, *fd, buf, nbytes, 0);
	int r = put < 0 ? (int)put : io->fsync(io, *fd);
	int closed;

	if (r == 0 && keep_open)
		return 0;
	closed = io->close(io, *fd);
	*fd = -1;
	return r < 0 ? r : closed;
}

static int publish_temp(const struct bmf_io *io, int dirfd, const char *temp, const char *name,
			const void *buf, size_t nbytes, bool keep_open, int *ret_fd)
{
	int fd, r;

	fd = open_temp(io, dirfd, temp);
	if (fd < 0)
		return fd;
	r = fill_temp(io, &fd, buf, nbytes, keep_open);
	if (r == 0)
		r = io->renameat(io, dirfd, temp, dirfd, name);
	if (r < 0) {
		if (fd >= 0)
			io->close(io, fd);
		io->unlinkat(io, dirfd, temp, 0);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int bmf_io_replace_file(const struct bmf_io *io, int dirfd, const char *name, const void *buf,
			size_t nbytes, bool sync_name, int *ret_fd)
{
	char temp[NAME_MAX + 1];
	int length, fd = -1, r;

	length = snprintf(temp, sizeof(temp), "%s%s", name, BMF_TEMP_SUFFIX);
	if (length < 0 || (size_t)length >= sizeof(temp))
		return -ENAMETOOLONG;
	r = publish_temp(io, dirfd, temp, name, buf, nbytes, ret_fd != NULL, &fd);
	if (r < 0)
		return r;
	if (sync_name)
		r = io->fsync(io, dirfd);
	if (r < 0) {
		if (fd >= 0)
			io->close(io, fd);
		return r;
	}
	if (ret_fd)
		*ret_fd = fd;
	return 0;
}
