/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_reader.h - a reader of delta streams, as stream_read.c and stream_decode.c share it */
#ifndef TOOLS_STREAM_READER_H
#define TOOLS_STREAM_READER_H

#include "tools/stream_format.h"
#include "tools/stream_input.h"
#include "tools/stream_rules.h"

#include <zstd.h>

struct stream_reader {
	struct stream_input input;
	char *name; /* for messages */
	struct stream_rules rules;
	bool ended; /* by the footer, or a failure */
	uint64_t nrecords;
	/* the record: head, payload, check; and what its payload is made into */
	uint8_t *record;
	size_t room;
	enum stream_type type;
	size_t payload_nbytes;
	uint64_t offset;
	uint8_t *unpacked;    /* STREAM_EXTENT_MAX; NULL until it is needed */
	struct xattr *xattrs; /* of the last node */
	size_t xattrs_room;
	XXH3_state_t *digest;  /* of the stream */
	XXH3_state_t *content; /* of the content's records */
	ZSTD_DCtx *zstd;
};

/*
 * Makes fields of reader->record, which is of a known type and length, and asks the rules whether
 * they may come here.  What *ret points to is the reader's.  0; -EBADMSG with the fault in *why; or
 * an error of memory or of reading.
 */
int stream_decode(struct stream_reader *reader, struct stream_record *ret, const char **why);

#endif
