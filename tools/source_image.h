/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source_image.h - one image of a source, to be read as it was at one instant
 *
 * Of a source that isn't mounted that is the file itself.  Of a mounted one it is an image of a
 * snapshot: mostly read past the mount, from the image itself, which is what makes a sync
 * fast; afterwards the states of its blocks say what a guest had overwritten by then, and
 * that is read again from the snapshot (see enum mfs_block_state).
 *
 * Not thread safe, but for source_image_read and _checked.
 */
#ifndef TOOLS_SOURCE_IMAGE_H
#define TOOLS_SOURCE_IMAGE_H

#include "tools/direct.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct source_image {
	int fd;	     /* the image itself, O_RDONLY */
	int file_fd; /* the file that shows it as it was: its metadata; fd unless in a snapshot */
	uint64_t size;
	struct direct direct; /* of fd */
	/* What is known of its data and holes: a hole, then data, then who knows. */
	uint64_t hole, data, data_end;

	/* Of one in a snapshot; states is NULL otherwise. */
	const _Atomic uint8_t *states; /* enum mfs_block_state of each block */
	const _Atomic int32_t *broken;
	uint64_t nblocks;
	uint64_t released;   /* all before that was */
	uint64_t unreleased; /* bytes read since */
	unsigned int block_shift;
	int pid; /* of the daemon; 0: it is a file */
};

/*
 * Of the file open as fd (O_PATH will do), which stays the caller's.  pid: of the daemon, if it
 * is a file in a snapshot; 0 if not.  0 or a negative errno.
 */
int source_image_open(int fd, int pid, struct source_image *ret);
void source_image_close(struct source_image *image);

/*
 * Only what tells of its history: opens with O_PATH what the daemon has open as image_fd.  That, or
 * a negative errno.
 */
int source_image_reach(int pid, int image_fd);

/*
 * To buf, which is as direct_read() wants it; cached: by way of the page cache in any case.
 * The bytes read, fewer only at the end; or a negative errno.  -ENODATA: what was there has been
 * overwritten and was not preserved, as nobody was thought to need it.  -EIO, too, when
 * the snapshot broke.
 */
ssize_t source_image_read(struct source_image *image, void *buf, size_t nbytes, uint64_t offset,
			  bool cached);

/*
 * The second half of it, for who has read image->direct's own way: got is what came of that, in
 * bytes or a negative errno.  What isn't right is read again.  As above.
 */
ssize_t source_image_checked(struct source_image *image, void *buf, size_t nbytes, uint64_t offset,
			     ssize_t got);

/*
 * The next range of data (as opposed to holes) at or after offset, cut at end.  1, 0 when there
 * is none, or a negative errno.  Where the filesystem can't tell, everything is data.
 */
int source_image_next_data(struct source_image *image, uint64_t offset, uint64_t end,
			   uint64_t *ret_first, uint64_t *ret_end);

/*
 * All before offset has been read, nbytes of it since the last time, and need not be preserved
 * any more.  Told to the daemon now and then, and at the end of the image.
 */
void source_image_release(struct source_image *image, uint64_t offset, uint64_t nbytes);

/*
 * An fsync of it failed: its guest is told too.  Of one in a snapshot; 0 or a negative errno.
 */
int source_image_suspect(const struct source_image *image);

#endif
