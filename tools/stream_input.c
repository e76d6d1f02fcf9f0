/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_input.c - bytes from a descriptor, one after the other */
#include "config.h"

#include "tools/stream_input.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_NBYTES ((size_t)64 << 10)

int stream_input_init(struct stream_input *input, int fd)
{
	*input = (struct stream_input){ .fd = fd, .buf = malloc(BUFFER_NBYTES) };
	return input->buf ? 0 : -ENOMEM;
}

void stream_input_destroy(struct stream_input *input)
{
	free(input->buf);
	input->buf = NULL;
}

static ssize_t read_some(int fd, void *buf, size_t nbytes)
{
	ssize_t n;

	do
		n = read(fd, buf, nbytes);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static size_t take_buffered(struct stream_input *input, uint8_t *ret, size_t nbytes)
{
	size_t n = input->used - input->next;

	if (n > nbytes)
		n = nbytes;
	memcpy(ret, input->buf + input->next, n);
	input->next += n;
	return n;
}

int64_t stream_input_read(struct stream_input *input, void *ret, size_t nbytes)
{
	uint8_t *at = ret;
	size_t done = take_buffered(input, at, nbytes);

	while (done < nbytes) {
		bool direct = nbytes - done >= BUFFER_NBYTES;
		ssize_t n = direct ? read_some(input->fd, at + done, nbytes - done)
				   : read_some(input->fd, input->buf, BUFFER_NBYTES);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		if (direct) {
			done += (size_t)n;
		} else {
			input->next = 0;
			input->used = (size_t)n;
			done += take_buffered(input, at + done, nbytes - done);
		}
	}
	input->pos += done;
	return (int64_t)done;
}
