/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_stream.c - whatever a delta stream says, it is read or refused
 *
 * The first byte of an input decides whether its checksums are made right (or hardly any
 * would come past them) and whether a journal is expected; the rest is the stream.  What the
 * reader accepts the writer must accept too, record by record: both keep the same rules.
 */
#include "config.h"

#include "tests/unit/streamseal.h"

#include "tools/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEALED 1
#define JOURNAL 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

static void expect(bool what)
{
	if (!what)
		abort();
}

static int memory_file(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	expect(fd >= 0);
	return fd;
}

static int write_record(struct stream_writer *w, const struct stream_record *record)
{
	switch (record->type) {
	case STREAM_NODE:
		return stream_put_node(w, &record->node);
	case STREAM_LINK:
		return stream_put_link(w, record->link.path);
	case STREAM_CONTENT:
		return stream_begin_content(w, record->content.node);
	case STREAM_DATA:
		return stream_put_data(w, record->data.offset, record->data.bytes,
				       record->data.nbytes);
	case STREAM_ZERO:
		return stream_put_zero(w, record->zero.offset, record->zero.nbytes);
	case STREAM_DIGESTS:
		return stream_put_digests(w, record->digests.first_block, record->digests.bytes,
					  record->digests.n);
	case STREAM_CONTENT_END:
		return stream_end_content(w);
	case STREAM_FOOTER:
		return stream_finish(w, NULL);
	}
	return -EINVAL;
}

/* Reads all, and writes what comes to copy_fd.  True if the whole stream was accepted. */
static bool copy(int fd, const struct stream_expect *expected, int copy_fd)
{
	struct stream_record record = { 0 };
	struct stream_reader *reader;
	struct stream_writer *w;
	struct bmf_error err = { 0 };
	int r = stream_reader_open(fd, expected, &reader, &err);

	if (r < 0) {
		expect(err.code == r && *err.text);
		return false;
	}
	expect(stream_writer_new(copy_fd, stream_reader_header(reader), STREAM_NO_ZSTD, &w) == 0);
	while (record.type != STREAM_FOOTER) {
		r = stream_next(reader, &record, &err);
		if (r < 0)
			break;
		expect(write_record(w, &record) == 0);
	}
	if (r < 0)
		expect(err.code == r && (r == -EBADMSG || r == -ENOMEM) && *err.text);
	stream_writer_free(w);
	stream_reader_close(reader);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
	static int fd = -1, copy_fd = -1;
	struct stream_expect expected = { .name = "'fuzz'" };
	uint8_t *bytes;

	if (nbytes == 0)
		return 0;
	if (fd < 0) {
		fd = memory_file();
		copy_fd = memory_file();
	}
	expected.journal = data[0] & JOURNAL;
	bytes = malloc(nbytes);
	memcpy(bytes, data + 1, nbytes - 1);
	if (data[0] & SEALED)
		streamseal(bytes, nbytes - 1);
	expect(ftruncate(fd, 0) == 0 && ftruncate(copy_fd, 0) == 0);
	expect(pwrite(fd, bytes, nbytes - 1, 0) == (ssize_t)nbytes - 1);
	free(bytes);
	expect(lseek(fd, 0, SEEK_SET) == 0 && lseek(copy_fd, 0, SEEK_SET) == 0);
	if (copy(fd, &expected, copy_fd)) {
		expect(lseek(copy_fd, 0, SEEK_SET) == 0);
		expect(stream_verify(copy_fd, &expected, NULL, NULL, NULL) == 0);
	}
	return 0;
}
