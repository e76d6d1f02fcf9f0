/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sessions.c - the sessions file: two copies of one small document, written in turn */
#include "config.h"

#include "bitmapfile/sessions.h"

#include "bitmapfile/doc.h"
#include "bitmapfile/store_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = { 'M', 'F', 'S', 'S', 'E', 'S', 'S', 'N' };

#define VERSION 1
#define INCOMPAT_KNOWN 0

/* Each copy is one sector, in a page of its own. */
#define COPY_NBYTES 512
#define COPY_DISTANCE 4096
#define FILE_NBYTES (COPY_DISTANCE + COPY_NBYTES)

static_assert(64 + 8 + 4 + BMF_SESSIONS_MAX * 16 + 4 == COPY_NBYTES, "a copy fills its sector");

static int encode(const struct bmf_sessions *sessions, uint8_t ret[COPY_NBYTES])
{
	struct bmf_doc_writer w;
	size_t nbytes;
	void *buf;
	int r;

	bmf_doc_begin(&w, magic, VERSION, 0);
	bmf_doc_put_u64(&w, sessions->sequence);
	bmf_doc_put_u32(&w, (uint32_t)sessions->n);
	for (size_t i = 0; i < BMF_SESSIONS_MAX; i++) {
		const struct bmf_session none = { 0 };
		const struct bmf_session *s = i < sessions->n ? &sessions->list[i] : &none;

		bmf_doc_put_u64(&w, s->id);
		bmf_doc_put_u64(&w, (uint64_t)s->until_ns);
	}
	bmf_doc_put_u32(&w, 0);
	r = bmf_doc_finish(&w, &buf, &nbytes);
	if (r < 0)
		return r;
	assert(nbytes == COPY_NBYTES);
	memcpy(ret, buf, COPY_NBYTES);
	free(buf);
	return 0;
}

static int decode(const uint8_t *buf, struct bmf_sessions *ret)
{
	struct bmf_sessions sessions = { 0 };
	struct bmf_doc_reader reader;
	int r = bmf_doc_open(&reader, buf, COPY_NBYTES, BMF_SESSIONS_NAME, magic, VERSION,
			     INCOMPAT_KNOWN, NULL);

	if (r < 0)
		return r;
	sessions.sequence = bmf_doc_get_u64(&reader);
	sessions.n = bmf_doc_get_u32(&reader);
	for (size_t i = 0; i < BMF_SESSIONS_MAX; i++) {
		sessions.list[i].id = bmf_doc_get_u64(&reader);
		sessions.list[i].until_ns = (int64_t)bmf_doc_get_u64(&reader);
	}
	bmf_doc_get_u32(&reader);
	r = bmf_doc_end(&reader);
	if (r < 0 || sessions.n > BMF_SESSIONS_MAX)
		return r < 0 ? r : -EBADMSG;
	*ret = sessions;
	return 0;
}

int bmf_sessions_load(const struct bmf_io *io, int dirfd, struct bmf_sessions *ret)
{
	struct bmf_sessions newest = { 0 }, found;
	uint8_t buf[FILE_NBYTES];
	ssize_t got;
	int fd;

	fd = io->openat(io, dirfd, BMF_SESSIONS_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -ENOMEM || fd == -EMFILE || fd == -ENFILE)
		return fd;
	if (fd >= 0) {
		got = io->pread(io, fd, buf, sizeof(buf), 0);
		io->close(io, fd);
		for (size_t at = 0; got == FILE_NBYTES && at < FILE_NBYTES; at += COPY_DISTANCE)
			if (decode(buf + at, &found) == 0 && found.sequence >= newest.sequence)
				newest = found;
	}
	*ret = newest;
	return 0;
}

bool bmf_sessions_vouch(const struct bmf_sessions *sessions, uint64_t id, int64_t ctime_ns)
{
	for (size_t i = 0; i < sessions->n; i++)
		if (sessions->list[i].id == id)
			return id != 0 && ctime_ns <= sessions->list[i].until_ns;
	return false;
}

void bmf_sessions_add(struct bmf_sessions *sessions, const struct bmf_session *session)
{
	if (sessions->n == BMF_SESSIONS_MAX) {
		sessions->n--;
		memmove(&sessions->list[0], &sessions->list[1],
			sessions->n * sizeof(sessions->list[0]));
	}
	sessions->list[sessions->n++] = *session;
}

static int write_copy(const struct bmf_io *io, int dirfd, const uint8_t *copy, off_t offset)
{
	int fd = io->openat(io, dirfd, BMF_SESSIONS_NAME, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	ssize_t put;
	int closed;

	if (fd < 0)
		return fd;
	put = io->pwrite_dsync(io, fd, copy, COPY_NBYTES, offset);
	closed = io->close(io, fd);
	return put < 0 ? (int)put : closed;
}

int bmf_sessions_save(const struct bmf_io *io, int dirfd, struct bmf_sessions *sessions,
		      bool create)
{
	uint8_t file[FILE_NBYTES] = { 0 };
	off_t offset;
	int r;

	sessions->sequence++;
	offset = sessions->sequence % 2 ? COPY_DISTANCE : 0;
	r = encode(sessions, file + offset);
	if (r < 0)
		return r;
	if (!create)
		return write_copy(io, dirfd, file + offset, offset);
	return bmf_io_replace_file(io, dirfd, BMF_SESSIONS_NAME, file, sizeof(file), true, NULL);
}
