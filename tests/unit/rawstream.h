/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rawstream.h - delta streams put together by hand, right or wrong
 *
 * raw_begin, then records as they are to be, whether a writer would make them or not;
 * raw_refused_with makes the checksums right and has the stream read.
 */
#ifndef TESTS_UNIT_RAWSTREAM_H
#define TESTS_UNIT_RAWSTREAM_H

#include "tools/stream_format.h"

extern uint8_t *raw; /* the stream that is being made */
extern size_t raw_nbytes;
extern bool raw_journal;

void raw_setup(void); /* as a fixture */
void raw_teardown(void);

/* A header, and the top directory. */
void raw_begin(bool journal);
struct stream_disk_header *raw_header(void);

/* announced: the length that the head is to give */
void raw_record_announced(unsigned int type, const void *payload, size_t nbytes, size_t announced);
void raw_record(unsigned int type, const void *payload, size_t nbytes);

struct stream_node raw_make(const char *path, mode_t mode, enum stream_kind kind);
void raw_put(const struct stream_node *node);
void raw_dir(const char *path);
void raw_file(const char *path, enum stream_kind kind, off_t size);
void raw_link(const char *path);
void raw_content(uint64_t node);
void raw_stored(uint64_t offset, uint32_t nbytes, uint32_t encoding, const void *bytes,
		size_t stored_nbytes);
void raw_data(uint64_t offset, uint32_t nbytes);
void raw_zero(uint64_t offset, uint64_t nbytes);
void raw_digests(uint64_t first_block, uint32_t n, size_t there);
void raw_content_end(uint64_t size);
void raw_footer(void);

/* Fails the test unless the reader says code, and why in its text. */
void raw_refused_with(int code, const char *why);

#endif
