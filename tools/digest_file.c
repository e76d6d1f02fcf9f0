/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest_file.c - gives a digester all of a file, data as data, holes as holes */
#include "config.h"

#include "tools/digest_file.h"
#include "tools/holes.h"
#include "tools/stop.h"

#include "bitmapfile/io.h"

#include <errno.h>
#include <sys/stat.h>

static void advance(struct digest_file *file, uint64_t nbytes)
{
	file->offset += nbytes;
	if (file->tick)
		file->tick(file->tick_arg, nbytes);
}

static int give_data(struct digest_file *file, struct digester *digester, uint64_t end)
{
	while (file->offset < end) {
		uint64_t left = end - file->offset;
		size_t n = left < DIGEST_FILE_BUFFER ? (size_t)left : DIGEST_FILE_BUFFER;
		ssize_t got = bmf_io_posix.pread(&bmf_io_posix, file->fd, file->buffer, n,
						 (off_t)file->offset);
		int r;

		if (stop_signal())
			return -ECANCELED;
		if (got < 0)
			return (int)got;
		if ((size_t)got < n)
			return -ESTALE;
		r = digester_data(digester, file->buffer, n, file->offset);
		if (r < 0)
			return r;
		advance(file, n);
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
