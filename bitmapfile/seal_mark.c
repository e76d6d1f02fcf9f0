/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal_mark.c - the mark of a source that was switched over
 *
 * The body of the document, version 1: replica (UUID), checkpoint (8 bytes and a UUID), time
 * (8 bytes, ns since 1970), label (string).
 */
#include "config.h"

#include "bitmapfile/seal_mark.h"

#include "bitmapfile/doc.h"
#include "bitmapfile/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "MFSSEALD"
#define VERSION 1
#define LIMIT (BMF_DOC_STRING_MAX + 4096)

static int open_state_dir(const struct bmf_io *io, int source_fd)
{
	return io->openat(io, source_fd, BMF_STATE_DIR,
			  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

static int decode(const void *buf, size_t nbytes, struct bmf_seal *ret, struct bmf_error *err)
{
	struct bmf_seal seal;
	struct bmf_doc_reader r;
	int error;

	error = bmf_doc_open(&r, buf, nbytes, BMF_SEAL_NAME, MAGIC, VERSION, 0, err);
	if (error < 0)
		return error;
	seal.replica = bmf_doc_get_uuid(&r);
	seal.number = bmf_doc_get_u64(&r);
	seal.checkpoint = bmf_doc_get_uuid(&r);
	seal.time_ns = (int64_t)bmf_doc_get_u64(&r);
	seal.label = bmf_doc_get_string(&r);
	error = bmf_doc_end(&r);
	if (error < 0) {
		free(seal.label);
		return bmf_error_set(err, error,
				     "read '" BMF_SEAL_NAME "': its content makes no sense");
	}
	*ret = seal;
	return 0;
}

int bmf_seal_load(const struct bmf_io *io, int source_fd, struct bmf_seal *ret,
		  struct bmf_error *err)
{
	size_t nbytes;
	void *buf;
	int r, dirfd = open_state_dir(io, source_fd);

	if (dirfd == -ENOENT)
		return dirfd; /* no source, and so none that was switched over */
	if (dirfd < 0)
		return bmf_error_set(err, dirfd, "open '" BMF_STATE_DIR "': %s",
				     bmf_errno_text(dirfd));
	r = bmf_io_read_file(io, dirfd, BMF_SEAL_NAME, LIMIT, &buf, &nbytes);
	io->close(io, dirfd);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return bmf_error_set(err, r, "read '" BMF_SEAL_NAME "': %s", bmf_errno_text(r));
	r = decode(buf, nbytes, ret, err);
	free(buf);
	return r;
}

/* Not durable is as good as not there, so that nobody relies on it. */
static int replace(const struct bmf_io *io, int dirfd, const void *buf, size_t nbytes)
{
	int r = bmf_io_replace_file(io, dirfd, BMF_SEAL_NAME, buf, nbytes, true, NULL);

	if (r < 0 && io->unlinkat(io, dirfd, BMF_SEAL_NAME, 0) == 0)
		io->fsync(io, dirfd);
	return r;
}

int bmf_seal_save(const struct bmf_io *io, int source_fd, const struct bmf_seal *seal)
{
	struct bmf_doc_writer w;
	size_t nbytes;
	void *buf;
	int r, dirfd;

	bmf_doc_begin(&w, MAGIC, VERSION, 0);
	bmf_doc_put_uuid(&w, &seal->replica);
	bmf_doc_put_u64(&w, seal->number);
	bmf_doc_put_uuid(&w, &seal->checkpoint);
	bmf_doc_put_u64(&w, (uint64_t)seal->time_ns);
	bmf_doc_put_string(&w, seal->label);
	r = bmf_doc_finish(&w, &buf, &nbytes);
	if (r < 0)
		return r;
	dirfd = open_state_dir(io, source_fd);
	r = dirfd < 0 ? dirfd : replace(io, dirfd, buf, nbytes);
	if (dirfd >= 0)
		io->close(io, dirfd);
	free(buf);
	return r;
}

int bmf_seal_remove(const struct bmf_io *io, int source_fd)
{
	int r, flushed = 0, dirfd = open_state_dir(io, source_fd);

	if (dirfd < 0)
		return dirfd;
	r = io->unlinkat(io, dirfd, BMF_SEAL_NAME, 0);
	if (r == 0 || r == -ENOENT) /* who removed it may not have got further */
		flushed = io->fsync(io, dirfd);
	io->close(io, dirfd);
	return flushed < 0 ? flushed : r;
}

void bmf_seal_destroy(struct bmf_seal *seal)
{
	free(seal->label);
	seal->label = NULL;
}
