/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot_image.h - one image as it was at a snapshot: block states, copy-before-write
 *
 * Of each block, the state says where its old content is (enum mfs_block_state in
 * control.h).  A writer settles the state of what it is about to change, with the old content
 * preserved if it is needed, before it changes the image.  A reader reads the image first, then
 * the state: if that still says SAME (or BUSY), what it read was old; if not, it reads what
 * was preserved.  So readers and writers share no lock, and a writer takes one only for a
 * block that it is the first to change.
 *
 * All of it is memory of the daemon, and some of it is shared with mirrorctl, which may read
 * an image itself by the same rule: see MFS_CONTROL_SNAPSHOT_IMAGE.
 *
 * Thread safe, except open and close.
 */
#ifndef FS_SNAPSHOT_IMAGE_H
#define FS_SNAPSHOT_IMAGE_H

#include "fs/control.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct bmf_io;
struct bmf_tracker;
struct mfs_preserve;
struct mfs_snapshot_image;

/* How long the guest's change at hand may be held up by all snapshots together. */
struct mfs_patience {
	unsigned int timeout_ms;
	bool begun; /* until is set: by the first that may have to wait */
	struct timespec until;
};

/* What all images of one snapshot have in common. */
struct mfs_snapshot_common {
	const struct bmf_io *io;
	struct mfs_preserve *preserve;
	unsigned int block_shift;
	int fd_max; /* larger descriptors are left to guests */
	/*
	 * Set once it is broken (a negative errno), before any writer leaves a block unpreserved.
	 * In memory that is shared with readers.
	 */
	_Atomic int32_t *broken;
	uint64_t from, to; /* only what changed between these checkpoints is needed; from 0: all */
	/* Breaks the snapshot: a negative errno, and what failed with that image. */
	void (*failed)(void *arg, const struct mfs_snapshot_image *image, int error,
		       const char *verb);
	void *failed_arg;
};

/* fd: O_PATH, taken over on success.  common is borrowed.  whole: all its blocks are needed,
 * whatever from is. */
int mfs_snapshot_image_open(const struct mfs_snapshot_common *common, int fd, bool whole,
			    struct mfs_snapshot_image **ret);
/* Nobody reads or writes any more.  NULL is allowed. */
void mfs_snapshot_image_close(struct mfs_snapshot_image *image);

/* Its size at the snapshot; set once, while the gate is closed. */
void mfs_snapshot_image_set_size(struct mfs_snapshot_image *image, uint64_t nbytes);

int mfs_snapshot_image_fd(const struct mfs_snapshot_image *image);

/*
 * [offset, offset + nbytes) of the image is about to change, after tracker was told of it and in
 * the same stay in the gate.  Never fails: what can't be preserved breaks the snapshot.
 */
void mfs_snapshot_image_before_change(struct mfs_snapshot_image *image, struct bmf_tracker *tracker,
				      uint64_t offset, uint64_t nbytes,
				      struct mfs_patience *patience);

/*
 * Old content: the bytes read, fewer only at the end; -EIO when the snapshot is broken, or the
 * image was changed behind the mount; -ENODATA: overwritten, as it was not needed.
 */
ssize_t mfs_snapshot_image_read(struct mfs_snapshot_image *image, void *buf, size_t nbytes,
				off_t offset);

/* As lseek with SEEK_DATA or SEEK_HOLE; what is preserved counts as data.  -EIO as above. */
off_t mfs_snapshot_image_seek(struct mfs_snapshot_image *image, off_t offset, int whence);

/*
 * The blocks that lie in the range as a whole (or reach to the end) are not needed any more: they
 * are LOST when they are overwritten, and at once if they had been.
 */
void mfs_snapshot_image_release(struct mfs_snapshot_image *image, uint64_t offset, uint64_t nbytes);

/*
 * A descriptor of the states, one byte a block, for another process to map; the image's
 * own.  0, or -errno.
 */
int mfs_snapshot_image_share(struct mfs_snapshot_image *image, int *ret_map_fd);

/* The snapshot is broken: nobody will read what was preserved. */
void mfs_snapshot_image_discard(struct mfs_snapshot_image *image);

/* The bytes that are preserved of it. */
uint64_t mfs_snapshot_image_preserved(const struct mfs_snapshot_image *image);

/* For struct mfs_preserve_options: what was preserved could not be written. */
void mfs_snapshot_image_preserve_failed(void *image, int error);

#endif
