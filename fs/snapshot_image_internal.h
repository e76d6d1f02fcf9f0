/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot_image_internal.h - the inside of a snapshot's image, for those who write and who read */
#ifndef FS_SNAPSHOT_IMAGE_INTERNAL_H
#define FS_SNAPSHOT_IMAGE_INTERNAL_H

#include "fs/snapshot_image.h"

#include "bitmapfile/bits.h"
#include "bitmapfile/io.h"
#include "fs/preserve.h"

#include <pthread.h>

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

static inline bool is_broken(const struct mfs_snapshot_image *image)
{
	return atomic_load(image->common->broken) != 0;
}

static inline bool is_settled(uint8_t state)
{
	return state != MFS_BLOCK_SAME && state != MFS_BLOCK_BUSY;
}

static inline uint64_t block_offset(const struct mfs_snapshot_image *image, uint64_t block)
{
	return block << image->common->block_shift;
}

static inline size_t block_nbytes(const struct mfs_snapshot_image *image, uint64_t block)
{
	uint64_t offset = block_offset(image, block);
	uint64_t size = UINT64_C(1) << image->common->block_shift;

	return (size_t)(image->size - offset < size ? image->size - offset : size);
}

/* Makes all that writers need of it, once.  False: it can't, and the snapshot is broken. */
bool mfs_snapshot_image_prepare(struct mfs_snapshot_image *image, struct bmf_tracker *tracker);

/* A descriptor, or -errno. */
int mfs_snapshot_image_reading_fd(struct mfs_snapshot_image *image);

/* Breaks the snapshot. */
void mfs_snapshot_image_fail(const struct mfs_snapshot_image *image, int error, const char *verb);

#endif
