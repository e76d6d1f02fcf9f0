/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracker.c - the write path's half of a tracker: bits, arming, group commit
 *
 * I1 asks that no block changes on disk before it is durably known that it may.
 * Two things can make that known: a set bit in a sidecar that has been saved, or
 * the block's region being armed in the sidecar that counts.  A writer
 *
 *      W1  sets the block's bit (memory)
 *      W2  tests that the region is armed (memory; the disk was told before)
 *      W3  writes to the image
 *
 * and if W2 says no, it arms the region first: the disk is told, then memory.  Against it
 * runs a save that lets regions go:
 *
 *      S1  clears the region's armed flag (memory)
 *      S2  copies the bits
 *      S3  makes a sidecar durable with those bits, the region not armed in it
 *
 * All of these are sequentially consistent (bits.h).  So either W2 comes before
 * S1, and then W1 before S2: the bit is in the new sidecar, and W3 may happen
 * whenever it likes.  Or W2 sees the cleared flag, and the writer waits for the
 * lock that the save holds, and arms the region in the new sidecar.  No gate has to be closed
 * for a save, and a write in flight needs no mark of its own.
 *
 * The same pair of accesses makes adoption safe (W2 reads the mode, S1 sets
 * it to TRACKED with nothing armed), and the flag `unsaved` (W2 reads it as true,
 * S1 sets it to false).
 *
 * Generations: the gate guarantees that no write is in flight when the source's generation
 * moves on.  The first writer that finds the tracker behind seals its bits
 * under the lock and puts empty ones in place.  Regions stay armed meanwhile: the
 * armed map of a sidecar counts for its own generation and all later ones.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/tracker_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Regions armed ahead of a sequential writer, at most: 128 MiB by default. */
#define ARMED_AHEAD_MAX 8

/* Regions armed around a random one, at most: 4 GiB by default. */
#define ARMED_AROUND_MAX 256

int bmf_tracker_new(struct bmf_source *source, int fd, const struct stat *st,
		    struct bmf_tracker **ret)
{
	struct bmf_tracker *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->source = source;
	t->dev = st->st_dev;
	t->ino = st->st_ino;
	t->sidecar_fd = -1;
	pthread_mutex_init(&t->lock, NULL);
	atomic_init(&t->generation, atomic_load(&source->generation));
	atomic_init(&t->mode, BMF_MODE_UNTRACKED);
	t->armed = bmf_bits_new();
	t->touched = bmf_bits_new();
	t->wanted = bmf_bits_new();
	atomic_init(&t->bits, bmf_bits_new());
	t->fd = -ENOMEM;
	if (t->armed && t->touched && t->wanted && atomic_load(&t->bits))
		t->fd = source->io->reopen(source->io, fd, O_PATH);
	if (t->fd < 0) {
		int r = t->fd;

		bmf_tracker_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void bmf_tracker_free(struct bmf_tracker *t)
{
	const struct bmf_io *io;

	if (!t)
		return;
	io = t->source->io;
	if (t->fd >= 0)
		io->close(io, t->fd);
	if (t->sidecar_fd >= 0)
		io->close(io, t->sidecar_fd);
	bmf_sidecar_free(t->sidecar);
	bmf_bits_free(t->armed);
	bmf_bits_free(t->touched);
	bmf_bits_free(t->wanted);
	bmf_bits_free(atomic_load(&t->bits));
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct bmf_tracker *bmf_tracker_get(struct bmf_tracker *t)
{
	pthread_mutex_lock(&t->source->table_lock);
	t->refs++;
	pthread_mutex_unlock(&t->source->table_lock);
	return t;
}

void bmf_tracker_opened(struct bmf_tracker *t)
{
	atomic_fetch_add(&t->openers, 1);
}

void bmf_tracker_closed(struct bmf_tracker *t)
{
	atomic_store(&t->active, true);
	atomic_fetch_sub(&t->openers, 1);
}

/* Seals the bits of the generation that has ended. */
int bmf_tracker_roll_locked(struct bmf_tracker *t)
{
	uint64_t now = atomic_load(&t->source->generation);
	uint64_t then = atomic_load(&t->generation);
	struct bmf_bits *fresh, *sealed;
	int r;

	if (then == now)
		return 0;
	fresh = bmf_bits_new();
	if (!fresh)
		return -ENOMEM;
	sealed = atomic_load(&t->bits);
	if (t->sidecar) {
		r = bmf_sidecar_add_section(t->sidecar, then, then, sealed);
		if (r < 0) {
			bmf_bits_free(fresh);
			return r;
		}
		if (then + 1 < now) {
			struct bmf_bits *empty = bmf_bits_new();

			/* generations that passed without a write to this image */
			r = empty ? bmf_sidecar_add_section(t->sidecar, then + 1, now - 1, empty)
				  : -ENOMEM;
			if (r < 0) {
				bmf_bits_free(empty);
				/* take the first one back: nothing has happened */
				t->sidecar->nsections--;
				bmf_bits_free(fresh);
				return r;
			}
		}
		atomic_store(&t->bits, fresh);
	} else {
		/* No write is in flight that could still use the old ones: see the top. */
		atomic_store(&t->bits, fresh);
		bmf_bits_free(sealed);
	}
	/* Pairs with the load in current_bits(): who sees the number sees the bits. */
	atomic_store(&t->generation, now);
	return 0;
}

/* The bits that a write which is in the gate now belongs to, or NULL (no memory). */
static struct bmf_bits *current_bits(struct bmf_tracker *t)
{
	if (atomic_load(&t->generation) != atomic_load(&t->source->generation)) {
		int r;

		pthread_mutex_lock(&t->lock);
		r = bmf_tracker_roll_locked(t);
		pthread_mutex_unlock(&t->lock);
		if (r < 0)
			return NULL;
	}
	return atomic_load(&t->bits);
}

/* Those that follow, for one who goes through the image in order. */
static uint64_t ahead_of_sequential_locked(struct bmf_tracker *t)
{
	t->armed_ahead = t->armed_ahead ? t->armed_ahead * 2 : 1;
	if (t->armed_ahead > ARMED_AHEAD_MAX)
		t->armed_ahead = ARMED_AHEAD_MAX;
	return t->armed_ahead;
}

/*
 * Those around, for one who writes here and there: as many as were armed lately, so that each flush
 * arms twice as much as the one before, and a cold image takes a few instead of one for each
 * region.  What a crash costs is thereby at most doubled, for as long as it takes to let go of
 * regions that nobody touched.
 */
static void around_locked(const struct bmf_tracker *t, uint64_t *first, uint64_t *end)
{
	uint64_t size = atomic_load(&t->size), window = 1, begin, stop;
	uint64_t nregions = size ? bmf_region_of(size - 1, t->source->region_shift) + 1 : 0;

	while (window * 2 <= t->armed_lately + 1 && window < ARMED_AROUND_MAX)
		window *= 2;
	begin = *first / window * window;
	stop = begin + window < nregions ? begin + window : nregions;
	*first = begin;
	*end = stop > *end ? stop : *end;
}

/*
 * What shall be armed in one flush with what was asked for.  Only within the map as it is on disk:
 * a hint is no reason to replace the sidecar.
 */
static void arm_ahead_locked(struct bmf_tracker *t, uint64_t *first, uint64_t *n)
{
	uint64_t room = (uint64_t)t->sidecar->armed_sectors * BMF_ARMED_SECTOR_BITS - 1;
	uint64_t asked_end = *first + *n, end = asked_end;

	if (*first == t->armed_end && *first != 0) {
		end += ahead_of_sequential_locked(t);
	} else {
		t->armed_ahead = 0;
		around_locked(t, first, &end);
	}
	if (end > room)
		end = asked_end > room ? asked_end : room;
	t->armed_end = end;
	t->armed_lately += end - *first;
	*n = end - *first;
}

/* Writes the sectors [first, last] of the armed map. */
static int write_sectors_locked(struct bmf_tracker *t, uint64_t first, uint64_t last)
{
	const struct bmf_io *io = t->source->io;
	uint64_t n = last - first + 1;
	uint8_t *sectors = malloc(n * BMF_ARMED_SECTOR);
	ssize_t r;

	if (!sectors)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++)
		bmf_armed_sector_encode(t->sidecar->armed, true, t->sidecar->nonce, first + i,
					sectors + i * BMF_ARMED_SECTOR);
	r = io->pwrite_dsync(io, t->sidecar_fd, sectors, n * BMF_ARMED_SECTOR,
			     (off_t)(BMF_ARMED_MAP_OFFSET + first * BMF_ARMED_SECTOR));
	free(sectors);
	return r < 0 ? (int)r : 0;
}

/*
 * Adds [first, first + n) to the map on disk, and "in use" with it.  One run of
 * sectors in one write; sector 0 in a write of its own where it is far away.
 */
static int arm_in_place_locked(struct bmf_tracker *t, uint64_t first, uint64_t n)
{
	uint64_t first_sector = bmf_armed_position(first) / BMF_ARMED_SECTOR_BITS;
	uint64_t last_sector = bmf_armed_position(first + n - 1) / BMF_ARMED_SECTOR_BITS;
	int r;

	/* Before the write: what the disk holds is never more than what memory says it does. */
	r = bmf_bits_set(t->sidecar->armed, first, n);
	if (!atomic_load(&t->in_use))
		bmf_source_vouch(t->source);
	if (r == 0 && !atomic_load(&t->in_use) && first_sector != 0)
		r = write_sectors_locked(t, 0, 0);
	if (r == 0)
		r = write_sectors_locked(t, first_sector, last_sector);
	if (r < 0)
		return r;
	atomic_store(&t->in_use, true);
	return bmf_bits_set(t->armed, first, n);
}

static bool fits_in_place(const struct bmf_tracker *t, uint64_t first, uint64_t n)
{
	return t->sidecar_fd >= 0 && bmf_armed_sectors(first + n) <= t->sidecar->armed_sectors;
}

/* Makes a run of regions armed, by the cheapest way that works. */
static int arm_run_locked(struct bmf_tracker *t, uint64_t first, uint64_t n)
{
	int r;

	if (fits_in_place(t, first, n)) {
		uint64_t in_place = first, n_in_place = n;

		arm_ahead_locked(t, &in_place, &n_in_place);
		r = arm_in_place_locked(t, in_place, n_in_place);
		if (r == 0)
			return 0;
	}
	return bmf_tracker_save_locked(t, BMF_SAVE_IN_USE, first, n);
}

/* Arms whatever anybody waits for; the others find it done when they get the lock. */
static int arm_wanted_locked(struct bmf_tracker *t)
{
	uint64_t from = 0, first, n;

	while (bmf_bits_next(t->wanted, from, BMF_BITS_MAX, &first, &n)) {
		int r = 0;

		if (!bmf_bits_test_all(t->armed, first, n))
			r = arm_run_locked(t, first, n);
		/*
		 * Who asks for a region of this run between here and there finds it
		 * armed, or asks again for itself (tracker_arm).
		 */
		if (bmf_bits_clear(t->wanted, first, n) < 0 || r < 0)
			return r < 0 ? r : -ENOMEM;
		from = first + n;
	}
	return 0;
}

static int tracker_arm(struct bmf_tracker *t, uint64_t first, uint64_t n)
{
	int r = bmf_bits_set(t->wanted, first, n);

	if (r < 0)
		return r;
	pthread_mutex_lock(&t->lock);
	if (atomic_load(&t->mode) == BMF_MODE_TRACKED && !bmf_bits_test_all(t->armed, first, n)) {
		r = bmf_bits_set(t->wanted, first, n);
		if (r == 0)
			r = arm_wanted_locked(t);
		if (r < 0)
			r = bmf_tracker_give_up_locked(t, r);
		if (r < 0 && bmf_bits_test_all(t->armed, first, n))
			r = 0; /* it was another writer's region that failed */
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

int bmf_tracker_change(struct bmf_tracker *t, uint64_t offset, uint64_t nbytes)
{
	uint64_t size = atomic_load(&t->size), end, first, n;
	unsigned int shift = t->source->block_shift;
	struct bmf_bits *bits;

	if (nbytes == 0)
		return bmf_tracker_touch(t);
	if (__builtin_add_overflow(offset, nbytes, &end) || end > INT64_MAX)
		return -EFBIG;
	if (offset > size)
		offset = size; /* the gap turns from nothing into zeros */

	bits = current_bits(t);
	first = offset >> shift;
	n = ((end - 1) >> shift) - first + 1;
	if (!bits || bmf_bits_set(bits, first, n) < 0)
		return -EIO; /* I1: what can't be tracked is refused */
	if (!atomic_load(&t->unsaved))
		atomic_store(&t->unsaved, true);
	if (atomic_load(&t->mode) != BMF_MODE_TRACKED)
		return 0;

	shift = t->source->region_shift;
	first = bmf_region_of(offset, shift);
	n = bmf_region_of(end - 1, shift) - first + 1;
	if (!bmf_bits_test_all(t->touched, first, n))
		bmf_bits_set(t->touched, first, n); /* a failure costs an early disarm */
	if (bmf_bits_test_all(t->armed, first, n))
		return 0;
	return tracker_arm(t, first, n) < 0 ? -EIO : 0;
}

int bmf_tracker_resize(struct bmf_tracker *t, uint64_t size)
{
	uint64_t old = atomic_load(&t->size);

	return size < old ? bmf_tracker_change(t, size, old - size)
			  : bmf_tracker_change(t, old, size - old);
}

void bmf_tracker_grown(struct bmf_tracker *t, uint64_t end)
{
	uint64_t size = atomic_load(&t->size);

	while (end > size && !atomic_compare_exchange_weak(&t->size, &size, end))
		;
}

void bmf_tracker_set_size(struct bmf_tracker *t, uint64_t size)
{
	atomic_store(&t->size, size);
}

int bmf_tracker_delta(struct bmf_tracker *t, uint64_t from, uint64_t to, struct bmf_bits **ret)
{
	int r;

	pthread_mutex_lock(&t->lock);
	r = bmf_tracker_roll_locked(t);
	if (r == 0)
		r = t->sidecar ? bmf_chain_delta(t->sidecar, from, to, ret) : -ENOENT;
	pthread_mutex_unlock(&t->lock);
	return r;
}

void bmf_tracker_inode(const struct bmf_tracker *t, dev_t *ret_dev, ino_t *ret_ino)
{
	*ret_dev = t->dev;
	*ret_ino = t->ino;
}

int bmf_tracker_touch(struct bmf_tracker *t)
{
	int r = 0;

	atomic_store(&t->active, true);
	if (atomic_load(&t->mode) != BMF_MODE_TRACKED || atomic_load(&t->in_use))
		return 0;
	pthread_mutex_lock(&t->lock);
	if (atomic_load(&t->mode) == BMF_MODE_TRACKED && !atomic_load(&t->in_use)) {
		bmf_source_vouch(t->source);
		if (t->sidecar_fd >= 0)
			r = write_sectors_locked(t, 0, 0);
		if (t->sidecar_fd < 0 || r < 0)
			r = bmf_tracker_save_locked(t, BMF_SAVE_IN_USE, 0, 0);
		if (r == 0)
			atomic_store(&t->in_use, true);
		else
			r = bmf_tracker_give_up_locked(t, r);
	}
	pthread_mutex_unlock(&t->lock);
	return r < 0 ? -EIO : 0;
}

void bmf_tracker_fail(struct bmf_tracker *t, int error)
{
	int none = 0;

	if (!atomic_compare_exchange_strong(&t->failed, &none, error))
		return;
	bmf_source_notice(t->source, t, "fsync: %s, what it holds is in doubt",
			  bmf_errno_text(error));
	pthread_mutex_lock(&t->lock);
	if (t->sidecar) {
		t->sidecar->suspect = true;
		t->doubt_unsaved = true;
		bmf_tracker_note_doubt_locked(t);
	}
	t->reason = BMF_REASON_IO_ERROR;
	pthread_mutex_unlock(&t->lock);
}

void bmf_tracker_doubt(struct bmf_tracker *t)
{
	int r = 0;

	pthread_mutex_lock(&t->lock);
	if (atomic_load(&t->mode) == BMF_MODE_TRACKED)
		r = bmf_tracker_give_up_locked(t, 0);
	t->reason = BMF_REASON_IO_ERROR;
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		bmf_tracker_fail(t, r);
}

int bmf_tracker_disown(struct bmf_tracker *t)
{
	int r = 0;

	pthread_mutex_lock(&t->lock);
	/* One that isn't tracked has no sidecar that is believed: see disown_sidecar(). */
	if (atomic_load(&t->mode) == BMF_MODE_TRACKED)
		r = bmf_tracker_give_up_locked(t, 0);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int bmf_tracker_failed(const struct bmf_tracker *t)
{
	return atomic_load(&((struct bmf_tracker *)t)->failed);
}
