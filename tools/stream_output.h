/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_output.h - bytes to a descriptor, one after the other
 *
 * To a file, if they are many, past the page cache and by several threads: an update's journal is
 * as large as what has changed.  To anything else with write(2).  Internal to stream_*.c.
 */
#ifndef TOOLS_STREAM_OUTPUT_H
#define TOOLS_STREAM_OUTPUT_H

#include "tools/copy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pieces but the last one are best multiples of this. */
#define STREAM_OUTPUT_ALIGN DIRECT_ALIGN

struct stream_output {
	int fd;	       /* borrowed */
	uint64_t pos;  /* in the file, if it is one */
	uint64_t room; /* up to there the file has got space */
	bool is_file;
	struct copy copy; /* ring: NULL until it is worth it */
};

/* one_by_one: with write(2) in any case. */
void stream_output_init(struct stream_output *output, int fd, bool one_by_one);

/* What is under way is waited for, whatever comes of it. */
void stream_output_destroy(struct stream_output *output);

/* 0 or an error of write(2), which may be that of an earlier piece. */
int stream_output_write(struct stream_output *output, const void *buf, size_t nbytes);

/* All of it is written, and fd stands behind it.  Errors as above. */
int stream_output_end(struct stream_output *output);

#endif
