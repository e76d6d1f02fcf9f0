/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image.h - the write path of one image: gate, tracker, backing file
 *
 * Every change of an image's bytes or size goes through here, and none elsewhere
 * (I1): each is noted in the tracker before it is made, with the gate entered.
 * The kernel holds its inode's lock around all that changes a size, so no two such calls
 * run for one image at a time.
 *
 * fd is open for writing, the tracker that of its node.  Thread safe.
 */
#ifndef FS_IMAGE_H
#define FS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct mfs;
struct mfs_handle;
struct mfs_node;
struct bmf_tracker;

/*
 * The tracker of a regular file; a reference that bmf_tracker_put() gives back.
 * -EROFS when the source can't be tracked at all, other errors as bmf_source_track().
 * With notrack none of its changes will be told, so what was recorded of the image before is
 * given up, durably (I1): times alone would not show every change after a crash.
 */
int mfs_image_track(struct mfs *fs, const struct mfs_node *node, struct bmf_tracker **ret);

/*
 * All nbytes, or -errno.  durable: fd is such that a write is on stable storage when it returns.
 * If such a write fails, what of it the disk holds is in doubt, as after an fsync that failed;
 * but lack of space is something that a guest may wait for and then go on, so that error
 * does not stick.
 */
ssize_t mfs_image_write(struct mfs *fs, struct bmf_tracker *tracker, int fd, const void *buf,
			size_t nbytes, off_t offset, bool durable);

/* 0 or -errno. */
int mfs_image_truncate(struct mfs *fs, struct bmf_tracker *tracker, int fd, off_t size);
int mfs_image_truncate_node(struct mfs *fs, struct mfs_node *node, off_t size);
int mfs_image_fallocate(struct mfs *fs, struct bmf_tracker *tracker, int fd, int mode, off_t offset,
			off_t nbytes);

/* The number of bytes copied, which may be less than asked for, or -errno. */
ssize_t mfs_image_copy(struct mfs *fs, int fd_in, off_t offset_in, struct bmf_tracker *tracker,
		       int fd_out, off_t offset_out, size_t nbytes);

/*
 * fsync or fdatasync.  The first failure sticks to the image: every later call
 * for it, on any descriptor, gives that error, for what was lost can't be told any more.
 */
int mfs_image_sync(struct mfs *fs, const struct mfs_handle *handle, int fd, bool data_only);

/*
 * To be called before metadata of the node changes.  A failure is ignored: then a crash
 * finds a ctime that is not as noted, and the image all dirty, which is safe (I1), and no
 * reason to refuse a chmod (I3).  Does nothing for what is no image with a history.
 */
void mfs_image_touch(struct mfs *fs, const struct mfs_node *node);

/* Before a name of the node goes; and afterwards: it may have been the last one. */
void mfs_image_unlinking(struct mfs *fs, const struct mfs_node *node);
void mfs_image_unlinked(struct mfs *fs, const struct mfs_node *node);

#endif
