/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_input.c - bytes from a descriptor, one after the other */
#include "config.h"

#include "tools/direct.h"
#include "tools/pace.h"
#include "tools/stream_input.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_NBYTES ((size_t)64 << 10)

/* Below that, threads cost more than they bring. */
#define AHEAD_FROM_NBYTES ((off_t)1 << 20)

/* Is it a file, with so much left that it is read ahead? */
static bool is_large(int fd, off_t pos)
{
	struct stat st;

	return pos >= 0 && pos % (off_t)DIRECT_ALIGN == 0 && fstat(fd, &st) == 0 &&
	       S_ISREG(st.st_mode) && st.st_size - pos >= AHEAD_FROM_NBYTES;
}

int stream_input_init(struct stream_input *input, int fd)
{
	off_t pos = lseek(fd, 0, SEEK_CUR);

	*input = (struct stream_input){ .fd = fd };
	if (is_large(fd, pos))
		return read_ahead_new(fd, (uint64_t)pos, &input->ahead);
	input->buf = malloc(BUFFER_NBYTES);
	return input->buf ? 0 : -ENOMEM;
}

void stream_input_destroy(struct stream_input *input)
{
	read_ahead_free(input->ahead);
	free(input->buf);
	*input = (struct stream_input){ .fd = -1 };
}

static ssize_t read_some(int fd, void *buf, size_t nbytes)
{
	ssize_t n;

	do
		n = read(fd, buf, nbytes);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		pace_read((uint64_t)n);
	return n < 0 ? -errno : n;
}

/* Something to take from: how much, 0 at the end. */
static ssize_t fill(struct stream_input *input)
{
	const void *at = input->buf;
	ssize_t n = input->ahead ? read_ahead_next(input->ahead, &at)
				 : read_some(input->fd, input->buf, BUFFER_NBYTES);

	input->at = at;
	input->left = n > 0 ? (size_t)n : 0;
	return n;
}

static size_t take(struct stream_input *input, uint8_t *ret, size_t nbytes)
{
	size_t n = input->left < nbytes ? input->left : nbytes;

	if (n == 0)
		return 0; /* there may have been nothing yet */
	memcpy(ret, input->at, n);
	input->at += n;
	input->left -= n;
	return n;
}

int64_t stream_input_read(struct stream_input *input, void *ret, size_t nbytes)
{
	uint8_t *at = ret;
	size_t done = take(input, at, nbytes);

	while (done < nbytes) {
		bool straight = !input->ahead && nbytes - done >= BUFFER_NBYTES;
		ssize_t n = straight ? read_some(input->fd, at + done, nbytes - done) : fill(input);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += straight ? (size_t)n : take(input, at + done, nbytes - done);
	}
	input->pos += done;
	return (int64_t)done;
}
