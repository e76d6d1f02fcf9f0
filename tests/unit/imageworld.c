/* SPDX-License-Identifier: GPL-2.0-or-later */
/* imageworld.c - one image under the daemon's write path, and random changes of it */
#include "config.h"

#include "tests/unit/imageworld.h"

#include "bitmapfile/tracker.h"
#include "fs/image.h"
#include "tests/unit/scratch.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

struct faultio fault;
struct mfs image_fs;
struct mfs_node *node;
struct mfs_handle *handle;
struct rng rng;
bool touched[NBLOCKS];
struct mfs_snapshots_options imageworld_options = { .preserve_timeout = 60 };

static unsigned char scratch[LENGTH_MAX + 8 * BLOCK];

void imageworld_setup(void)
{
	const struct bmf_source_options options = {
		.block_shift = 12, .region_shift = 16, .create = true, .holder = "test"
	};
	struct stat st;
	int fd;

	faultio_init(&fault, &bmf_io_posix);
	image_fs = (struct mfs){ .io = &fault.io, .source_fd = scratch_fd };
	ck_assert_int_eq(bmf_source_open(&fault.io, scratch_fd, &options, &image_fs.source, NULL),
			 0);
	ck_assert_int_eq(mfs_nodes_init(&image_fs.nodes, scratch_fd), 0);
	mfs_handles_init(&image_fs.handles);
	mfs_gate_init(&image_fs.gate);
	pthread_rwlock_init(&image_fs.namespace, NULL);
	pthread_mutex_init(&image_fs.rollover, NULL);
	pthread_mutex_init(&image_fs.instant_lock, NULL);
	mfs_snapshots_open(&image_fs, &imageworld_options);
	fd = openat(scratch_fd, "image", O_CREAT | O_EXCL | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mfs_node_of_fd(&image_fs, fd, &node, &st), 0);
	ck_assert_int_eq(mfs_handle_new(&image_fs, node, fd, O_RDWR, &handle), 0);
}

void imageworld_teardown(void)
{
	faultio_arm(&fault, 0, 0, 0, 0);
	mfs_snapshots_close(&image_fs);
	mfs_handles_destroy(&image_fs.handles);
	mfs_nodes_destroy(&image_fs.nodes);
	ck_assert_int_eq(bmf_source_close(image_fs.source), 0);
	pthread_rwlock_destroy(&image_fs.namespace);
	pthread_mutex_destroy(&image_fs.instant_lock);
	pthread_mutex_destroy(&image_fs.rollover);
	mfs_gate_destroy(&image_fs.gate);
	unlinkat(scratch_fd, "image", 0);
}

size_t image_read(unsigned char *buf)
{
	ssize_t n;

	memset(buf, 0, MAX_BYTES);
	n = pread(handle->fd, buf, MAX_BYTES, 0);
	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

size_t image_size(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(handle->fd, &st), 0);
	return (size_t)st.st_size;
}

/* Bytes [from, to) may change; those between the end and from as well. */
void image_touch(size_t from, size_t to)
{
	if (from > image_size())
		from = image_size();
	for (size_t i = from / BLOCK; i * BLOCK < to; i++)
		touched[i] = true;
}

static void random_range(size_t *offset, size_t *n)
{
	*n = 1 + rng_below(&rng, rng_below(&rng, 3) ? 3 * BLOCK : LENGTH_MAX);
	*offset = rng_below(&rng, MAX_BYTES - *n);
	if (rng_below(&rng, 3) == 0)
		*offset -= *offset % BLOCK;
}

void random_write(size_t offset, size_t n)
{
	for (size_t i = 0; i < n; i++)
		scratch[i] = (unsigned char)rng_next(&rng);
	image_touch(offset, offset + n);
	ck_assert_int_eq(mfs_image_write(&image_fs, handle->tracker, handle->fd, scratch, n,
					 (off_t)offset, false),
			 (ssize_t)n);
}

static void random_truncate(size_t size)
{
	size_t old = image_size();

	image_touch(size < old ? size : old, size < old ? old : size);
	if (rng_below(&rng, 2))
		ck_assert_int_eq(
			mfs_image_truncate(&image_fs, handle->tracker, handle->fd, (off_t)size), 0);
	else
		ck_assert_int_eq(mfs_image_truncate_node(&image_fs, node, (off_t)size), 0);
}

static void random_fallocate(int mode, size_t offset, size_t n)
{
	size_t old = image_size(), end = offset + n;
	int r;

	if ((mode & ~FALLOC_FL_KEEP_SIZE) == 0) {
		/* what lies inside stays as it is */
		if (!mode && end > old)
			image_touch(old, end);
	} else if (!(mode & FALLOC_FL_KEEP_SIZE) || offset < old) {
		image_touch(offset, (mode & FALLOC_FL_KEEP_SIZE) && end > old ? old : end);
	}
	r = mfs_image_fallocate(&image_fs, handle->tracker, handle->fd, mode, (off_t)offset,
				(off_t)n);
	ck_assert_msg(r == 0 || r == -EOPNOTSUPP, "fallocate mode %d: %d", mode, r);
}

/* Ranges in whole blocks, as filesystems demand. */
static void random_moving(int mode)
{
	size_t size = image_size(), n = (1 + rng_below(&rng, 8)) * BLOCK, offset;
	int r;

	if (size < 2 * BLOCK)
		return;
	offset = rng_below(&rng, size / BLOCK) * BLOCK;
	if (mode == FALLOC_FL_COLLAPSE_RANGE ? offset + n >= size : size + n > MAX_BYTES)
		return;
	image_touch(offset, mode == FALLOC_FL_COLLAPSE_RANGE ? size : size + n);
	r = mfs_image_fallocate(&image_fs, handle->tracker, handle->fd, mode, (off_t)offset,
				(off_t)n);
	ck_assert_msg(r == 0 || r == -EOPNOTSUPP, "fallocate mode %d: %d", mode, r);
}

static void random_copy(size_t from, size_t to, size_t n)
{
	size_t size = image_size();

	if (from < to + n && to < from + n)
		return;
	if (from < size)
		image_touch(to, to + (n > size - from ? size - from : n));
	ck_assert_int_ge(mfs_image_copy(&image_fs, handle->fd, (off_t)from, handle->tracker,
					handle->fd, (off_t)to, n),
			 0);
}

void random_change(void)
{
	size_t offset, n, other, ignored;

	random_range(&offset, &n);
	switch (rng_below(&rng, 12)) {
	case 0:
		random_truncate(offset);
		break;
	case 1:
		random_fallocate(0, offset, n);
		break;
	case 2:
		random_fallocate(FALLOC_FL_KEEP_SIZE, offset, n);
		break;
	case 3:
		random_fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, n);
		break;
	case 4:
		random_fallocate(FALLOC_FL_ZERO_RANGE, offset, n);
		break;
	case 5:
		random_fallocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, n);
		break;
	case 6:
		random_moving(FALLOC_FL_COLLAPSE_RANGE);
		break;
	case 7:
		random_moving(FALLOC_FL_INSERT_RANGE);
		break;
	case 8:
		random_range(&other, &ignored);
		if (other + n <= MAX_BYTES)
			random_copy(offset, other, n);
		break;
	default:
		random_write(offset, n);
	}
}
