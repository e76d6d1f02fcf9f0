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

#include "fs/snapshot_image.h"

#include "bitmapfile/bits.h"
#include "bitmapfile/io.h"
#include "bitmapfile/tracker.h"
#include "fs/deadline.h"
#include "fs/preserve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

/* Blocks. */
#define CLOCK_EVERY 1024

typedef _Atomic uint8_t block_state;
_Static_assert(sizeof(block_state) == 1, "one byte a block, as control.h has it");

struct mfs_snapshot_image {
	const struct mfs_snapshot_common *common;
	int fd; /* O_PATH */
	bool whole;
	uint64_t size, nblocks;

	/* Set once, under lock; the pointer after what it stands for. */
	block_state *_Atomic states;
	_Atomic int read_fd;	 /* -1 until it is needed */
	_Atomic bool prepared;	 /* needed and preserved are there */
	struct bmf_bits *needed; /* NULL: all; without those that were released */
	struct mfs_preserved *preserved;
	struct bmf_bits *kept;		   /* blocks that are PRESERVED */
	struct bmf_bits *_Atomic released; /* blocks that nobody will read any more; or NULL */
	uint64_t *sums; /* XXH3 of each block that is PRESERVED; memory where it is used */
	int map_fd;

	pthread_mutex_t lock;
	pthread_cond_t settled; /* a block has left BUSY */
};

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

static bool is_broken(const struct mfs_snapshot_image *image)
{
	return atomic_load(image->common->broken) != 0;
}

static void fail(const struct mfs_snapshot_image *image, int error, const char *verb)
{
	image->common->failed(image->common->failed_arg, image, error, verb);
}

void mfs_snapshot_image_preserve_failed(void *image, int error)
{
	fail(image, error, "write old blocks of");
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

static bool prepare(struct mfs_snapshot_image *image, struct bmf_tracker *tracker)
{
	int r;

	if (atomic_load(&image->prepared))
		return true;
	pthread_mutex_lock(&image->lock);
	r = prepare_locked(image, tracker);
	pthread_mutex_unlock(&image->lock);
	if (r < 0)
		fail(image, r, "preserve old blocks of");
	return r == 0;
}

/* A descriptor, or -errno. */
static int reading_fd(struct mfs_snapshot_image *image)
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

/* --- writers */

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

static bool is_settled(uint8_t state)
{
	return state != MFS_BLOCK_SAME && state != MFS_BLOCK_BUSY;
}

static uint64_t block_offset(const struct mfs_snapshot_image *image, uint64_t block)
{
	return block << image->common->block_shift;
}

static size_t block_nbytes(const struct mfs_snapshot_image *image, uint64_t block)
{
	uint64_t offset = block_offset(image, block);
	uint64_t size = UINT64_C(1) << image->common->block_shift;

	return (size_t)(image->size - offset < size ? image->size - offset : size);
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
		fail(image, -r, "preserve old blocks of");
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
		fail(image, r, "preserve old blocks of"); /* before anybody finds the block lost */
	settle(image, block, r < 0 ? MFS_BLOCK_LOST : (uint8_t)r);
}

/* Among many blocks, the clock is looked at now and then, whatever is done with each. */
static void look_at_clock(struct change *c, uint64_t block)
{
	if ((block - c->first) % CLOCK_EVERY == CLOCK_EVERY - 1 &&
	    mfs_deadline_passed(deadline_of(c)))
		fail(c->image, -ETIMEDOUT, "preserve old blocks of");
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
	if (!prepare(image, tracker))
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

/* --- readers */

/* SAME when there are no states yet. */
static uint8_t state_of(const struct mfs_snapshot_image *image, uint64_t block)
{
	const block_state *states = atomic_load(&image->states);

	return states ? atomic_load(&states[block]) : MFS_BLOCK_SAME;
}

/* Part of a block that is PRESERVED, if it is what was put there. */
static int read_preserved(struct mfs_snapshot_image *image, char *buf, size_t nbytes,
			  uint64_t offset)
{
	uint64_t block = offset >> image->common->block_shift;
	uint64_t begin = block_offset(image, block);
	size_t whole = block_nbytes(image, block);
	char *data = malloc(whole);
	int r;

	if (!data)
		return -ENOMEM;
	r = mfs_preserved_get(image->preserved, data, whole, begin);
	if (r == 0 && XXH3_64bits(data, whole) != image->sums[block])
		r = -EIO;
	if (r == 0)
		memcpy(buf, data + (offset - begin), nbytes);
	free(data);
	/* one that was released meanwhile is no loss */
	if (r < 0 && r != -ENOMEM && state_of(image, block) == MFS_BLOCK_PRESERVED)
		fail(image, r, "read old blocks of");
	return r;
}

/* Part of one block; here, from there on, nbytes were read from the image, or fewer (got). */
static int correct(struct mfs_snapshot_image *image, char *buf, size_t nbytes, size_t got,
		   uint64_t offset)
{
	uint64_t block = offset >> image->common->block_shift;
	int r = 0;

	switch (state_of(image, block)) {
	case MFS_BLOCK_SAME:
	case MFS_BLOCK_BUSY:
		return got < nbytes ? -EIO : 0; /* cut off behind the mount */
	case MFS_BLOCK_PRESERVED:
		r = read_preserved(image, buf, nbytes, offset);
		break;
	case MFS_BLOCK_ZERO:
		memset(buf, 0, nbytes);
		break;
	}
	return state_of(image, block) == MFS_BLOCK_LOST ? -ENODATA : r;
}

ssize_t mfs_snapshot_image_read(struct mfs_snapshot_image *image, void *buf, size_t nbytes,
				off_t offset)
{
	const struct bmf_io *io = image->common->io;
	uint64_t at = (uint64_t)offset, block_size = UINT64_C(1) << image->common->block_shift;
	int fd = reading_fd(image), r = 0;
	ssize_t got;

	if (fd < 0 || is_broken(image))
		return fd < 0 ? fd : -EIO;
	if (at >= image->size)
		return 0;
	if (nbytes > image->size - at)
		nbytes = (size_t)(image->size - at);
	got = io->pread(io, fd, buf, nbytes, offset);
	if (got < 0)
		return got;
	atomic_thread_fence(memory_order_seq_cst); /* R1, R2 at the top */
	for (size_t done = 0, n; r == 0 && done < nbytes; done += n) {
		n = (size_t)(block_size - ((at + done) & (block_size - 1)));
		if (n > nbytes - done)
			n = nbytes - done;
		r = correct(image, (char *)buf + done, n,
			    (size_t)got > done ? (size_t)got - done : 0, at + done);
	}
	if (is_broken(image))
		return -EIO;
	return r < 0 ? r : (ssize_t)nbytes;
}

/* Where the states say that the image itself no longer counts: at most `end`. */
static uint64_t same_until(const struct mfs_snapshot_image *image, uint64_t offset, uint64_t end)
{
	unsigned int shift = image->common->block_shift;
	uint64_t block = offset >> shift;

	if (!atomic_load(&image->states))
		return end;
	while ((block << shift) < end && !is_settled(state_of(image, block)))
		block++;
	offset = block << shift;
	return offset < end ? offset : end;
}

/* What is sought in the image itself, from a block on that is SAME: at most its size. */
static uint64_t seek_in_image(struct mfs_snapshot_image *image, int fd, uint64_t offset, int whence)
{
	off_t found = lseek(fd, (off_t)offset, whence);

	if (found < 0) /* no data; or it can't be told, which makes all of it data */
		return whence == SEEK_DATA && errno != ENXIO ? offset : image->size;
	return (uint64_t)found < image->size ? (uint64_t)found : image->size;
}

static off_t seek(struct mfs_snapshot_image *image, off_t offset, int whence)
{
	uint64_t block_size = UINT64_C(1) << image->common->block_shift, at = (uint64_t)offset;
	uint64_t found = 0; /* in the image; what is SAME now was so then */
	int fd = reading_fd(image);

	if (fd < 0)
		return fd;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (offset < 0 || at >= image->size)
		return -ENXIO;
	while (at < image->size) {
		uint8_t state = state_of(image, at >> image->common->block_shift);
		uint64_t same;

		if (is_settled(state)) {
			if ((state == MFS_BLOCK_ZERO) == (whence == SEEK_HOLE))
				return (off_t)at;
			at = (at & ~(block_size - 1)) + block_size;
			continue;
		}
		/* once for many runs of such blocks: a filesystem may look at all up to there */
		if (found == 0 || found < at) {
			found = seek_in_image(image, fd, at, whence);
			/* after it: what was found counts as far as nobody has changed it */
			atomic_thread_fence(memory_order_seq_cst);
		}
		same = same_until(image, at, found < image->size ? found + 1 : found);
		if (same > found)
			return (off_t)found;
		at = same;
	}
	return whence == SEEK_HOLE ? (off_t)image->size : -ENXIO;
}

off_t mfs_snapshot_image_seek(struct mfs_snapshot_image *image, off_t offset, int whence)
{
	off_t found = seek(image, offset, whence);

	/* as R2: once it is broken, what was found may be a hole of now */
	return is_broken(image) ? -EIO : found;
}

/* --- the rest */

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
