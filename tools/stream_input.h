/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_input.h - bytes from a descriptor, one after the other
 *
 * Small pieces come by way of a buffer, large ones go where they are wanted.  A file that is large
 * is read ahead.  Internal to stream_*.c.
 */
#ifndef TOOLS_STREAM_INPUT_H
#define TOOLS_STREAM_INPUT_H

#include "tools/read_ahead.h"

#include <stddef.h>
#include <stdint.h>

struct stream_input {
	int fd;			  /* borrowed */
	struct read_ahead *ahead; /* NULL: it isn't worth it, or can't be */
	uint8_t *buf;		  /* NULL if ahead */
	const uint8_t *at;
	size_t left;  /* from there */
	uint64_t pos; /* of what comes next, from where fd stood */
};

/* 0 or -ENOMEM. */
int stream_input_init(struct stream_input *input, int fd);
void stream_input_destroy(struct stream_input *input);

/* How many bytes were read: fewer only at the end of the file.  Or an error of read(2). */
int64_t stream_input_read(struct stream_input *input, void *ret, size_t nbytes);

#endif
