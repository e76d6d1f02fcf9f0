/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_copy.c - copy.h and compare.h against plain arrays, on random files with holes */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"
#include "tools/compare.h"
#include "tools/copy.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE ((size_t)3 << 20)

struct file {
	int fd;
	struct source_image image; /* of the same, for one that is copied from */
	uint8_t *bytes;		   /* what it reads as */
};

static struct file file_new(const char *name)
{
	struct file file = { .fd = openat(scratch_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600),
			     .bytes = calloc(1, SIZE) };

	file.image = (struct source_image){ .fd = file.fd, .file_fd = file.fd };
	ck_assert_int_ge(file.fd, 0);
	ck_assert_int_eq(ftruncate(file.fd, (off_t)SIZE), 0);
	return file;
}

static void file_free(struct file *file)
{
	close(file->fd);
	free(file->bytes);
}

static void pick(struct rng *rng, size_t *ret_offset, size_t *ret_nbytes)
{
	*ret_offset = rng_below(rng, SIZE);
	*ret_nbytes = 1 + rng_below(rng, rng_below(rng, 4) ? 100000 : SIZE);
	if (*ret_nbytes > SIZE - *ret_offset)
		*ret_nbytes = SIZE - *ret_offset;
}

/* Data here, holes there. */
static void scribble(struct rng *rng, struct file *file)
{
	size_t offset, nbytes;

	for (int i = 0; i < 12; i++) {
		pick(rng, &offset, &nbytes);
		if (rng_below(rng, 3) == 0) {
			ck_assert_int_eq(fallocate(file->fd,
						   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						   (off_t)offset, (off_t)nbytes),
					 0);
			memset(file->bytes + offset, 0, nbytes);
			continue;
		}
		if (nbytes > 60000)
			nbytes = 60000;
		for (size_t k = 0; k < nbytes; k++)
			file->bytes[offset + k] = (uint8_t)rng_next(rng);
		ck_assert_int_eq(pwrite(file->fd, file->bytes + offset, nbytes, (off_t)offset),
				 (ssize_t)nbytes);
	}
}

static void check_content(const struct file *file)
{
	uint8_t *got = malloc(SIZE);

	ck_assert_int_eq(pread(file->fd, got, SIZE, 0), (ssize_t)SIZE);
	ck_assert_mem_eq(got, file->bytes, SIZE);
	free(got);
}

static void on_tick(void *arg, uint64_t nbytes)
{
	*(uint64_t *)arg += nbytes;
}

START_TEST(ranges_become_equal)
{
	struct rng rng = rng_start("ranges_become_equal");
	void *buffer = malloc(COPY_BUFFER);

	for (int round = 0; round < 60; round++) {
		struct file a = file_new("a"), b = file_new("b");
		uint64_t ticked = 0, zeroed;
		struct copy copy = { .source = &a.image,
				     .dest_fd = b.fd,
				     .buffer = buffer,
				     .sink = &copy_to_nowhere,
				     .tick = on_tick,
				     .tick_arg = &ticked };
		struct stat sa, sb;
		size_t offset, nbytes;

		scribble(&rng, &a);
		scribble(&rng, &b);
		pick(&rng, &offset, &nbytes);

		/* a dry run tells the numbers and changes nothing */
		ck_assert_int_eq(copy_range(&copy, offset, nbytes), 0);
		ck_assert_uint_eq(ticked, nbytes);
		check_content(&b);
		zeroed = copy.zeroed;
		ticked = copy.copied;
		copy.sink = &copy_to_file;
		copy.copied = copy.zeroed = 0;
		copy.tick = NULL;
		ck_assert_int_eq(copy_range(&copy, offset, nbytes), 0);
		ck_assert_uint_eq(copy.copied, ticked);
		ck_assert_uint_eq(copy.zeroed, zeroed);

		memcpy(b.bytes + offset, a.bytes + offset, nbytes);
		check_content(&a);
		check_content(&b);
		/* all of it */
		ck_assert_int_eq(copy_range(&copy, 0, SIZE), 0);
		memcpy(b.bytes, a.bytes, SIZE);
		check_content(&b);
		file_free(&b);
		/* into a new one, which takes no more space than the original, but for edges */
		b = file_new("b");
		copy.dest_fd = b.fd;
		ck_assert_int_eq(copy_range(&copy, 0, SIZE), 0);
		memcpy(b.bytes, a.bytes, SIZE);
		check_content(&b);
		fstat(a.fd, &sa);
		fstat(b.fd, &sb);
		ck_assert_int_le(sb.st_blocks, sa.st_blocks + 64);
		file_free(&a);
		file_free(&b);
	}
	free(buffer);
}
END_TEST

START_TEST(a_source_that_ends_early_reads_as_zeros)
{
	struct rng rng = rng_start("a_source_that_ends_early_reads_as_zeros");
	void *buffer = malloc(COPY_BUFFER);
	struct file a = file_new("a"), b = file_new("b");
	struct copy copy = {
		.source = &a.image, .sink = &copy_to_file, .dest_fd = b.fd, .buffer = buffer
	};

	scribble(&rng, &a);
	scribble(&rng, &b);
	ck_assert_int_eq(ftruncate(a.fd, 1000000), 0);
	ck_assert_int_eq(copy_range(&copy, 0, SIZE), 0);
	memset(b.bytes, 0, SIZE);
	memcpy(b.bytes, a.bytes, 1000000);
	check_content(&b);
	file_free(&a);
	file_free(&b);
	free(buffer);
}
END_TEST

START_TEST(errors_are_told)
{
	void *buffer = malloc(COPY_BUFFER);
	struct file a = file_new("a"), b = file_new("b");
	struct copy copy = {
		.source = &a.image, .sink = &copy_to_file, .dest_fd = b.fd, .buffer = buffer
	};
	int write_only, read_only;

	ck_assert_int_eq(pwrite(a.fd, "x", 1, 5000), 1);
	write_only = openat(scratch_fd, "a", O_WRONLY);
	a.image.fd = write_only;
	ck_assert_int_lt(copy_range(&copy, 0, SIZE), 0);
	ck_assert_str_eq(copy.verb, "read");
	ck_assert(copy.at_source);
	ck_assert_uint_le(copy.offset, 5000);
	a.image.fd = a.fd;
	read_only = openat(scratch_fd, "b", O_RDONLY);
	copy.dest_fd = read_only;
	ck_assert_int_lt(copy_range(&copy, 0, SIZE), 0);
	ck_assert_str_eq(copy.verb, "write");
	ck_assert(!copy.at_source);
	close(write_only);
	close(read_only);
	file_free(&a);
	file_free(&b);
	free(buffer);
}
END_TEST

START_TEST(comparing)
{
	struct rng rng = rng_start("comparing");
	void *buffers[2] = { malloc(65536), malloc(65536) };

	for (int round = 0; round < 60; round++) {
		struct file a = file_new("a"), b = file_new("b");
		uint64_t ticked = 0;
		struct compare compare = { .a_fd = a.fd,
					   .b_fd = b.fd,
					   .block = 65536,
					   .tick = on_tick,
					   .tick_arg = &ticked };
		uint64_t blocks = 0, first = 0;

		scribble(&rng, &a);
		if (rng_below(&rng, 4) != 0)
			scribble(&rng, &b);
		for (size_t block = 0; block < SIZE; block += 65536)
			blocks += memcmp(a.bytes + block, b.bytes + block, 65536) != 0;
		while (blocks > 0 && a.bytes[first] == b.bytes[first])
			first++;
		ck_assert_int_eq(compare_files(&compare, SIZE, buffers), 0);
		ck_assert_uint_eq(compare.blocks, blocks);
		ck_assert_uint_eq(compare.first_offset, first);
		ck_assert_uint_eq(ticked, SIZE);
		file_free(&a);
		file_free(&b);
	}
	free(buffers[0]);
	free(buffers[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_copy");
	TCase *tc = tcase_create("copy");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, ranges_become_equal);
	tcase_add_test(tc, a_source_that_ends_early_reads_as_zeros);
	tcase_add_test(tc, errors_are_told);
	tcase_add_test(tc, comparing);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
