/* SPDX-License-Identifier: GPL-2.0-or-later */
/* copy_ring.c - the pieces of a copy that are under way */
#include "config.h"

#include "tools/copy_ring.h"
#include "tools/copy_uring.h"
#include "tools/pace.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Of 8 to 64, the fewest with which a copy was about as fast as with any. */
#define THREADS 16

#define HUGE_PAGE ((size_t)2 << 20)

/* For each thread: what it works on, and what waits for an older piece to be finished. */
#define PIECES_A_THREAD 2

/*
 * Who carries pieces out: io_uring; where that isn't to be had, threads; with one thread, the
 * caller, when a piece is to be finished.
 */
struct copy_ring {
	unsigned int nthreads;
	struct copy_uring *uring;
	struct workers *workers;
	struct copy_piece *pieces;
	size_t n, oldest, nunder_way;
	char *buffers; /* one for each piece, of which only as many are touched as are needed: */
	void **spare;  /* on top what was used last */
	size_t nspare;
};

int copy_ring_new(unsigned int nthreads, struct copy_ring **ret)
{
	struct copy_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	if (nthreads == 0)
		nthreads = THREADS;
	ring->n = nthreads == 1 ? 1 : (size_t)nthreads * PIECES_A_THREAD;
	ring->n = pace_pieces(ring->n, COPY_PIECE);
	ring->pieces = calloc(ring->n, sizeof(ring->pieces[0]));
	ring->spare = calloc(ring->n, sizeof(void *));
	ring->nthreads = nthreads;
	if (!ring->pieces || !ring->spare) {
		copy_ring_free(ring);
		return -ENOMEM;
	}
	*ret = ring;
	return 0;
}

void copy_ring_free(struct copy_ring *ring)
{
	if (!ring)
		return;
	copy_uring_free(ring->uring);
	workers_free(ring->workers);
	free(ring->pieces);
	free(ring->spare);
	free(ring->buffers);
	free(ring);
}

/*
 * On huge pages, where there are some: a request is then a segment or two for the disk, instead of
 * one for each small page, which made copying twice as fast.
 */
static int make_buffers(struct copy_ring *ring)
{
	size_t nbytes = (ring->n * COPY_PIECE + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;

	ring->buffers = aligned_alloc(HUGE_PAGE, nbytes);
	if (!ring->buffers)
		return -ENOMEM;
	madvise(ring->buffers, nbytes, MADV_HUGEPAGE);
	for (size_t i = ring->n; i > 0; i--)
		ring->spare[ring->nspare++] = ring->buffers + (i - 1) * COPY_PIECE;
	return 0;
}

static int take_buffer(struct copy_ring *ring, struct copy_piece *piece)
{
	int r = ring->buffers ? 0 : make_buffers(ring);

	if (r == 0)
		piece->buffer = ring->spare[--ring->nspare];
	return r;
}

/* Not before there is something to do: most syncs have little. */
static void find_means(struct copy_ring *ring)
{
	if (ring->uring || ring->workers || ring->nthreads == 1)
		return;
	if (copy_uring_new(ring->n, &ring->uring) < 0 &&
	    workers_new(ring->nthreads, &ring->workers) < 0)
		ring->nthreads = 1;
}

static void run(struct work *work)
{
	copy_carry_out((struct copy_piece *)((char *)work - offsetof(struct copy_piece, work)));
}

static void wait_for(struct copy_ring *ring, struct copy_piece *piece)
{
	if (!piece->carry_out)
		return;
	if (ring->uring)
		copy_uring_wait(ring->uring, piece);
	else if (ring->workers)
		workers_wait(ring->workers, &piece->work);
	else
		copy_carry_out(piece);
}

static struct copy_piece *take_oldest(struct copy_ring *ring)
{
	struct copy_piece *piece = &ring->pieces[ring->oldest];

	wait_for(ring, piece);
	if (piece->buffer)
		ring->spare[ring->nspare++] = piece->buffer;
	ring->oldest = (ring->oldest + 1) % ring->n;
	ring->nunder_way--;
	return piece;
}

static void abandon(struct copy_ring *ring)
{
	while (ring->nunder_way > 0)
		take_oldest(ring);
}

int copy_ring_finish(struct copy_ring *ring)
{
	int r = ring->nunder_way > 0 ? copy_finish(take_oldest(ring)) : 0;

	if (r < 0)
		abandon(ring);
	return r;
}

bool copy_ring_is_full(const struct copy_ring *ring)
{
	return ring->nunder_way == ring->n;
}

static struct copy_piece *newest(struct copy_ring *ring)
{
	return &ring->pieces[(ring->oldest + ring->nunder_way) % ring->n];
}

int copy_ring_next(struct copy_ring *ring, bool with_buffer, struct copy_piece **ret)
{
	struct copy_piece *piece;

	if (copy_ring_is_full(ring)) {
		int r = copy_ring_finish(ring);

		if (r < 0)
			return r;
	}
	piece = newest(ring);
	piece->buffer = NULL;
	*ret = piece;
	return with_buffer ? take_buffer(ring, piece) : 0;
}

static void wait_for_turn(const struct copy_piece *piece)
{
	if (piece->kind == COPY_DATA)
		pace_read(piece->nbytes);
	if (piece->copy->sink->to_dest)
		pace_write(piece->nbytes);
}

void copy_ring_start(struct copy_ring *ring, bool carry_out)
{
	struct copy_piece *piece = newest(ring);

	ring->nunder_way++;
	piece->carry_out = carry_out;
	if (!carry_out)
		return;
	wait_for_turn(piece);
	find_means(ring);
	if (ring->uring) {
		copy_uring_start(ring->uring, piece);
	} else if (ring->workers) {
		piece->work.run = run;
		workers_start(ring->workers, &piece->work);
	}
}

int copy_ring_read(struct copy *copy, uint64_t offset, size_t nbytes)
{
	struct copy_piece *piece;
	int r = copy_ring_next(copy->ring, true, &piece);

	if (r < 0)
		return r;
	piece->copy = copy;
	piece->kind = COPY_DATA;
	piece->cached = copy_is_cached(copy, offset, nbytes);
	piece->begins = piece->ends = false;
	piece->offset = offset;
	piece->nbytes = nbytes;
	copy_ring_start(copy->ring, true);
	return 0;
}

int copy_ring_drain(struct copy_ring *ring)
{
	int r = 0;

	while (r == 0 && ring->nunder_way > 0)
		r = copy_ring_finish(ring);
	return r;
}
