/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_copy.c - copy.h and compare.h against plain arrays, on random files with holes */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"
#include "tools/compare.h"
#include "tools/copy.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE ((size_t)3 << 20)
#define BLOCK_SHIFT 14
#define SEED_OF_DIGESTS 7

struct file {
	int fd;
	struct source_image image; /* of the same, for one that is copied from */
	uint8_t *bytes;		   /* what it reads as */
};

static struct file file_new(const char *name)
{
	struct file file = { .fd = openat(scratch_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600),
			     .bytes = calloc(1, SIZE) };

	ck_assert_int_ge(file.fd, 0);
	file.image = (struct source_image){ .fd = file.fd, .file_fd = file.fd };
	direct_open(&file.image.direct, file.fd, O_RDONLY);
	ck_assert_int_eq(ftruncate(file.fd, (off_t)SIZE), 0);
	return file;
}

static void file_free(struct file *file)
{
	direct_close(&file->image.direct);
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

/* Of one thread, of some, and as many as there are by default. */
static const unsigned int nthreads[] = { 1, 4, 0 };
#define N_NTHREADS 3

START_TEST(ranges_become_equal)
{
	struct rng rng = rng_start("ranges_become_equal");
	struct copy_ring *ring;

	ck_assert_int_eq(copy_ring_new(nthreads[_i], &ring), 0);
	for (int round = 0; round < 20; round++) {
		struct file a = file_new("a"), b = file_new("b");
		uint64_t ticked = 0, zeroed;
		struct copy copy = { .ring = ring,
				     .source = &a.image,
				     .old_fd = b.fd,
				     .sink = &copy_to_nowhere,
				     .tick = on_tick,
				     .tick_arg = &ticked };
		struct stat sa, sb;
		size_t offset, nbytes;

		scribble(&rng, &a);
		scribble(&rng, &b);
		pick(&rng, &offset, &nbytes);

		/* by the cache, or past it */
		if (rng_below(&rng, 2))
			direct_open(&copy.dest, b.fd, O_RDWR);
		else
			direct_open_cached(&copy.dest, b.fd);
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
		direct_close(&copy.dest);
		/* into a new one, which takes no more space than the original, but for edges */
		b = file_new("b");
		direct_open_cached(&copy.dest, b.fd);
		copy.sink = &copy_to_new;
		copy.old_fd = -1;
		ck_assert_int_eq(copy_range(&copy, 0, SIZE), 0);
		memcpy(b.bytes, a.bytes, SIZE);
		check_content(&b);
		fstat(a.fd, &sa);
		fstat(b.fd, &sb);
		ck_assert_int_le(sb.st_blocks, sa.st_blocks + 64);
		file_free(&a);
		file_free(&b);
	}
	copy_ring_free(ring);
}
END_TEST

/* What a digester is given must be all of each range, in order, as it was written. */
static int take(void *arg, uint64_t first_block, uint64_t n, const struct digest *digests)
{
	struct digest *all = arg, zero;

	digest_of_zero_block(BLOCK_SHIFT, SEED_OF_DIGESTS, &zero);
	for (uint64_t i = 0; i < n; i++)
		all[first_block + i] = digests ? digests[i] : zero;
	return 0;
}

START_TEST(blocks_become_equal)
{
	struct rng rng = rng_start("blocks_become_equal");
	size_t block = (size_t)1 << BLOCK_SHIFT;

	for (int round = 0; round < 12; round++) {
		struct file a = file_new("a"), b = file_new("b");
		struct digest *digests = calloc(SIZE >> BLOCK_SHIFT, sizeof(*digests));
		struct copy copy = { .source = &a.image, .sink = &copy_to_file, .size = SIZE };
		struct bmf_bits *bits = bmf_bits_new();
		uint64_t from = rng_below(&rng, 20), first = from, n;

		ck_assert_int_eq(copy_ring_new(nthreads[_i], &copy.ring), 0);
		ck_assert_int_eq(
			digester_new(SEED_OF_DIGESTS, BLOCK_SHIFT, take, digests, &copy.digester),
			0);
		direct_open(&copy.dest, b.fd, O_RDWR);
		scribble(&rng, &a);
		scribble(&rng, &b);
		for (int i = 0; i < 30; i++)
			bmf_bits_set(bits, rng_below(&rng, SIZE >> BLOCK_SHIFT), 1);
		ck_assert_int_eq(copy_blocks(&copy, bits, BLOCK_SHIFT, from, SIZE >> BLOCK_SHIFT),
				 0);
		while (bmf_bits_next(bits, first, SIZE >> BLOCK_SHIFT, &first, &n)) {
			memcpy(b.bytes + (first << BLOCK_SHIFT), a.bytes + (first << BLOCK_SHIFT),
			       n << BLOCK_SHIFT);
			for (; n > 0; n--, first++) {
				struct digest is = digest_of(a.bytes + (first << BLOCK_SHIFT),
							     block, SEED_OF_DIGESTS);

				ck_assert(digest_equal(&is, &digests[first]));
			}
		}
		check_content(&b);
		direct_close(&copy.dest);
		digester_free(copy.digester);
		copy_ring_free(copy.ring);
		bmf_bits_free(bits);
		free(digests);
		file_free(&a);
		file_free(&b);
	}
}
END_TEST

START_TEST(what_is_in_memory_is_written)
{
	struct rng rng = rng_start("what_is_in_memory_is_written");
	struct file b = file_new("b");
	struct copy copy = { .sink = &copy_to_file };
	size_t offset = 0, nbytes, ignored;
	uint8_t *bytes = malloc(SIZE);

	ck_assert_int_eq(copy_ring_new(nthreads[_i], &copy.ring), 0);
	direct_open(&copy.dest, b.fd, O_RDWR);
	scribble(&rng, &b);
	while (offset < SIZE) {
		pick(&rng, &ignored, &nbytes);
		nbytes = nbytes < SIZE - offset ? nbytes : SIZE - offset;
		for (size_t k = 0; k < nbytes; k++)
			bytes[k] = (uint8_t)rng_next(&rng);
		memcpy(b.bytes + offset, bytes, nbytes);
		ck_assert_int_eq(copy_put(&copy, bytes, nbytes, offset), 0);
		memset(bytes, 0, nbytes); /* it is ours again */
		offset += nbytes + rng_below(&rng, 3) * 5000;
	}
	ck_assert_int_eq(copy_drain(&copy), 0);
	check_content(&b);
	direct_close(&copy.dest);
	copy_ring_free(copy.ring);
	file_free(&b);
	free(bytes);
}
END_TEST

START_TEST(a_source_that_ends_early_reads_as_zeros)
{
	struct rng rng = rng_start("a_source_that_ends_early_reads_as_zeros");
	struct file a = file_new("a"), b = file_new("b");
	struct copy copy = { .source = &a.image, .sink = &copy_to_file };

	ck_assert_int_eq(copy_ring_new(nthreads[_i], &copy.ring), 0);
	direct_open(&copy.dest, b.fd, O_RDWR);
	scribble(&rng, &a);
	scribble(&rng, &b);
	ck_assert_int_eq(ftruncate(a.fd, 1000000), 0);
	ck_assert_int_eq(copy_range(&copy, 0, SIZE), 0);
	memset(b.bytes, 0, SIZE);
	memcpy(b.bytes, a.bytes, 1000000);
	check_content(&b);
	direct_close(&copy.dest);
	copy_ring_free(copy.ring);
	file_free(&a);
	file_free(&b);
}
END_TEST

/* In place of libc's: it gives less than there is, as some filesystems of FUSE do. */
static size_t pread_most = SIZE_MAX;

ssize_t pread(int fd, void *buf, size_t nbytes, off_t offset)
{
	return syscall(SYS_pread64, fd, buf, nbytes < pread_most ? nbytes : pread_most, offset);
}

START_TEST(a_short_read_is_not_the_end)
{
	struct rng rng = rng_start("a_short_read_is_not_the_end");
	struct file a = file_new("a");
	uint8_t *buf = direct_buffer(SIZE);

	scribble(&rng, &a);
	pread_most = 10000;
	ck_assert_int_eq(direct_read(&a.image.direct, buf, SIZE, 0), (ssize_t)SIZE);
	ck_assert_mem_eq(buf, a.bytes, SIZE);
	/* and where the end is, it is told */
	ck_assert_int_eq(ftruncate(a.fd, 1000001), 0);
	ck_assert_int_eq(direct_read(&a.image.direct, buf, SIZE, 0), 1000001);
	pread_most = SIZE_MAX;
	free(buf);
	file_free(&a);
}
END_TEST

START_TEST(errors_are_told)
{
	struct file a = file_new("a"), b = file_new("b");
	struct copy copy = { .source = &a.image, .sink = &copy_to_file };
	int write_only, read_only;

	ck_assert_int_eq(copy_ring_new(nthreads[_i], &copy.ring), 0);
	direct_open_cached(&copy.dest, b.fd);
	ck_assert_int_eq(pwrite(a.fd, "x", 1, 5000), 1);
	write_only = openat(scratch_fd, "a", O_WRONLY);
	direct_close(&a.image.direct);
	a.image.fd = write_only;
	direct_open_cached(&a.image.direct, write_only);
	ck_assert_int_lt(copy_range(&copy, 0, SIZE), 0);
	ck_assert_str_eq(copy.verb, "read");
	ck_assert(copy.at_source);
	ck_assert_uint_le(copy.offset, 5000);
	a.image.fd = a.fd;
	direct_open_cached(&a.image.direct, a.fd);
	read_only = openat(scratch_fd, "b", O_RDONLY);
	direct_open_cached(&copy.dest, read_only);
	ck_assert_int_lt(copy_range(&copy, 0, SIZE), 0);
	ck_assert_str_eq(copy.verb, "write");
	ck_assert(!copy.at_source);
	copy_ring_free(copy.ring);
	close(write_only);
	close(read_only);
	file_free(&a);
	file_free(&b);
}
END_TEST

/* Whichever thread meets its own first. */
static int fail_beyond(struct copy *copy, const void *buf, size_t nbytes, uint64_t offset)
{
	(void)buf;
	(void)nbytes;
	return offset >= *(const uint64_t *)copy->sink_arg ? -ENOSPC : 0;
}

static int no_zeros(struct copy *copy, uint64_t offset, uint64_t end)
{
	(void)copy;
	(void)offset;
	(void)end;
	return 0;
}

START_TEST(the_first_error_is_told)
{
	struct copy_sink sink = {
		.data = fail_beyond, .side_by_side = true, .verb = "fail at", .zeros = no_zeros
	};
	uint64_t from = 1 << 20, ticked = 0;
	struct file a = file_new("a");
	struct copy copy = { .source = &a.image,
			     .sink = &sink,
			     .sink_arg = &from,
			     .tick = on_tick,
			     .tick_arg = &ticked };
	uint8_t *bytes = malloc(SIZE);

	memset(bytes, 'x', SIZE);
	ck_assert_int_eq(pwrite(a.fd, bytes, SIZE, 0), (ssize_t)SIZE);
	ck_assert_int_eq(copy_ring_new(nthreads[_i], &copy.ring), 0);
	for (int round = 0; round < 20; round++) {
		ticked = 0;
		ck_assert_int_eq(copy_range(&copy, 0, SIZE), -ENOSPC);
		ck_assert_str_eq(copy.verb, "fail at");
		ck_assert_uint_eq(copy.offset, from);
		ck_assert_uint_eq(ticked, from);
	}
	/* and nothing of that is left under way */
	from = UINT64_MAX;
	ck_assert_int_eq(copy_range(&copy, 0, SIZE), 0);
	copy_ring_free(copy.ring);
	file_free(&a);
	free(bytes);
}
END_TEST

/* What is to be compared with a: all of it new, or a's with a byte changed, or cut off. */
static void make_other(struct rng *rng, const struct file *a, struct file *b)
{
	size_t offset, nbytes;

	if (rng_below(rng, 3) == 0) {
		scribble(rng, b);
		return;
	}
	memcpy(b->bytes, a->bytes, SIZE);
	pick(rng, &offset, &nbytes);
	if (rng_below(rng, 3) == 0) {
		memset(b->bytes + offset, 0, SIZE - offset);
		nbytes = offset;
	} else {
		b->bytes[offset] ^= (uint8_t)rng_below(rng, 2);
		nbytes = SIZE;
	}
	ck_assert_int_eq(pwrite(b->fd, b->bytes, nbytes, 0), (ssize_t)nbytes);
	ck_assert_int_eq(ftruncate(b->fd, (off_t)nbytes), 0);
}

START_TEST(comparing)
{
	static const size_t block_sizes[] = { 4096, 65536, 1 << 20 };
	struct rng rng = rng_start("comparing");
	struct copy_ring *ring;

	ck_assert_int_eq(copy_ring_new(nthreads[_i], &ring), 0);
	for (int round = 0; round < 60; round++) {
		struct file a = file_new("a"), b = file_new("b");
		size_t size = SIZE - rng_below(&rng, 70000), block = block_sizes[round % 3];
		struct bmf_bits *some = bmf_bits_new();
		uint64_t ticked = 0;
		bool swapped = rng_below(&rng, 2);
		struct compare compare = { .a_fd = swapped ? b.fd : a.fd,
					   .b_fd = swapped ? a.fd : b.fd,
					   .ring = ring,
					   .block = block,
					   .only = rng_below(&rng, 3) ? NULL : some,
					   .tick = on_tick,
					   .tick_arg = &ticked };
		uint64_t blocks = 0, first = 0;

		scribble(&rng, &a);
		make_other(&rng, &a, &b);
		for (size_t nr = 0; nr * block < size; nr++) {
			size_t left = size - nr * block, n = left < block ? left : block;
			uint8_t *x = a.bytes + nr * block, *y = b.bytes + nr * block;

			if (compare.only && rng_below(&rng, 2) == 0)
				continue;
			ck_assert_int_eq(bmf_bits_set(some, nr, 1), 0);
			if (memcmp(x, y, n) != 0 && blocks++ == 0)
				for (first = nr * block; *x == *y; x++, y++)
					first++;
		}
		ck_assert_int_eq(compare_files(&compare, size), 0);
		ck_assert_uint_eq(compare.blocks, blocks);
		ck_assert_uint_eq(compare.first_offset, first);
		ck_assert_uint_le(compare.compared, size);
		ck_assert_uint_eq(ticked, size);
		bmf_bits_free(some);
		file_free(&a);
		file_free(&b);
	}
	copy_ring_free(ring);
}
END_TEST

START_TEST(comparing_what_cannot_be_read)
{
	for (int at_b = 0; at_b < 2; at_b++) {
		struct file a = file_new("a"), b = file_new("b");
		struct bmf_bits *all = bmf_bits_new();
		struct compare compare = { .a_fd = at_b ? a.fd : scratch_fd,
					   .b_fd = at_b ? scratch_fd : b.fd,
					   .block = 65536,
					   .only = all };

		ck_assert_int_eq(bmf_bits_set(all, 3, SIZE / 65536 - 3), 0);
		ck_assert_int_eq(copy_ring_new(nthreads[_i], &compare.ring), 0);
		ck_assert_int_eq(compare_files(&compare, SIZE), -EISDIR);
		ck_assert_int_eq(compare.failed_at_b, at_b);
		ck_assert_uint_eq(compare.failed_offset, 3 * 65536);
		/* and nothing of that is left under way */
		compare.a_fd = a.fd;
		compare.b_fd = b.fd;
		ck_assert_int_eq(compare_files(&compare, SIZE), 0);
		copy_ring_free(compare.ring);
		bmf_bits_free(all);
		file_free(&a);
		file_free(&b);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_copy");
	TCase *tc = tcase_create("copy");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, ranges_become_equal, 0, N_NTHREADS);
	tcase_add_loop_test(tc, blocks_become_equal, 0, N_NTHREADS);
	tcase_add_loop_test(tc, what_is_in_memory_is_written, 0, N_NTHREADS);
	tcase_add_loop_test(tc, a_source_that_ends_early_reads_as_zeros, 0, N_NTHREADS);
	tcase_add_test(tc, a_short_read_is_not_the_end);
	tcase_add_loop_test(tc, errors_are_told, 0, N_NTHREADS);
	tcase_add_loop_test(tc, the_first_error_is_told, 0, N_NTHREADS);
	tcase_add_loop_test(tc, comparing, 0, N_NTHREADS);
	tcase_add_loop_test(tc, comparing_what_cannot_be_read, 0, N_NTHREADS);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
