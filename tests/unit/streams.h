/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * streams.h - delta streams for tests: samples, random ones, and what is in them as text
 *
 * What was written and what is read are compared as text, one line a record.
 */
#ifndef TESTS_UNIT_STREAMS_H
#define TESTS_UNIT_STREAMS_H

#include "tests/unit/rng.h"

#include "tools/stream.h"

#include <stddef.h>
#include <stdint.h>

struct streams_file {
	bool journal;
	uint8_t *bytes;
	size_t nbytes;
	char *text; /* what was put into it */
};

void streams_file_free(struct streams_file *file);

struct stream_header streams_header(bool journal);

/* One record of every kind, every field with a value of its own; about 1 KiB. */
struct streams_file streams_sample(bool journal, unsigned int flags);

/* Of zeros and text, so that zstd has something to do. */
struct streams_file streams_packed_sample(unsigned int flags);

struct streams_file streams_random(struct rng *rng);

/* Writes the sample to fd.  What the writer says. */
int streams_write_sample(int fd, bool journal, unsigned int flags);

/* A descriptor of a file in memory that has those bytes, at its beginning. */
int streams_fd(const void *bytes, size_t nbytes);

/* Reads all of fd: what is in it as text, that the caller frees; or NULL, and what stream_next
 * says. */
char *streams_read(int fd, bool journal, int *ret, struct bmf_error *err);

/* The same of bytes in memory, through stream_verify: its result. */
int streams_verify(const void *bytes, size_t nbytes, bool journal, struct bmf_error *err);

#endif
