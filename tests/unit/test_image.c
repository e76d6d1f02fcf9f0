/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_image.c - the write path: what it changes is in the bitmap, and no more
 *
 * Random changes of one image through image.h, held against what the image was at
 * the last checkpoint: a block that differs must have its bit (I1), and one that no
 * change touched must not.  And: an fsync that failed once fails for good, and a
 * change that can't be tracked is not made.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/identity.h"
#include "bitmapfile/tracker.h"
#include "fs/fs.h"
#include "fs/image.h"
#include "tests/unit/faultio.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096u
#define NBLOCKS 512u
#define MAX_BYTES (NBLOCKS * BLOCK)
#define LENGTH_MAX (40u * BLOCK)

static struct faultio fault;
static struct mfs fs;
static struct mfs_node *node;
static struct mfs_handle *handle;
static struct rng rng;

static unsigned char before[MAX_BYTES], now[MAX_BYTES], scratch[MAX_BYTES];
static bool touched[NBLOCKS];

static void setup(void)
{
	const struct bmf_source_options options = {
		.block_shift = 12, .region_shift = 16, .create = true, .holder = "test_image"
	};
	struct stat st;
	int fd;

	faultio_init(&fault, &bmf_io_posix);
	fs = (struct mfs){ .io = &fault.io, .source_fd = scratch_fd };
	ck_assert_int_eq(bmf_source_open(&fault.io, scratch_fd, &options, &fs.source, NULL), 0);
	ck_assert_int_eq(mfs_nodes_init(&fs.nodes, scratch_fd), 0);
	mfs_handles_init(&fs.handles);
	mfs_gate_init(&fs.gate);
	fd = openat(scratch_fd, "image", O_CREAT | O_EXCL | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mfs_node_of_fd(&fs, fd, &node, &st), 0);
	ck_assert_int_eq(mfs_handle_new(&fs, node, fd, O_RDWR, &handle), 0);
}

static void teardown(void)
{
	faultio_arm(&fault, 0, 0, 0, 0);
	mfs_handles_destroy(&fs.handles);
	mfs_nodes_destroy(&fs.nodes);
	ck_assert_int_eq(bmf_source_close(fs.source), 0);
	mfs_gate_destroy(&fs.gate);
	unlinkat(scratch_fd, "image", 0);
}

static uint64_t checkpoint(void)
{
	struct bmf_commit commit;
	struct bmf_error err;

	ck_assert_int_eq(mfs_gate_close(&fs.gate, 60000), 0);
	bmf_source_advance(fs.source);
	mfs_gate_open(&fs.gate);
	ck_assert_int_eq(bmf_source_commit(fs.source, NULL, NULL, &commit, &err), 0);
	return commit.checkpoint.number;
}

static size_t read_image(unsigned char *buf)
{
	ssize_t n;

	memset(buf, 0, MAX_BYTES);
	n = pread(handle->fd, buf, MAX_BYTES, 0);
	ck_assert_int_ge(n, 0);
	return (size_t)n;
}

static size_t size_now(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(handle->fd, &st), 0);
	return (size_t)st.st_size;
}

/* Bytes [from, to) may change; those between the end and from as well. */
static void touch(size_t from, size_t to)
{
	if (from > size_now())
		from = size_now();
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

static void random_write(size_t offset, size_t n)
{
	for (size_t i = 0; i < n; i++)
		scratch[i] = (unsigned char)rng_next(&rng);
	touch(offset, offset + n);
	ck_assert_int_eq(
		mfs_image_write(&fs, handle->tracker, handle->fd, scratch, n, (off_t)offset, false),
		(ssize_t)n);
}

static void random_truncate(size_t size)
{
	size_t old = size_now();

	touch(size < old ? size : old, size < old ? old : size);
	if (rng_below(&rng, 2))
		ck_assert_int_eq(mfs_image_truncate(&fs, handle->tracker, handle->fd, (off_t)size),
				 0);
	else
		ck_assert_int_eq(mfs_image_truncate_node(&fs, node, (off_t)size), 0);
}

static void random_fallocate(int mode, size_t offset, size_t n)
{
	size_t old = size_now(), end = offset + n;
	int r;

	if ((mode & ~FALLOC_FL_KEEP_SIZE) == 0) {
		/* what lies inside stays as it is */
		if (!mode && end > old)
			touch(old, end);
	} else if (!(mode & FALLOC_FL_KEEP_SIZE) || offset < old) {
		touch(offset, (mode & FALLOC_FL_KEEP_SIZE) && end > old ? old : end);
	}
	r = mfs_image_fallocate(&fs, handle->tracker, handle->fd, mode, (off_t)offset, (off_t)n);
	ck_assert_msg(r == 0 || r == -EOPNOTSUPP, "fallocate mode %d: %d", mode, r);
}

/* Ranges in whole blocks, as filesystems demand. */
static void random_moving(int mode)
{
	size_t size = size_now(), n = (1 + rng_below(&rng, 8)) * BLOCK, offset;
	int r;

	if (size < 2 * BLOCK)
		return;
	offset = rng_below(&rng, size / BLOCK) * BLOCK;
	if (mode == FALLOC_FL_COLLAPSE_RANGE ? offset + n >= size : size + n > MAX_BYTES)
		return;
	touch(offset, mode == FALLOC_FL_COLLAPSE_RANGE ? size : size + n);
	r = mfs_image_fallocate(&fs, handle->tracker, handle->fd, mode, (off_t)offset, (off_t)n);
	ck_assert_msg(r == 0 || r == -EOPNOTSUPP, "fallocate mode %d: %d", mode, r);
}

static void random_copy(size_t from, size_t to, size_t n)
{
	size_t size = size_now();

	if (from < to + n && to < from + n)
		return;
	if (from < size)
		touch(to, to + (n > size - from ? size - from : n));
	ck_assert_int_ge(mfs_image_copy(&fs, handle->fd, (off_t)from, handle->tracker, handle->fd,
					(off_t)to, n),
			 0);
}

static void random_change(void)
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

/* The bits since the checkpoint, as another process finds them. */
static struct bmf_bits *load_bits(uint64_t since)
{
	struct bmf_sidecar *sidecar;
	struct bmf_store *store;
	struct bmf_uuid id;
	struct bmf_bits *bits;

	ck_assert_int_eq(bmf_source_flush(fs.source), 0);
	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, node->fd, &id), 0);
	ck_assert_int_eq(bmf_store_load_sidecar(store, &id, &sidecar, NULL), 0);
	ck_assert_int_eq(bmf_chain_delta(sidecar, since, since + 1, &bits), 0);
	bmf_sidecar_free(sidecar);
	bmf_store_close(store);
	return bits;
}

/* A replica holds `before`, cut or grown to the new size: what else must it get? */
static void check_bits(uint64_t since)
{
	size_t size = read_image(now);
	struct bmf_bits *bits = load_bits(since);

	for (size_t i = 0; i < NBLOCKS; i++) {
		size_t n = i * BLOCK >= size	      ? 0
			   : size - i * BLOCK < BLOCK ? size - i * BLOCK
						      : BLOCK;
		bool differs = memcmp(before + i * BLOCK, now + i * BLOCK, n) != 0;

		ck_assert_msg(!differs || bmf_bits_test(bits, i), "block %zu was missed", i);
		ck_assert_msg(!bmf_bits_test(bits, i) || touched[i], "block %zu is set for nothing",
			      i);
	}
	bmf_bits_free(bits);
}

START_TEST(test_changes_are_in_the_bitmap)
{
	rng = rng_start("test_image");
	random_write(0, 30 * BLOCK + 17);
	for (int round = 0; round < 60; round++) {
		uint64_t since = checkpoint();

		read_image(before);
		memset(touched, 0, sizeof(touched));
		for (uint64_t n = rng_below(&rng, 12); n > 0; n--)
			random_change();
		if (rng_below(&rng, 4) == 0)
			bmf_source_keep(fs.source);
		check_bits(since);
	}
}
END_TEST

/* What a failed fsync lost can't be told: no later one may say that all is well. */
START_TEST(test_failed_fsync_sticks)
{
	struct mfs_handle *reader;

	checkpoint();
	random_write(0, BLOCK);
	ck_assert_int_eq(mfs_handle_open(&fs, node, O_RDONLY, &reader), 0);
	ck_assert_int_eq(mfs_image_sync(&fs, handle, handle->fd, false), 0);
	faultio_arm(&fault, FAULTIO_FSYNC | FAULTIO_FDATASYNC, 1, -ENOSPC, 0);
	ck_assert_int_eq(mfs_image_sync(&fs, handle, handle->fd, _i), -ENOSPC);
	ck_assert(faultio_fired(&fault));
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_int_eq(mfs_image_sync(&fs, handle, handle->fd, false), -ENOSPC);
	ck_assert_int_eq(mfs_image_sync(&fs, handle, handle->fd, true), -ENOSPC);
	ck_assert_int_eq(mfs_image_sync(&fs, reader, reader->fd, false), -ENOSPC);
}
END_TEST

/* A durable write is a write and an fsync: it sticks as well, but not where nothing was written. */
START_TEST(test_failed_durable_write_sticks)
{
	checkpoint();
	random_write(0, BLOCK);
	faultio_arm(&fault, FAULTIO_PWRITE, 1, -EFBIG, 0);
	ck_assert_int_eq(mfs_image_write(&fs, handle->tracker, handle->fd, "x", 1, 0, true),
			 -EFBIG);
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_int_eq(mfs_image_sync(&fs, handle, handle->fd, false), 0);
	faultio_arm(&fault, FAULTIO_PWRITE, 1, -EIO, 0);
	ck_assert_int_eq(mfs_image_write(&fs, handle->tracker, handle->fd, "x", 1, 0, true), -EIO);
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_int_eq(mfs_image_sync(&fs, handle, handle->fd, false), -EIO);
}
END_TEST

/* I1: the one case in which a guest's write is refused. */
START_TEST(test_what_cannot_be_tracked_is_not_made)
{
	/* none of these is done to the image itself */
	const unsigned int state_dir = FAULTIO_OPENAT | FAULTIO_PWRITE_DSYNC | FAULTIO_FSYNC |
				       FAULTIO_FDATASYNC | FAULTIO_RENAMEAT | FAULTIO_UNLINKAT;
	size_t size;

	random_write(0, 8 * BLOCK);
	checkpoint();
	size = read_image(before);
	faultio_arm(&fault, state_dir, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_lt(mfs_image_write(&fs, handle->tracker, handle->fd, "x", 1, 0, true), 0);
	ck_assert_int_lt(mfs_image_truncate(&fs, handle->tracker, handle->fd, 1), 0);
	ck_assert_int_lt(mfs_image_fallocate(&fs, handle->tracker, handle->fd,
					     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BLOCK),
			 0);
	ck_assert_int_lt(
		mfs_image_copy(&fs, handle->fd, 0, handle->tracker, handle->fd, 4 * BLOCK, BLOCK),
		0);
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_uint_eq(read_image(now), size);
	ck_assert_int_eq(memcmp(before, now, MAX_BYTES), 0);
	/* and when the disk is well again, so is the image */
	random_write(0, BLOCK);
}
END_TEST

/* A full disk is the writer's matter; what was written of it counts as changed. */
START_TEST(test_failing_write_is_in_the_bitmap)
{
	uint64_t since;

	random_write(0, 8 * BLOCK);
	since = checkpoint();
	read_image(before);
	memset(touched, 0, sizeof(touched));
	touch(2 * BLOCK, 6 * BLOCK);
	memset(scratch, 0xee, 4 * BLOCK);
	faultio_arm(&fault, FAULTIO_PWRITE, 1, -ENOSPC, FAULTIO_SHORT);
	ck_assert_int_eq(mfs_image_write(&fs, handle->tracker, handle->fd, scratch, 4 * BLOCK,
					 2 * BLOCK, false),
			 -ENOSPC);
	faultio_arm(&fault, 0, 0, 0, 0);
	check_bits(since);
	ck_assert_int_eq(now[2 * BLOCK], 0xee);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image");
	TCase *tcase = tcase_create("image");

	tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_changes_are_in_the_bitmap);
	tcase_add_loop_test(tcase, test_failed_fsync_sticks, 0, 2);
	tcase_add_test(tcase, test_failed_durable_write_sticks);
	tcase_add_test(tcase, test_what_cannot_be_tracked_is_not_made);
	tcase_add_test(tcase, test_failing_write_is_in_the_bitmap);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
