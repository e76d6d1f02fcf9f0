/* SPDX-License-Identifier: GPL-2.0-or-later */
/* image.c - the write path of one image: gate, tracker, backing file */
#include "config.h"

#include "fs/image.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/tracker.h"
#include "fs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

/*
 * One request copies no more than this: while it runs it is in the gate, and a
 * rollover, hence every other writer, waits for it (I3).
 */
#define COPY_MAX ((size_t)16 << 20)

int mfs_image_track(struct mfs *fs, const struct mfs_node *node, struct bmf_tracker **ret)
{
	struct bmf_tracker *tracker;
	int r;

	r = fs->source ? bmf_source_track(fs->source, node->fd, &tracker) : -EROFS;
	if (r == 0 && fs->notrack) {
		r = bmf_tracker_disown(tracker);
		if (r < 0)
			bmf_tracker_put(tracker);
	}
	if (r == 0)
		*ret = tracker;
	return r;
}

/* With notrack nobody closes the gate. */
static void enter_gate(struct mfs *fs)
{
	if (!fs->notrack)
		mfs_gate_enter(&fs->gate);
}

static void leave_gate(struct mfs *fs)
{
	if (!fs->notrack)
		mfs_gate_leave(&fs->gate);
}

/* The size of an image whose change failed or did not say how far it went. */
static void note_size(struct mfs *fs, struct bmf_tracker *tracker, int fd)
{
	struct stat st;

	if (fs->io->fstat(fs->io, fd, &st) == 0)
		bmf_tracker_set_size(tracker, (uint64_t)st.st_size);
}

/*
 * What comes before every change of bytes: it is noted (I1), then what snapshots need of
 * the old content is preserved.
 */
static int before_change(struct mfs *fs, struct bmf_tracker *tracker, uint64_t offset,
			 uint64_t nbytes)
{
	int r;

	if (fs->notrack)
		return 0;
	r = bmf_tracker_change(tracker, offset, nbytes);
	if (r == 0)
		mfs_snapshots_before_change(fs, &fs->snapshots, tracker, offset, nbytes);
	return r;
}

/* A change that moves times but no byte. */
static int no_change(struct bmf_tracker *tracker)
{
	bmf_tracker_touch(tracker); /* may fail: see mfs_image_touch() */
	return 0;
}

static void durable_write_failed(struct bmf_tracker *tracker, int error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
		bmf_tracker_doubt(tracker);
		break;
	case -EINVAL: /* refused: nothing was written */
	case -EFBIG:
	case -EBADF:
	case -EINTR:
	case -EAGAIN:
	case -ENOMEM:
		break;
	default:
		bmf_tracker_fail(tracker, error);
	}
}

ssize_t mfs_image_write(struct mfs *fs, struct bmf_tracker *tracker, int fd, const void *buf,
			size_t nbytes, off_t offset, bool durable)
{
	bool failed = false;
	ssize_t r;

	enter_gate(fs);
	r = before_change(fs, tracker, (uint64_t)offset, nbytes);
	if (r == 0) {
		r = fs->io->pwrite(fs->io, fd, buf, nbytes, offset);
		failed = r < 0;
		if (failed)
			note_size(fs, tracker, fd);
		else
			bmf_tracker_grown(tracker, (uint64_t)offset + nbytes);
	}
	leave_gate(fs);
	if (failed && durable)
		durable_write_failed(tracker, (int)r);
	return r;
}

static int change_size(struct mfs *fs, struct bmf_tracker *tracker, off_t from, off_t to)
{
	if (to > from)
		return before_change(fs, tracker, (uint64_t)from, (uint64_t)(to - from));
	if (to < from)
		return before_change(fs, tracker, (uint64_t)to, (uint64_t)(from - to));
	return no_change(tracker);
}

static int truncate_in_gate(struct mfs *fs, struct bmf_tracker *tracker, int fd, off_t size)
{
	const struct bmf_io *io = fs->io;
	struct stat st;
	int r;

	r = io->fstat(io, fd, &st);
	if (r == 0)
		r = change_size(fs, tracker, st.st_size, size);
	if (r < 0)
		return r;
	r = io->ftruncate(io, fd, size);
	if (r == 0)
		bmf_tracker_set_size(tracker, (uint64_t)size);
	else
		note_size(fs, tracker, fd);
	return r;
}

int mfs_image_truncate(struct mfs *fs, struct bmf_tracker *tracker, int fd, off_t size)
{
	int r;

	enter_gate(fs);
	r = truncate_in_gate(fs, tracker, fd, size);
	leave_gate(fs);
	return r;
}

/* Of what nobody has open for writing: by a handle of its own for the moment. */
int mfs_image_truncate_node(struct mfs *fs, struct mfs_node *node, off_t size)
{
	struct mfs_handle *handle;
	int r;

	r = mfs_handle_open(fs, node, O_WRONLY, &handle);
	if (r < 0)
		return r;
	r = mfs_image_truncate(fs, handle->tracker, handle->fd, size);
	mfs_handle_close(fs, handle);
	return r;
}

/* What an fallocate of that mode may change in an image of that size. */
static int change_by_fallocate(struct mfs *fs, struct bmf_tracker *tracker, int mode, off_t offset,
			       off_t nbytes, off_t size)
{
	off_t end = offset + nbytes;

	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0: /* gives space to holes: they read as zeros before and after */
	case FALLOC_FL_UNSHARE_RANGE:
		if ((mode & FALLOC_FL_KEEP_SIZE) || end <= size)
			return no_change(tracker);
		return change_size(fs, tracker, size, end);
	case FALLOC_FL_PUNCH_HOLE:
	case FALLOC_FL_ZERO_RANGE:
		if ((mode & FALLOC_FL_KEEP_SIZE) && end > size)
			end = size;
		if (end <= offset)
			return no_change(tracker);
		return before_change(fs, tracker, (uint64_t)offset, (uint64_t)(end - offset));
	case FALLOC_FL_COLLAPSE_RANGE:
	case FALLOC_FL_INSERT_RANGE:
		/*
		 * What is inserted moves the tail to beyond the end as it is now.  The kernel
		 * holds the inode's lock, so nobody appends between fstat and fallocate.
		 */
		if (mode & FALLOC_FL_INSERT_RANGE &&
		    before_change(fs, tracker, (uint64_t)size, (uint64_t)nbytes) < 0)
			return -EIO;
		/* by the size that is, not as it was noted: a note may have failed (I1) */
		return offset < size ? before_change(fs, tracker, (uint64_t)offset,
						     (uint64_t)(size - offset))
				     : no_change(tracker);
	default:
		return -EOPNOTSUPP; /* what is not known can't be tracked */
	}
}

static int fallocate_in_gate(struct mfs *fs, struct bmf_tracker *tracker, int fd, int mode,
			     off_t offset, off_t nbytes)
{
	const struct bmf_io *io = fs->io;
	struct stat st;
	off_t end;
	int r;

	if (offset < 0 || nbytes <= 0)
		return -EINVAL;
	if (__builtin_add_overflow(offset, nbytes, &end))
		return -EFBIG;
	r = io->fstat(io, fd, &st);
	if (r == 0)
		r = change_by_fallocate(fs, tracker, mode, offset, nbytes, st.st_size);
	if (r < 0)
		return r;
	r = io->fallocate(io, fd, mode, offset, nbytes);
	note_size(fs, tracker, fd);
	return r;
}

int mfs_image_fallocate(struct mfs *fs, struct bmf_tracker *tracker, int fd, int mode, off_t offset,
			off_t nbytes)
{
	int r;

	enter_gate(fs);
	r = fallocate_in_gate(fs, tracker, fd, mode, offset, nbytes);
	leave_gate(fs);
	return r;
}

static ssize_t copy_in_gate(struct mfs *fs, int fd_in, off_t offset_in, struct bmf_tracker *tracker,
			    int fd_out, off_t offset_out, size_t nbytes)
{
	const struct bmf_io *io = fs->io;
	struct stat st;
	ssize_t r;

	r = io->fstat(io, fd_in, &st);
	if (r < 0 || offset_in >= st.st_size)
		return r;
	if (nbytes > COPY_MAX)
		nbytes = COPY_MAX;
	if ((off_t)nbytes > st.st_size - offset_in)
		nbytes = (size_t)(st.st_size - offset_in);

	r = before_change(fs, tracker, (uint64_t)offset_out, nbytes);
	if (r < 0)
		return r;
	r = io->copy_file_range(io, fd_in, offset_in, fd_out, offset_out, nbytes);
	if (r > 0)
		bmf_tracker_grown(tracker, (uint64_t)offset_out + (size_t)r);
	else
		note_size(fs, tracker, fd_out);
	return r;
}

ssize_t mfs_image_copy(struct mfs *fs, int fd_in, off_t offset_in, struct bmf_tracker *tracker,
		       int fd_out, off_t offset_out, size_t nbytes)
{
	ssize_t r;

	enter_gate(fs);
	r = copy_in_gate(fs, fd_in, offset_in, tracker, fd_out, offset_out, nbytes);
	leave_gate(fs);
	return r;
}

/* The tracker of an open file; a file open for reading has none yet.  A reference. */
static int track_handle(struct mfs *fs, const struct mfs_handle *handle, struct bmf_tracker **ret)
{
	if (!handle->tracker)
		return mfs_image_track(fs, handle->node, ret);
	*ret = bmf_tracker_get(handle->tracker);
	return 0;
}

static int sync_tracked(struct mfs *fs, struct bmf_tracker *tracker, int fd, bool data_only)
{
	int r = bmf_tracker_failed(tracker);

	if (r < 0)
		return r;
	r = data_only ? fs->io->fdatasync(fs->io, fd) : fs->io->fsync(fs->io, fd);
	if (r < 0)
		bmf_tracker_fail(tracker, r);
	else
		r = bmf_tracker_failed(tracker); /* another's may have failed meanwhile */
	return r;
}

int mfs_image_sync(struct mfs *fs, const struct mfs_handle *handle, int fd, bool data_only)
{
	struct bmf_tracker *tracker;
	int r;

	r = track_handle(fs, handle, &tracker);
	if (r == -EROFS)
		return 0; /* nothing was ever written */
	if (r < 0)
		return r;
	mfs_loop_wait_begin(); /* for a disk */
	r = sync_tracked(fs, tracker, fd, data_only);
	mfs_loop_wait_end();
	bmf_tracker_put(tracker);
	return r;
}

/*
 * An image without an id has no sidecar whose stamp could go wrong.  A tracker, and with
 * it a descriptor, is made only where there is something to note: a chmod -R of
 * a large tree must not use up all descriptors.
 */
static bool has_history(struct mfs *fs, const struct mfs_node *node)
{
	struct bmf_uuid id;

	return S_ISREG(node->type) && fs->source &&
	       bmf_identity_read(fs->io, node->fd, &id) != -ENODATA;
}

void mfs_image_touch(struct mfs *fs, const struct mfs_node *node)
{
	struct bmf_tracker *tracker;

	if (!has_history(fs, node) || mfs_image_track(fs, node, &tracker) < 0)
		return;
	bmf_tracker_touch(tracker);
	bmf_tracker_put(tracker);
}

void mfs_image_unlinking(struct mfs *fs, const struct mfs_node *node)
{
	if (S_ISREG(node->type) && fs->source)
		bmf_source_unlinking(fs->source, node->fd);
}

void mfs_image_unlinked(struct mfs *fs, const struct mfs_node *node)
{
	struct stat st;

	if (S_ISREG(node->type) && fs->source && fstat(node->fd, &st) == 0 && st.st_nlink == 0)
		bmf_source_unlinked(fs->source, &st);
}
