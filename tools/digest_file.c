/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest_file.c - gives a digester all of a file, data as data, holes as holes */
#include "config.h"

#include "tools/digest_file.h"
#include "tools/holes.h"
#include "tools/stop.h"

#include "bitmapfile/io.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void advance(struct digest_file *file, uint64_t nbytes)
{
	file->offset += nbytes;
	if (file->tick)
		file->tick(file->tick_arg, nbytes);
}

static bool is_unreadable(ssize_t r)
{
	return r == -EIO || r == -EUCLEAN || r == -EBADMSG;
}

/* Whatever the disk gives of it; if nothing, whose block is that? */
static ssize_t read_some(struct digest_file *file, size_t nbytes)
{
	const struct bmf_io *io = &bmf_io_posix;
	ssize_t got = io->pread(io, file->fd, file->buffer, nbytes, (off_t)file->offset);
	size_t block_nbytes = (size_t)1 << file->block_shift;
	size_t rest = block_nbytes - (file->offset & (block_nbytes - 1));
	int r;

	if (!file->unreadable || !is_unreadable(got))
		return got;
	nbytes = nbytes < rest ? nbytes : rest;
	got = io->pread(io, file->fd, file->buffer, nbytes, (off_t)file->offset);
	if (!is_unreadable(got))
		return got;
	r = bmf_bits_set(file->unreadable, file->offset >> file->block_shift, 1);
	memset(file->buffer, 0, nbytes);
	return r < 0 ? r : (ssize_t)nbytes;
}

static int give_data(struct digest_file *file, struct digester *digester, uint64_t end)
{
	while (file->offset < end) {
		uint64_t left = end - file->offset;
		size_t n = left < file->buffer_nbytes ? (size_t)left : file->buffer_nbytes;
		ssize_t got = read_some(file, n);
		int r;

		if (stop_signal())
			return -ECANCELED;
		if (got <= 0)
			return got < 0 ? (int)got : -ESTALE;
		r = digester_data(digester, file->buffer, (size_t)got, file->offset);
		if (r < 0)
			return r;
		advance(file, (uint64_t)got);
	}
	return 0;
}

static int give_zeros(struct digest_file *file, struct digester *digester, uint64_t end)
{
	uint64_t nbytes = end - file->offset;
	int r = nbytes > 0 ? digester_zeros(digester, file->offset, nbytes) : 0;

	if (r == 0)
		advance(file, nbytes);
	return r;
}

int digest_file(struct digest_file *file, struct digester *digester)
{
	uint64_t there, first, end;
	struct stat st;
	int r;

	file->offset = 0;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	there = (uint64_t)st.st_size < file->size ? (uint64_t)st.st_size : file->size;
	r = digester_begin(digester, 0);
	if (r < 0)
		return r;
	while ((r = holes_next_data(file->fd, file->offset, there, &first, &end)) > 0) {
		r = give_zeros(file, digester, first);
		if (r == 0)
			r = give_data(file, digester, end);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = give_zeros(file, digester, file->size);
	return r < 0 ? r : digester_finish(digester, file->size);
}
