/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_digester.c - digester.h against one hash a block, for all sizes of blocks */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tools/digester.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEED_OF_TEST UINT64_C(0x1122334455667788)

/* What take was given. */
struct taken {
	struct digest *digests; /* room for nblocks from first; NULL: only counts */
	uint64_t first, next, nblocks, calls;
	struct digest zero;
	uint64_t data_block; /* one that is no zero block */
	uint64_t fail_at;    /* the call that fails; 0: none */
};

static int take(void *arg, uint64_t first_block, uint64_t n, const struct digest *digests)
{
	struct taken *taken = arg;

	if (++taken->calls == taken->fail_at)
		return -ENOSPC;
	ck_assert_uint_eq(first_block, taken->next);
	ck_assert_uint_gt(n, 0);
	ck_assert(!digests || n <= DIGESTER_BATCH);
	ck_assert(digests || first_block != taken->data_block);
	taken->next += n;
	if (!taken->digests)
		return 0;
	ck_assert_uint_le(taken->next - taken->first, taken->nblocks);
	for (uint64_t i = 0; i < n; i++)
		taken->digests[first_block - taken->first + i] = digests ? digests[i] : taken->zero;
	return 0;
}

static struct digester *new_digester(unsigned int shift, struct taken *taken)
{
	struct digester *digester = NULL;

	ck_assert_int_eq(digest_of_zero_block(shift, SEED_OF_TEST, &taken->zero), 0);
	ck_assert_int_eq(digester_new(SEED_OF_TEST, shift, take, taken, &digester), 0);
	return digester;
}

/* Data in some places, zeros in others; the pieces end anywhere. */
static void feed(struct rng *rng, struct digester *digester, const uint8_t *bytes, uint64_t base,
		 size_t size, size_t piece_max)
{
	size_t at = 0;

	while (at < size) {
		size_t n = rng_below(rng, piece_max), zeros = 0;

		if (n > size - at)
			n = size - at;
		while (zeros < n && bytes[at + zeros] == 0)
			zeros++;
		if (zeros > 0) {
			n = zeros;
			ck_assert_int_eq(digester_zeros(digester, base + at, n), 0);
		} else {
			ck_assert_int_eq(digester_data(digester, bytes + at, n, base + at), 0);
		}
		at += n;
	}
}

static void check_range(struct rng *rng, unsigned int shift)
{
	size_t block = (size_t)1 << shift, nblocks = 1 + rng_below(rng, 6), cut, size;
	uint64_t first = rng_below(rng, 1000);
	uint8_t *bytes = calloc(nblocks, block);
	struct taken taken = { .digests = calloc(nblocks, sizeof(struct digest)),
			       .first = first,
			       .next = first,
			       .nblocks = nblocks };
	struct digester *digester = new_digester(shift, &taken);

	cut = rng_below(rng, 2) ? rng_below(rng, block) : 0;
	size = nblocks * block - cut;
	for (size_t i = 0, on = 1; i < size; i++) {
		if (i % 1024 == 0)
			on = rng_below(rng, 8) ? on : !on;
		bytes[i] = on ? (uint8_t)rng_next(rng) : 0;
	}
	ck_assert_int_eq(digester_begin(digester, first << shift), 0);
	feed(rng, digester, bytes, first << shift, size, 1 + rng_below(rng, 3 * block));
	ck_assert_int_eq(digester_finish(digester, (first << shift) + size), 0);
	ck_assert_uint_eq(taken.next, first + nblocks);
	for (size_t i = 0; i < nblocks; i++) {
		struct digest want = digest_of(bytes + i * block, block, SEED_OF_TEST);

		ck_assert_mem_eq(taken.digests[i].b, want.b, sizeof(want.b));
	}
	digester_free(digester);
	free(taken.digests);
	free(bytes);
}

START_TEST(pieces_make_the_digests_of_blocks)
{
	struct rng rng = rng_start("pieces_make_the_digests_of_blocks");

	for (unsigned int shift = 12; shift <= 21; shift++)
		for (int round = 0; round < (shift < 17 ? 40 : 4); round++)
			check_range(&rng, shift);
}
END_TEST

START_TEST(a_huge_hole_costs_nothing)
{
	uint64_t size = UINT64_C(1) << 60;
	struct taken taken = { 0 };
	struct digester *digester = new_digester(12, &taken);

	ck_assert_int_eq(digester_begin(digester, 0), 0);
	ck_assert_int_eq(digester_data(digester, "x", 1, 0), 0);
	ck_assert_int_eq(digester_zeros(digester, 1, size - 1), 0);
	ck_assert_int_eq(digester_finish(digester, size), 0);
	ck_assert_uint_eq(taken.next, size >> 12);
	ck_assert_uint_le(taken.calls, 3);
	digester_free(digester);
}
END_TEST

START_TEST(a_batch_is_bounded)
{
	static const uint8_t block[4096] = { 1 };
	struct taken taken = { 0 };
	struct digester *digester = new_digester(12, &taken);
	uint64_t n = 3 * DIGESTER_BATCH + 1;

	ck_assert_int_eq(digester_begin(digester, 0), 0);
	for (uint64_t i = 0; i < n; i++)
		ck_assert_int_eq(digester_data(digester, block, sizeof(block), i << 12), 0);
	ck_assert_int_eq(digester_finish(digester, 0), 0);
	ck_assert_uint_eq(taken.next, n);
	ck_assert_uint_eq(taken.calls, 4);
	digester_free(digester);
}
END_TEST

START_TEST(what_breaks_the_rules_is_refused)
{
	struct taken taken = { 0 };
	struct digester *digester = new_digester(12, &taken), *none = NULL;

	ck_assert_int_eq(digester_new(0, 11, take, &taken, &none), -EINVAL);
	ck_assert_int_eq(digester_new(0, 22, take, &taken, &none), -EINVAL);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(digester_data(digester, "x", 1, 0), -EINVAL); /* not begun */
	ck_assert_int_eq(digester_finish(digester, 0), -EINVAL);
	ck_assert_int_eq(digester_begin(digester, 4095), -EINVAL);
	ck_assert_int_eq(digester_begin(digester, 0), 0);
	ck_assert_int_eq(digester_data(digester, "x", 1, 1), -EINVAL); /* a gap */
	ck_assert_int_eq(digester_begin(digester, 0), 0);
	ck_assert_int_eq(digester_data(digester, "x", 1, 0), 0);
	ck_assert_int_eq(digester_zeros(digester, 1, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(digester_begin(digester, 0), 0);
	ck_assert_int_eq(digester_data(digester, "x", 1, 0), 0);
	ck_assert_int_eq(digester_finish(digester, 2), -EINVAL); /* ends in a block */
	ck_assert_uint_eq(taken.calls, 0);
	digester_free(digester);
	digester_free(NULL);
}
END_TEST

START_TEST(a_failing_take_ends_the_range)
{
	struct taken taken = { .data_block = UINT64_MAX, .fail_at = 1 };
	struct digester *digester = new_digester(12, &taken);

	ck_assert_int_eq(digester_begin(digester, 0), 0);
	ck_assert_int_eq(digester_zeros(digester, 0, UINT64_C(1) << 30), -ENOSPC);
	ck_assert_int_eq(digester_finish(digester, UINT64_C(1) << 30), -EINVAL);
	taken.next = 7;
	ck_assert_int_eq(digester_begin(digester, 7 << 12), 0);
	ck_assert_int_eq(digester_zeros(digester, 7 << 12, 5), 0);
	ck_assert_int_eq(digester_finish(digester, (7 << 12) + 5), 0);
	ck_assert_uint_eq(taken.next, 8);
	digester_free(digester);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("digester");
	TCase *tc = tcase_create("digester");

	tcase_add_test(tc, pieces_make_the_digests_of_blocks);
	tcase_add_test(tc, a_huge_hole_costs_nothing);
	tcase_add_test(tc, a_batch_is_bounded);
	tcase_add_test(tc, what_breaks_the_rules_is_refused);
	tcase_add_test(tc, a_failing_take_ends_the_range);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
