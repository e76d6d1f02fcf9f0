/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot_image.c - one image as it was at a snapshot: block states, copy-before-write
 *
 *            writer, needed
 *   SAME ───────────────► BUSY
 *     │                    │ │ │
 *     │ not needed,        │ │ └─► LOST, broken
 *     │ or released        │ └───► ZERO
 *     ├─────────► LOST     └─────► PRESERVED ──► LOST (release)
 *     └─────────► ZERO (a hole)
 *
 * Only who made a block BUSY takes it out of that; nothing becomes SAME again.
 *
 * Why a reader never takes new content for old.  A writer changes the image (W2) after the state
 * of every block concerned has left SAME and BUSY, or after the snapshot is broken (W1).  A
 * reader reads the image (R1), then the states, then whether it is broken (R2).  All
 * accesses to states are sequentially consistent, and there is a full fence between R1 and R2.
 * If R1 saw what W2 wrote, R2 sees W1.  The image's pages are memory like any other here; the
 * kernel's own locks between a write and a read of one page only add to that.
 *
 * The states are made by the first writer, or when somebody wants to share them; no states
 * means that all are SAME.
 */
#include "config.h"

#include "fs/snapshot_image_internal.h"

#include "bitmapfile/tracker.h"
#include "fs/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int mfs_snapshot_image_open(const struct mfs_snapshot_common *common, int fd, bool whole,
			    struct mfs_snapshot_image **ret)
{
	struct mfs_snapshot_image *image = calloc(1, sizeof(*image));

	if (!image)
		return -ENOMEM;
	image->common = common;
	image->fd = fd;
	image->whole = whole || common->from == 0;
	image->map_fd = -1;
	atomic_init(&image->read_fd, -1);
	pthread_mutex_init(&image->lock, NULL);
	mfs_deadline_cond_init(&image->settled);
	*ret = image;
	return 0;
}

static size_t sums_nbytes(const struct mfs_snapshot_image *image)
{
	return (image->nblocks + 1) * sizeof(*image->sums);
}

static size_t map_nbytes(const struct mfs_snapshot_image *image)
{
	return image->nblocks ? image->nblocks : 1; /* nothing can't be mapped */
}

void mfs_snapshot_image_close(struct mfs_snapshot_image *image)
{
	const struct bmf_io *io;
	int read_fd;

	if (!image)
		return;
	io = image->common->io;
	read_fd = atomic_load(&image->read_fd);
	mfs_preserved_close(image->preserved);
	bmf_bits_free(image->needed);
	bmf_bits_free(image->kept);
	bmf_bits_free(atomic_load(&image->released));
	if (image->sums)
		munmap(image->sums, sums_nbytes(image));
	if (atomic_load(&image->states))
		munmap((void *)atomic_load(&image->states), map_nbytes(image));
	if (image->map_fd >= 0)
		close(image->map_fd);
	if (read_fd >= 0)
		io->close(io, read_fd);
	close(image->fd);
	pthread_cond_destroy(&image->settled);
	pthread_mutex_destroy(&image->lock);
	free(image);
}

void mfs_snapshot_image_set_size(struct mfs_snapshot_image *image, uint64_t nbytes)
{
	unsigned int shift = image->common->block_shift;

	image->size = nbytes;
	image->nblocks = (nbytes >> shift) + ((nbytes & ((UINT64_C(1) << shift) - 1)) != 0);
}

int mfs_snapshot_image_fd(const struct mfs_snapshot_image *image)
{
	return image->fd;
}

void mfs_snapshot_image_fail(const struct mfs_snapshot_image *image, int error, const char *verb)
{
	image->common->failed(image->common->failed_arg, image, error, verb);
}

void mfs_snapshot_image_preserve_failed(void *image, int error)
{
	mfs_snapshot_image_fail(image, error, "write old blocks of");
}

/* --- what is made when it is needed */

static int make_states_locked(struct mfs_snapshot_image *image)
{
	void *map;
	int r = 0;

	if (atomic_load(&image->states))
		return 0;
	image->map_fd = memfd_create("mirrorfs-states", MFD_CLOEXEC);
	if (image->map_fd < 0)
		return -errno;
	map = MAP_FAILED;
	if (ftruncate(image->map_fd, (off_t)map_nbytes(image)) == 0)
		map = mmap(NULL, map_nbytes(image), PROT_READ | PROT_WRITE, MAP_SHARED,
			   image->map_fd, 0);
	if (map == MAP_FAILED) {
		r = -errno;
		close(image->map_fd);
		image->map_fd = -1;
		return r;
	}
	atomic_store(&image->states, (block_state *)map);
	return 0;
}

static int open_for_reading_locked(struct mfs_snapshot_image *image)
{
	const struct bmf_io *io = image->common->io;
	int fd;

	if (atomic_load(&image->read_fd) >= 0)
		return 0;
	fd = io->reopen(io, image->fd, O_RDONLY | O_CLOEXEC);
	if (fd >= image->common->fd_max) {
		io->close(io, fd);
		fd = -EMFILE;
	}
	if (fd < 0)
		return fd;
	atomic_store(&image->read_fd, fd);
	return 0;
}

static int find_needed_locked(struct mfs_snapshot_image *image, struct bmf_tracker *tracker)
{
	int r;

	if (image->whole)
		return 0;
	r = bmf_tracker_delta(tracker, image->common->from, image->common->to, &image->needed);
	return r == -ENOENT ? 0 : r; /* no history, so all of it will be read */
}

static int make_sums_locked(struct mfs_snapshot_image *image)
{
	void *map;

	if (!image->kept)
		image->kept = bmf_bits_new();
	if (!image->kept)
		return -ENOMEM;
	if (image->sums)
		return 0;
	map = mmap(NULL, sums_nbytes(image), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	image->sums = map;
	return 0;
}

static int prepare_locked(struct mfs_snapshot_image *image, struct bmf_tracker *tracker)
{
	int r = 0;

	if (atomic_load(&image->prepared))
		return 0;
	if (!image->preserved)
		r = mfs_preserved_open(image->common->preserve, image, &image->preserved);
	if (r == 0)
		r = open_for_reading_locked(image);
	if (r == 0)
		r = make_states_locked(image);
	if (r == 0)
		r = make_sums_locked(image);
	if (r == 0)
		r = find_needed_locked(image, tracker);
	if (r == 0)
		atomic_store(&image->prepared, true);
	return r;
}

bool mfs_snapshot_image_prepare(struct mfs_snapshot_image *image, struct bmf_tracker *tracker)
{
	int r;

	if (atomic_load(&image->prepared))
		return true;
	pthread_mutex_lock(&image->lock);
	r = prepare_locked(image, tracker);
	pthread_mutex_unlock(&image->lock);
	if (r < 0)
		mfs_snapshot_image_fail(image, r, "preserve old blocks of");
	return r == 0;
}

int mfs_snapshot_image_reading_fd(struct mfs_snapshot_image *image)
{
	int r;

	if (atomic_load(&image->read_fd) < 0) {
		pthread_mutex_lock(&image->lock);
		r = open_for_reading_locked(image);
		pthread_mutex_unlock(&image->lock);
		if (r < 0)
			return r;
	}
	return atomic_load(&image->read_fd);
}

/* --- what is not needed any more */

/* To be read by writers from now on; a set that is never replaced.  NULL: no memory. */
static struct bmf_bits *released_of(struct mfs_snapshot_image *image)
{
	struct bmf_bits *released;

	pthread_mutex_lock(&image->lock);
	released = atomic_load(&image->released);
	if (!released) {
		released = bmf_bits_new();
		atomic_store(&image->released, released);
	}
	pthread_mutex_unlock(&image->lock);
	return released;
}

static void release_kept(struct mfs_snapshot_image *image, uint64_t block)
{
	uint8_t preserved = MFS_BLOCK_PRESERVED;

	if (!atomic_compare_exchange_strong(&image->states[block], &preserved, MFS_BLOCK_LOST))
		return;
	mfs_preserved_drop(image->preserved, block_offset(image, block),
			   block_nbytes(image, block));
}

void mfs_snapshot_image_release(struct mfs_snapshot_image *image, uint64_t offset, uint64_t nbytes)
{
	unsigned int shift = image->common->block_shift;
	uint64_t block, end, first, n;
	struct bmf_bits *released;

	if (offset >= image->size || nbytes == 0)
		return;
	block = (offset + (UINT64_C(1) << shift) - 1) >> shift;
	end = nbytes >= image->size - offset ? image->nblocks : (offset + nbytes) >> shift;
	released = released_of(image);
	if (end <= block || !released || bmf_bits_set(released, block, end - block) < 0)
		return; /* it is preserved for nothing */
	if (!atomic_load(&image->prepared))
		return;
	/* one that is being preserved just now may stay: no harm but the space */
	while (bmf_bits_next(image->kept, block, end, &first, &n)) {
		for (block = first; block < first + n; block++)
			release_kept(image, block);
		bmf_bits_clear(image->kept, first, n);
	}
}

/* --- the rest */

int mfs_snapshot_image_share(struct mfs_snapshot_image *image, int *ret_map_fd)
{
	int r;

	pthread_mutex_lock(&image->lock);
	r = make_states_locked(image);
	pthread_mutex_unlock(&image->lock);
	if (r == 0)
		*ret_map_fd = image->map_fd;
	return r;
}

void mfs_snapshot_image_discard(struct mfs_snapshot_image *image)
{
	if (atomic_load(&image->prepared))
		mfs_preserved_discard(image->preserved);
}

uint64_t mfs_snapshot_image_preserved(const struct mfs_snapshot_image *image)
{
	return atomic_load(&image->prepared) ? mfs_preserved_nbytes(image->preserved) : 0;
}
