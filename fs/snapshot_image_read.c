/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot_image_read.c - old content: what a reader does with an image of a snapshot */
#include "config.h"

#include "fs/snapshot_image_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

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
		mfs_snapshot_image_fail(image, r, "read old blocks of");
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
	int fd = mfs_snapshot_image_reading_fd(image), r = 0;
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
	atomic_thread_fence(memory_order_seq_cst); /* R1, R2 of snapshot_image.c */
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
	int fd = mfs_snapshot_image_reading_fd(image);

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
