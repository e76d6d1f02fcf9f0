/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_tools_source.c - source_image.h: what is read is old, whatever guests have overwritten
 *
 * The snapshot is played by two files, the image and what the snapshot would show, and by states
 * in memory.
 */
#include "config.h"

#include "fs/control.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"
#include "tools/source_image.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHIFT 12
#define BLOCK ((size_t)1 << SHIFT)
#define NBLOCKS ((size_t)50)
#define SIZE (NBLOCKS * BLOCK - 1000)

struct world {
	struct source_image image;
	_Atomic uint8_t states[NBLOCKS];
	_Atomic int32_t broken;
	uint8_t old[SIZE], now[SIZE];
};

static void fill(struct rng *rng, uint8_t *bytes)
{
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)rng_next(rng);
}

static int file_of(const char *name, const uint8_t *bytes, size_t nbytes)
{
	int fd = openat(scratch_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, nbytes, 0), (ssize_t)nbytes);
	return fd;
}

/* Each block of the image is either as it was, or something else, and then its state says so. */
static struct world *world_new(struct rng *rng, unsigned int one_in)
{
	static const uint8_t same[] = { MFS_BLOCK_SAME, MFS_BLOCK_BUSY };
	static const uint8_t other[] = { MFS_BLOCK_PRESERVED, MFS_BLOCK_ZERO, MFS_BLOCK_LOST };
	struct world *w = calloc(1, sizeof(*w));

	fill(rng, w->old);
	fill(rng, w->now);
	for (size_t i = 0; i < NBLOCKS; i++) {
		size_t at = i * BLOCK, n = SIZE - at < BLOCK ? SIZE - at : BLOCK;

		if (rng_below(rng, one_in) == 0) {
			w->states[i] = other[rng_below(rng, 3)];
			continue;
		}
		w->states[i] = same[rng_below(rng, 2)];
		memcpy(w->now + at, w->old + at, n);
	}
	w->image = (struct source_image){ .fd = file_of("image", w->now, SIZE),
					  .file_fd = file_of("file", w->old, SIZE),
					  .size = SIZE,
					  .states = w->states,
					  .broken = &w->broken,
					  .nblocks = NBLOCKS,
					  .block_shift = SHIFT,
					  .pid = 1 };
	direct_open(&w->image.direct, w->image.fd, O_RDONLY);
	/* now and then it has to be read past the cache */
	if (rng_below(rng, 4) == 0 && fdatasync(w->image.fd) == 0)
		posix_fadvise(w->image.fd, 0, 0, POSIX_FADV_DONTNEED);
	return w;
}

static void world_free(struct world *w)
{
	direct_close(&w->image.direct);
	close(w->image.fd);
	close(w->image.file_fd);
	free(w);
}

static void check_read(struct world *w, size_t offset, size_t nbytes)
{
	size_t expected = offset >= SIZE ? 0 : SIZE - offset < nbytes ? SIZE - offset : nbytes;
	/* as it was is what counts, whichever way the image itself is read */
	bool cached = (offset + nbytes) % 2;
	uint8_t *got = direct_buffer((nbytes / DIRECT_ALIGN + 1) * DIRECT_ALIGN);

	ck_assert_int_eq(source_image_read(&w->image, got, nbytes, offset, cached),
			 (ssize_t)expected);
	ck_assert_mem_eq(got, w->old + (expected ? offset : 0), expected);
	free(got);
}

START_TEST(what_is_read_is_old)
{
	struct rng rng = rng_start("what_is_read_is_old");

	for (int round = 0; round < 200; round++) {
		struct world *w = world_new(&rng, 1 + rng_below(&rng, 6));

		check_read(w, 0, SIZE);
		check_read(w, 0, SIZE + 5000);
		for (int i = 0; i < 20; i++)
			check_read(w, rng_below(&rng, SIZE + 100), 1 + rng_below(&rng, 60000));
		world_free(w);
	}
}
END_TEST

/* As only its end is new, that is where the states say so. */
START_TEST(an_image_that_was_cut_off_is_read_to_its_old_end)
{
	struct rng rng = rng_start("an_image_that_was_cut_off_is_read_to_its_old_end");

	for (int round = 0; round < 50; round++) {
		struct world *w = world_new(&rng, 5);
		size_t cut = rng_below(&rng, SIZE);

		for (size_t i = cut / BLOCK; i < NBLOCKS; i++)
			w->states[i] = MFS_BLOCK_PRESERVED;
		ck_assert_int_eq(ftruncate(w->image.fd, (off_t)cut), 0);
		check_read(w, 0, SIZE);
		check_read(w, cut, 10000);
		world_free(w);
	}
}
END_TEST

START_TEST(an_image_that_cant_be_read_may_be_preserved)
{
	struct rng rng = rng_start("an_image_that_cant_be_read_may_be_preserved");
	struct world *w = world_new(&rng, 5);

	close(w->image.fd);
	w->image.fd = openat(scratch_fd, "image", O_WRONLY);
	direct_close(&w->image.direct);
	direct_open_cached(&w->image.direct, w->image.fd);
	check_read(w, 0, SIZE);
	world_free(w);
}
END_TEST

START_TEST(nothing_is_read_of_what_broke)
{
	struct rng rng = rng_start("nothing_is_read_of_what_broke");
	struct world *w = world_new(&rng, 5);
	uint8_t buf[100];

	ck_assert_int_eq(source_image_read(&w->image, buf, sizeof(buf), 0, true), sizeof(buf));
	w->broken = -ENOSPC;
	ck_assert_int_eq(source_image_read(&w->image, buf, sizeof(buf), 0, true), -EIO);
	/* and what the snapshot itself says is told */
	w->broken = 0;
	w->states[0] = MFS_BLOCK_LOST;
	close(w->image.file_fd);
	w->image.file_fd = openat(scratch_fd, "file", O_WRONLY);
	ck_assert_int_eq(source_image_read(&w->image, buf, sizeof(buf), 0, true), -EBADF);
	world_free(w);
}
END_TEST

START_TEST(a_plain_file_is_itself)
{
	struct rng rng = rng_start("a_plain_file_is_itself");
	struct world *w = world_new(&rng, 2);
	struct source_image image;
	uint8_t *got = direct_buffer((SIZE / DIRECT_ALIGN + 1) * DIRECT_ALIGN);

	ck_assert_int_eq(source_image_open(w->image.fd, 0, &image), 0);
	ck_assert_uint_eq(image.size, SIZE);
	ck_assert_int_eq(source_image_read(&image, got, SIZE, 0, false), SIZE);
	ck_assert_mem_eq(got, w->now, SIZE);
	source_image_release(&image, SIZE, 0);
	source_image_close(&image);
	/* no mirrorfs knows of it */
	ck_assert_int_eq(source_image_open(w->image.fd, (int)getpid(), &image), -ENOTTY);
	free(got);
	world_free(w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_source");
	TCase *tc = tcase_create("source_image");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, what_is_read_is_old);
	tcase_add_test(tc, an_image_that_was_cut_off_is_read_to_its_old_end);
	tcase_add_test(tc, an_image_that_cant_be_read_may_be_preserved);
	tcase_add_test(tc, nothing_is_read_of_what_broke);
	tcase_add_test(tc, a_plain_file_is_itself);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
