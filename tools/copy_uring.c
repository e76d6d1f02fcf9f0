/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy_uring.c - pieces of a copy, read and written by io_uring
 *
 * A piece is read, then written: each a request, unless the page cache is concerned (direct.h), as
 * that is done faster than asked for.  Whatever comes back unusual (refused, interrupted, short) is
 * done again by the functions that wait.
 */
#include "config.h"

#include "tools/copy_uring.h"

#include <errno.h>

#if HAVE_LIBURING

#include <liburing.h>
#include <stdlib.h>
#include <time.h>

/* Handed to the kernel at a time: fewer system calls, and the disk doesn't wait for long. */
#define BATCH 4

struct copy_uring {
	struct io_uring ring;
	unsigned int nqueued;
};

/* Older ones (to Linux 5.5) can't just read and write. */
static bool can_read_and_write(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool can = probe && io_uring_opcode_supported(probe, IORING_OP_READ) &&
		   io_uring_opcode_supported(probe, IORING_OP_WRITE);

	if (probe)
		io_uring_free_probe(probe);
	return can;
}

int copy_uring_new(size_t n, struct copy_uring **ret)
{
	struct copy_uring *uring = calloc(1, sizeof(*uring));
	int r;

	if (!uring)
		return -ENOMEM;
	r = io_uring_queue_init((unsigned int)n, &uring->ring, 0);
	if (r < 0) {
		free(uring);
		return r;
	}
	if (!can_read_and_write(&uring->ring)) {
		copy_uring_free(uring);
		return -ENOSYS;
	}
	*ret = uring;
	return 0;
}

void copy_uring_free(struct copy_uring *uring)
{
	if (!uring)
		return;
	io_uring_queue_exit(&uring->ring);
	free(uring);
}

/* There is one for each piece. */
static void queue(struct copy_uring *uring, struct copy_piece *piece, bool write, int fd, size_t n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	if (write)
		io_uring_prep_write(sqe, fd, piece->buffer, (unsigned int)n, piece->offset);
	else
		io_uring_prep_read(sqe, fd, piece->buffer, (unsigned int)n, piece->offset);
	io_uring_sqe_set_data(sqe, piece);
	piece->stage = write ? COPY_WRITING : COPY_READING;
	piece->asked = n;
	if (++uring->nqueued >= BATCH) {
		io_uring_submit(&uring->ring);
		uring->nqueued = 0;
	}
}

/*
 * While requests are on their way past the page cache, none of the blocks that they are about may
 * come into it, whole pages and blocks of the filesystem that is.  So what has to go through it is
 * written when all that comes before is done.
 */
static void be_late(struct copy_piece *piece, size_t written)
{
	piece->late = true;
	piece->asked = written;
}

static void has_read(struct copy_uring *uring, struct copy_piece *piece, ssize_t got)
{
	const struct direct *dest = &piece->copy->dest;
	size_t whole;
	int fd = -1;

	piece->stage = COPY_DONE;
	piece->late = false;
	if (!copy_has_read(piece, got))
		return;
	whole = piece->got & ~(DIRECT_ALIGN - 1);
	if (piece->copy->sink->to_dest && whole > 0)
		fd = direct_fd_for(dest, piece->buffer, piece->offset);
	if (fd >= 0)
		queue(uring, piece, true, fd, whole);
	else if (piece->copy->sink->to_dest && !direct_is_cached(dest))
		be_late(piece, 0);
	else
		copy_write(piece);
}

static bool is_unusual(struct direct *direct, int res)
{
	return direct_is_refused(direct, res) || res == -EINTR || res == -EAGAIN;
}

static void on_read(struct copy_uring *uring, struct copy_piece *piece, int res)
{
	struct source_image *source = piece->copy->source;

	/* fewer bytes: does the file end there, or has less been given than there is? */
	if (is_unusual(&source->direct, res) || (res >= 0 && (size_t)res < piece->nbytes))
		has_read(uring, piece,
			 source_image_read(source, piece->buffer, piece->nbytes, piece->offset,
					   true));
	else
		has_read(uring, piece,
			 source_image_checked(source, piece->buffer, piece->nbytes, piece->offset,
					      res));
}

static void on_written(struct copy_piece *piece, int res)
{
	struct direct *dest = &piece->copy->dest;

	piece->stage = COPY_DONE;
	if (is_unusual(dest, res) || (res >= 0 && (size_t)res < piece->asked))
		copy_write(piece);
	else if (res >= 0 && piece->asked < piece->got)
		be_late(piece, piece->asked);
	else
		copy_has_written(piece, res < 0 ? res : 0);
}

void copy_uring_start(struct copy_uring *uring, struct copy_piece *piece)
{
	struct source_image *source = piece->copy->source;
	int fd = -1;

	if (piece->kind != COPY_DATA) {
		has_read(uring, piece, (ssize_t)piece->nbytes);
		return;
	}
	if (!piece->cached)
		fd = direct_fd_for(&source->direct, piece->buffer, piece->offset);
	if (fd >= 0)
		queue(uring, piece, false, fd, direct_whole(piece->nbytes));
	else
		has_read(uring, piece,
			 source_image_read(source, piece->buffer, piece->nbytes, piece->offset,
					   piece->cached));
}

static void reap(struct copy_uring *uring)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
		struct copy_piece *piece = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&uring->ring, cqe);
		if (piece->stage == COPY_READING)
			on_read(uring, piece, res);
		else
			on_written(piece, res);
	}
}

void copy_uring_wait(struct copy_uring *uring, const struct copy_piece *piece)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	for (;;) {
		int r;

		reap(uring);
		if (piece->stage == COPY_DONE)
			return;
		r = io_uring_submit_and_wait(&uring->ring, 1);
		if (r >= 0)
			uring->nqueued = 0;
		else if (r != -EINTR)
			nanosleep(&moment, NULL); /* out of something, for the moment */
	}
}

#else

int copy_uring_new(size_t n, struct copy_uring **ret)
{
	(void)n;
	(void)ret;
	return -ENOSYS;
}

void copy_uring_free(struct copy_uring *uring)
{
	(void)uring;
}

void copy_uring_start(struct copy_uring *uring, struct copy_piece *piece)
{
	(void)uring;
	(void)piece;
}

void copy_uring_wait(struct copy_uring *uring, const struct copy_piece *piece)
{
	(void)uring;
	(void)piece;
}

#endif
