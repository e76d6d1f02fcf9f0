/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot_image_write.c - copy-before-write: what a writer does for an image of a snapshot */
#include "config.h"

#include "fs/snapshot_image_internal.h"

#include "fs/deadline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* Blocks. */
#define CLOCK_EVERY 1024

/* The change that is about to be made; one a call of before_change. */
struct change {
	struct mfs_snapshot_image *image;
	struct mfs_patience *patience;
	uint64_t first, last; /* blocks */
	uint64_t next_data;   /* there is none from where it was looked for up to this offset */
};

/* Reading the clock is for those who may have to wait. */
static const struct timespec *deadline_of(struct change *c)
{
	if (!c->patience->begun) {
		c->patience->until = mfs_deadline(c->patience->timeout_ms);
		c->patience->begun = true;
	}
	return &c->patience->until;
}

/* True when the state was SAME, and is `to` now. */
static bool move_state(struct mfs_snapshot_image *image, uint64_t block, uint8_t to)
{
	uint8_t same = MFS_BLOCK_SAME;

	return atomic_compare_exchange_strong(&image->states[block], &same, to);
}

static void settle(struct mfs_snapshot_image *image, uint64_t block, uint8_t to)
{
	atomic_store(&image->states[block], to);
	pthread_mutex_lock(&image->lock);
	pthread_cond_broadcast(&image->settled);
	pthread_mutex_unlock(&image->lock);
}

static void wait_until_settled(struct change *c, uint64_t block)
{
	struct mfs_snapshot_image *image = c->image;
	const struct timespec *deadline = deadline_of(c);
	int r = 0;

	pthread_mutex_lock(&image->lock);
	while (r == 0 && atomic_load(&image->states[block]) == MFS_BLOCK_BUSY && !is_broken(image))
		r = pthread_cond_timedwait(&image->settled, &image->lock, deadline);
	pthread_mutex_unlock(&image->lock);
	if (r != 0)
		mfs_snapshot_image_fail(image, -r, "preserve old blocks of");
}

static bool is_zero(const char *data, size_t nbytes)
{
	return nbytes == 0 || (data[0] == 0 && memcmp(data, data + 1, nbytes - 1) == 0);
}

/* What becomes of a BUSY block: its next state, or -errno. */
static int preserve(struct change *c, uint64_t block)
{
	struct mfs_snapshot_image *image = c->image;
	const struct bmf_io *io = image->common->io;
	uint64_t offset = block_offset(image, block);
	size_t nbytes = block_nbytes(image, block);
	char *data = malloc(nbytes);
	ssize_t n;
	int r;

	if (!data)
		return -ENOMEM;
	n = io->pread(io, atomic_load(&image->read_fd), data, nbytes, (off_t)offset);
	if (n < 0 || (size_t)n < nbytes || is_zero(data, nbytes)) {
		free(data);
		/* shorter than it was: somebody has cut it off behind the mount */
		return n < 0 ? (int)n : (size_t)n < nbytes ? -EIO : MFS_BLOCK_ZERO;
	}
	r = bmf_bits_set(image->kept, block, 1);
	if (r < 0) {
		free(data);
		return r;
	}
	image->sums[block] = XXH3_64bits(data, nbytes);
	r = mfs_preserved_put(image->preserved, data, nbytes, offset, deadline_of(c));
	return r < 0 ? r : MFS_BLOCK_PRESERVED;
}

/*
 * Is the block a hole?  Asked before much is changed at once: a guest that trims its disk must
 * not make us read terabytes of nothing.  What says so is asked once for each hole.
 */
static bool is_hole(struct change *c, uint64_t block)
{
	uint64_t offset = block_offset(c->image, block);
	uint64_t end = offset + block_nbytes(c->image, block);
	off_t data;

	if (end <= c->next_data)
		return true;
	data = lseek(atomic_load(&c->image->read_fd), (off_t)offset, SEEK_DATA);
	if (data < 0)
		data = errno == ENXIO ? (off_t)c->image->size : (off_t)offset;
	c->next_data = (uint64_t)data;
	return end <= c->next_data;
}

static bool is_needed(const struct mfs_snapshot_image *image, uint64_t block)
{
	const struct bmf_bits *released = atomic_load(&image->released);

	return (!image->needed || bmf_bits_test(image->needed, block)) &&
	       (!released || !bmf_bits_test(released, block));
}

static void settle_block(struct change *c, uint64_t block)
{
	struct mfs_snapshot_image *image = c->image;
	int r;

	if (!is_needed(image, block)) {
		move_state(image, block, MFS_BLOCK_LOST);
		return;
	}
	if (c->last > c->first && is_hole(c, block)) {
		move_state(image, block, MFS_BLOCK_ZERO);
		return;
	}
	if (!move_state(image, block, MFS_BLOCK_BUSY))
		return;
	r = preserve(c, block);
	if (r < 0)
		mfs_snapshot_image_fail(
			image, r,
			"preserve old blocks of"); /* before anybody finds the block lost */
	settle(image, block, r < 0 ? MFS_BLOCK_LOST : (uint8_t)r);
}

/* Among many blocks, the clock is looked at now and then, whatever is done with each. */
static void look_at_clock(struct change *c, uint64_t block)
{
	if ((block - c->first) % CLOCK_EVERY == CLOCK_EVERY - 1 &&
	    mfs_deadline_passed(deadline_of(c)))
		mfs_snapshot_image_fail(c->image, -ETIMEDOUT, "preserve old blocks of");
}

void mfs_snapshot_image_before_change(struct mfs_snapshot_image *image, struct bmf_tracker *tracker,
				      uint64_t offset, uint64_t nbytes,
				      struct mfs_patience *patience)
{
	unsigned int shift = image->common->block_shift;
	struct change c = { .image = image, .patience = patience };
	uint64_t end;
	uint8_t state;

	if (offset >= image->size || nbytes == 0 || is_broken(image))
		return;
	end = nbytes < image->size - offset ? offset + nbytes : image->size;
	if (!mfs_snapshot_image_prepare(image, tracker))
		return;
	c.first = offset >> shift;
	c.last = (end - 1) >> shift;
	for (uint64_t block = c.first; block <= c.last;) {
		state = atomic_load(&image->states[block]);
		if (is_settled(state)) {
			look_at_clock(&c, block++);
			continue;
		}
		if (state == MFS_BLOCK_BUSY)
			wait_until_settled(&c, block);
		else
			settle_block(&c, block);
		if (is_broken(image))
			return;
	}
}
