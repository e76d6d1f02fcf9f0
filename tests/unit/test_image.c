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
#include "fs/image.h"
#include "tests/unit/imageworld.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

static unsigned char before[MAX_BYTES], now[MAX_BYTES], scratch[4 * BLOCK];

static uint64_t checkpoint(void)
{
	struct bmf_commit commit;
	struct bmf_error err;

	ck_assert_int_eq(mfs_gate_close(&image_fs.gate, 60000), 0);
	bmf_source_advance(image_fs.source);
	mfs_gate_open(&image_fs.gate);
	ck_assert_int_eq(bmf_source_commit(image_fs.source, NULL, NULL, &commit, &err), 0);
	return commit.checkpoint.number;
}

/* The bits since the checkpoint, as another process finds them. */
static struct bmf_bits *load_bits(uint64_t since)
{
	struct bmf_sidecar *sidecar;
	struct bmf_store *store;
	struct bmf_uuid id;
	struct bmf_bits *bits;

	ck_assert_int_eq(bmf_source_flush(image_fs.source), 0);
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
	size_t size = image_read(now);
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

		image_read(before);
		memset(touched, 0, sizeof(touched));
		for (uint64_t n = rng_below(&rng, 12); n > 0; n--)
			random_change();
		if (rng_below(&rng, 4) == 0)
			bmf_source_keep(image_fs.source);
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
	ck_assert_int_eq(mfs_handle_open(&image_fs, node, O_RDONLY, &reader), 0);
	ck_assert_int_eq(mfs_image_sync(&image_fs, handle, handle->fd, false), 0);
	faultio_arm(&fault, FAULTIO_FSYNC | FAULTIO_FDATASYNC, 1, -ENOSPC, 0);
	ck_assert_int_eq(mfs_image_sync(&image_fs, handle, handle->fd, _i), -ENOSPC);
	ck_assert(faultio_fired(&fault));
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_int_eq(mfs_image_sync(&image_fs, handle, handle->fd, false), -ENOSPC);
	ck_assert_int_eq(mfs_image_sync(&image_fs, handle, handle->fd, true), -ENOSPC);
	ck_assert_int_eq(mfs_image_sync(&image_fs, reader, reader->fd, false), -ENOSPC);
}
END_TEST

/* A durable write is a write and an fsync: it sticks as well, but not where nothing was written. */
START_TEST(test_failed_durable_write_sticks)
{
	checkpoint();
	random_write(0, BLOCK);
	faultio_arm(&fault, FAULTIO_PWRITE, 1, -EFBIG, 0);
	ck_assert_int_eq(mfs_image_write(&image_fs, handle->tracker, handle->fd, "x", 1, 0, true),
			 -EFBIG);
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_int_eq(mfs_image_sync(&image_fs, handle, handle->fd, false), 0);
	faultio_arm(&fault, FAULTIO_PWRITE, 1, -EIO, 0);
	ck_assert_int_eq(mfs_image_write(&image_fs, handle->tracker, handle->fd, "x", 1, 0, true),
			 -EIO);
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_int_eq(mfs_image_sync(&image_fs, handle, handle->fd, false), -EIO);
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
	size = image_read(before);
	faultio_arm(&fault, state_dir, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_lt(mfs_image_write(&image_fs, handle->tracker, handle->fd, "x", 1, 0, true),
			 0);
	ck_assert_int_lt(mfs_image_truncate(&image_fs, handle->tracker, handle->fd, 1), 0);
	ck_assert_int_lt(mfs_image_fallocate(&image_fs, handle->tracker, handle->fd,
					     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BLOCK),
			 0);
	ck_assert_int_lt(mfs_image_copy(&image_fs, handle->fd, 0, handle->tracker, handle->fd,
					4 * BLOCK, BLOCK),
			 0);
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_uint_eq(image_read(now), size);
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
	image_read(before);
	memset(touched, 0, sizeof(touched));
	image_touch(2 * BLOCK, 6 * BLOCK);
	memset(scratch, 0xee, 4 * BLOCK);
	faultio_arm(&fault, FAULTIO_PWRITE, 1, -ENOSPC, FAULTIO_SHORT);
	ck_assert_int_eq(mfs_image_write(&image_fs, handle->tracker, handle->fd, scratch, 4 * BLOCK,
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
	tcase_add_checked_fixture(tcase, imageworld_setup, imageworld_teardown);
	tcase_add_test(tcase, test_changes_are_in_the_bitmap);
	tcase_add_loop_test(tcase, test_failed_fsync_sticks, 0, 2);
	tcase_add_test(tcase, test_failed_durable_write_sticks);
	tcase_add_test(tcase, test_what_cannot_be_tracked_is_not_made);
	tcase_add_test(tcase, test_failing_write_is_in_the_bitmap);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
