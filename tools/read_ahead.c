/* SPDX-License-Identifier: GPL-2.0-or-later */
/* read_ahead.c - a file from some place to its end, many pieces of it at a time, given in order */
#include "config.h"

#include "tools/copy_ring.h"
#include "tools/read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

/* As threads: so many requests are enough for what lies in order. */
#define THREADS 4

struct read_ahead {
	struct copy copy;
	struct source_image image;
	uint64_t next, size; /* of what isn't under way */
	const void *buf;     /* of the piece that was finished last */
	size_t nbytes;
};

static int take(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset)
{
	struct read_ahead *ahead = copy->sink_arg;

	(void)offset;
	ahead->buf = buf;
	ahead->nbytes = nbytes;
	return 0;
}

/* It ends earlier than it did when we looked. */
static int take_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	struct read_ahead *ahead = copy->sink_arg;

	(void)offset;
	(void)end;
	ahead->next = ahead->size;
	return 0;
}

static const struct copy_sink to_reader = { .data = take, .zeros = take_zeros };

int read_ahead_new(int fd, uint64_t offset, struct read_ahead **ret)
{
	struct read_ahead *ahead = calloc(1, sizeof(*ahead));
	struct stat st;
	int r;

	if (!ahead)
		return -ENOMEM;
	r = fstat(fd, &st) < 0 ? -errno : copy_ring_new(THREADS, &ahead->copy.ring);
	if (r < 0) {
		free(ahead);
		return r;
	}
	ahead->image.fd = ahead->image.file_fd = fd;
	direct_open(&ahead->image.direct, fd, O_RDONLY);
	ahead->copy.source = &ahead->image;
	ahead->copy.sink = &to_reader;
	ahead->copy.sink_arg = ahead;
	ahead->next = offset;
	ahead->size = (uint64_t)st.st_size;
	*ret = ahead;
	return 0;
}

void read_ahead_free(struct read_ahead *ahead)
{
	if (!ahead)
		return;
	while (copy_ring_drain(ahead->copy.ring) < 0)
		;
	direct_close(&ahead->image.direct);
	copy_ring_free(ahead->copy.ring);
	free(ahead);
}

/* As many as there is room for: what was given last is done with. */
static int top_up(struct read_ahead *ahead)
{
	while (ahead->next < ahead->size && !copy_ring_is_full(ahead->copy.ring)) {
		uint64_t left = ahead->size - ahead->next;
		size_t nbytes = left < COPY_PIECE ? (size_t)left : COPY_PIECE;
		int r = copy_ring_read(&ahead->copy, ahead->next, nbytes);

		if (r < 0)
			return r;
		ahead->next += nbytes;
	}
	return 0;
}

ssize_t read_ahead_next(struct read_ahead *ahead, const void **ret)
{
	int r = top_up(ahead);

	ahead->nbytes = 0;
	if (r == 0)
		r = copy_ring_finish(ahead->copy.ring);
	if (r < 0) {
		ahead->next = ahead->size; /* nothing is given after a gap */
		return r;
	}
	*ret = ahead->buf;
	return (ssize_t)ahead->nbytes;
}
