/* SPDX-License-Identifier: GPL-2.0-or-later */
/* read_ahead.c - a file from some place to its end, read by several threads and given in order */
#include "config.h"

#include "tools/direct.h"
#include "tools/read_ahead.h"
#include "tools/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>

#define PIECES 8
#define PIECE_NBYTES ((size_t)256 << 10)

struct piece {
	struct work work;
	struct read_ahead *ahead;
	void *buffer;
	uint64_t offset;
	ssize_t got;
};

struct read_ahead {
	struct workers *workers;
	struct direct direct;
	struct piece pieces[PIECES];
	unsigned int oldest;
	uint64_t next; /* of what isn't under way */
	bool begun;
};

static void run(struct work *work)
{
	struct piece *piece = (struct piece *)((char *)work - offsetof(struct piece, work));

	piece->got = direct_read(&piece->ahead->direct, piece->buffer, PIECE_NBYTES, piece->offset);
}

static void start(struct read_ahead *ahead, struct piece *piece)
{
	piece->offset = ahead->next;
	ahead->next += PIECE_NBYTES;
	workers_start(ahead->workers, &piece->work);
}

int read_ahead_new(int fd, uint64_t offset, struct read_ahead **ret)
{
	struct read_ahead *ahead = calloc(1, sizeof(*ahead));
	int r;

	if (!ahead)
		return -ENOMEM;
	ahead->next = offset;
	r = workers_new(PIECES, &ahead->workers);
	for (int i = 0; r == 0 && i < PIECES; i++) {
		ahead->pieces[i] = (struct piece){ .work.run = run,
						   .ahead = ahead,
						   .buffer = direct_buffer(PIECE_NBYTES) };
		if (!ahead->pieces[i].buffer)
			r = -ENOMEM;
	}
	direct_open(&ahead->direct, fd, O_RDONLY);
	if (r < 0) {
		read_ahead_free(ahead);
		return r;
	}
	*ret = ahead;
	return 0;
}

void read_ahead_free(struct read_ahead *ahead)
{
	if (!ahead)
		return;
	/* all but the one that was given last */
	for (unsigned int i = ahead->begun ? 1 : PIECES; i < PIECES; i++)
		workers_wait(ahead->workers, &ahead->pieces[(ahead->oldest + i) % PIECES].work);
	workers_free(ahead->workers);
	direct_close(&ahead->direct);
	for (int i = 0; i < PIECES; i++)
		free(ahead->pieces[i].buffer);
	free(ahead);
}

ssize_t read_ahead_next(struct read_ahead *ahead, const void **ret)
{
	struct piece *piece = &ahead->pieces[ahead->oldest];

	if (!ahead->begun) {
		for (int i = 0; i < PIECES; i++)
			start(ahead, &ahead->pieces[i]);
		ahead->begun = true;
	} else {
		start(ahead, piece);
		ahead->oldest = (ahead->oldest + 1) % PIECES;
		piece = &ahead->pieces[ahead->oldest];
	}
	workers_wait(ahead->workers, &piece->work);
	*ret = piece->buffer;
	return piece->got;
}
