/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_bits.c - bits.h against a naive byte array, its limits, and its memory */
#include "config.h"

#include "bitmapfile/bits.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define CHUNK BMF_BITS_CHUNK
#define LEVEL(n) (UINT64_C(1) << (15 + 9 * (n))) /* bits below a node of level n */

/*
 * The model: `ncells` bytes, each standing for `scale` neighbouring bits from `base`
 * on.  With scale 1 everything is possible; with a larger one, ranges that span nodes.
 */
struct model {
	struct bmf_bits *bits;
	uint8_t *cells;
	uint64_t ncells, base, scale;
};

static struct model model_new(uint64_t ncells, uint64_t base, uint64_t scale)
{
	return (struct model){ bmf_bits_new(), calloc(1, ncells), ncells, base, scale };
}

static void model_free(struct model *m)
{
	bmf_bits_free(m->bits);
	free(m->cells);
}

/* A range of cells, more often short or aligned to a chunk than chance would have it. */
static void pick_range(const struct model *m, struct rng *rng, uint64_t *ret_first, uint64_t *ret_n)
{
	static const uint64_t most[] = { 1, 2, 64, 130, 5000, UINT64_MAX };
	uint64_t first = rng_below(rng, m->ncells), left = m->ncells - first;
	uint64_t n = most[rng_below(rng, sizeof(most) / sizeof(*most))];

	n = n < left ? n : left;
	n = rng_below(rng, n) + 1;
	if (rng_below(rng, 4) == 0 && m->scale < CHUNK && m->ncells > CHUNK) {
		first -= first % CHUNK;
		n = CHUNK * (1 + rng_below(rng, 3));
		n = n < m->ncells - first ? n : m->ncells - first;
	}
	*ret_first = first;
	*ret_n = n;
}

static uint64_t run_end(const struct model *m, uint64_t cell, uint64_t end)
{
	uint8_t value = m->cells[cell];

	while (cell < end && m->cells[cell] == value)
		cell++;
	return cell;
}

/* next() from a place inside of a cell, up to another, finds what the model has. */
static void check_next(const struct model *m, struct rng *rng, uint64_t first, uint64_t n)
{
	uint64_t from = first * m->scale + rng_below(rng, m->scale);
	uint64_t end = (first + n) * m->scale - rng_below(rng, m->scale);
	uint64_t cell = from / m->scale, got_first = 7, got_n = 7, want;

	if (from >= end)
		return;
	if (!m->cells[cell]) {
		cell = run_end(m, cell, first + n);
		from = cell * m->scale;
	}
	if (from >= end) {
		ck_assert(!bmf_bits_next(m->bits, m->base + first * m->scale, m->base + end,
					 &got_first, &got_n));
		ck_assert(got_first == 7 && got_n == 7);
		return;
	}
	ck_assert(bmf_bits_next(m->bits, m->base + from, m->base + end, &got_first, &got_n));
	want = run_end(m, cell, first + n) * m->scale;
	ck_assert_uint_eq(got_first, m->base + from);
	ck_assert_uint_eq(got_n, (want < end ? want : end) - from);
}

static void check_some(const struct model *m, struct rng *rng)
{
	uint64_t first, n, set = 0;

	pick_range(m, rng, &first, &n);
	for (uint64_t i = first; i < first + n; i++)
		set += m->cells[i];
	ck_assert_uint_eq(bmf_bits_count(m->bits, m->base + first * m->scale, n * m->scale),
			  set * m->scale);
	ck_assert(bmf_bits_test_all(m->bits, m->base + first * m->scale, n * m->scale) ==
		  (set == n));
	ck_assert(bmf_bits_test(m->bits, m->base + first * m->scale + rng_below(rng, m->scale)) ==
		  m->cells[first]);
	check_next(m, rng, first, n);
}

/* Every run of the set, compared with every run of the model. */
static void check_all(const struct model *m, const struct bmf_bits *bits)
{
	uint64_t at = 0, cell = 0, first, n;

	while (bmf_bits_next(bits, at, BMF_BITS_MAX, &first, &n)) {
		if (!m->cells[cell])
			cell = run_end(m, cell, m->ncells);
		ck_assert_uint_lt(cell, m->ncells);
		ck_assert_uint_eq(first, m->base + cell * m->scale);
		cell = run_end(m, cell, m->ncells);
		ck_assert_uint_eq(first + n, m->base + cell * m->scale);
		at = first + n;
		if (cell == m->ncells)
			break;
	}
	ck_assert(cell == m->ncells || run_end(m, cell, m->ncells) == m->ncells);
	ck_assert(cell == m->ncells || !m->cells[cell]);
	ck_assert(!bmf_bits_next(bits, m->base + m->ncells * m->scale, UINT64_MAX, &first, &n));
}

static void change_some(struct model *m, struct rng *rng)
{
	bool value = rng_below(rng, 2);
	uint64_t first, n;

	pick_range(m, rng, &first, &n);
	ck_assert_int_eq((value ? bmf_bits_set : bmf_bits_clear)(
				 m->bits, m->base + first * m->scale, n * m->scale),
			 0);
	memset(m->cells + first, value, n);
}

static void check_round_trip(const struct model *m)
{
	struct bmf_bits *copy;
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(bmf_bits_encode(m->bits, &buf, &nbytes), 0);
	ck_assert_int_eq(bmf_bits_decode(buf, nbytes, &copy), 0);
	check_all(m, copy);
	bmf_bits_free(copy);
	free(buf);
}

static const struct {
	uint64_t ncells, base, scale;
} places[] = {
	{ 5 * CHUNK, 0, 1 },
	{ 5 * CHUNK, LEVEL(1) - 2 * CHUNK - 100, 1 },
	{ 5 * CHUNK, LEVEL(2) - 2 * CHUNK, 1 },
	{ 5 * CHUNK, LEVEL(3) - 3 * CHUNK - 1, 1 },
	{ 5 * CHUNK, BMF_BITS_MAX - 5 * CHUNK, 1 },
	{ 300, 0, LEVEL(0) / 2 },
	{ 1100, LEVEL(2) - LEVEL(1), LEVEL(1) / 4 },
	{ 150, LEVEL(1) - 12345, LEVEL(1) - 1 },
	{ 1100, 0, LEVEL(2) },
	{ 2048, 0, LEVEL(3) / 4 },
	{ 512, 0, LEVEL(3) },
	{ 150, 99, LEVEL(3) / 8 + 1 },
};
#define NPLACES (sizeof(places) / sizeof(*places))

START_TEST(behaves_as_the_model)
{
	struct rng rng = rng_start("behaves_as_the_model");
	struct model m = model_new(places[_i].ncells, places[_i].base, places[_i].scale);

	for (int i = 0; i < 800; i++) {
		change_some(&m, &rng);
		for (int j = 0; j < 3; j++)
			check_some(&m, &rng);
		if (i % 50 == 0)
			check_all(&m, m.bits);
		if (i % 250 == 0)
			check_round_trip(&m);
	}
	check_all(&m, m.bits);
	model_free(&m);
}
END_TEST

START_TEST(unites)
{
	struct rng rng = rng_start("unites");

	for (size_t p = 0; p < NPLACES; p++) {
		struct model a = model_new(places[p].ncells, places[p].base, places[p].scale);
		struct model b = model_new(places[p].ncells, places[p].base, places[p].scale);

		for (int i = 0; i < 60; i++) {
			change_some(&a, &rng);
			change_some(&b, &rng);
		}
		ck_assert_int_eq(bmf_bits_union_into(a.bits, b.bits), 0);
		for (uint64_t i = 0; i < a.ncells; i++)
			a.cells[i] |= b.cells[i];
		check_all(&a, a.bits);
		check_all(&b, b.bits);
		ck_assert_int_eq(bmf_bits_union_into(a.bits, a.bits), 0);
		check_all(&a, a.bits);
		model_free(&a);
		model_free(&b);
	}
}
END_TEST

/* Each block, by its bytes: set when any byte of it was in a set block, else not. */
static void check_converted(const struct model *m, const struct bmf_bits *to,
			    unsigned int from_shift, unsigned int to_shift)
{
	uint64_t total = m->ncells << from_shift, nblocks = ((total - 1) >> to_shift) + 1;

	for (uint64_t block = 0; block < nblocks; block++) {
		uint64_t from = (block << to_shift) >> from_shift;
		uint64_t last = (((block + 1) << to_shift) - 1) >> from_shift;
		bool want = false;

		for (uint64_t i = from; i <= last && i < m->ncells; i++)
			want |= m->cells[i];
		ck_assert_int_eq(bmf_bits_test(to, block), want);
	}
	ck_assert_uint_eq(bmf_bits_count(to, nblocks, UINT64_MAX - nblocks), 0);
}

START_TEST(converts_outward)
{
	struct rng rng = rng_start("converts_outward");

	for (int i = 0; i < 60; i++) {
		unsigned int from = 12 + (unsigned int)rng_below(&rng, 10);
		unsigned int to = 12 + (unsigned int)rng_below(&rng, 10);
		uint64_t most = from > to ? (uint64_t)60000 >> (from - to) : 60000;
		struct model m = model_new(1 + rng_below(&rng, most), 0, 1);
		struct bmf_bits *converted;

		for (int j = 0; j < 10 && i % 2; j++)
			change_some(&m, &rng);
		for (int j = 0; j < 200; j++) { /* single bits, at every place in a block */
			uint64_t cell = rng_below(&rng, m.ncells);

			ck_assert_int_eq(bmf_bits_set(m.bits, cell, 1), 0);
			m.cells[cell] = 1;
		}
		ck_assert_int_eq(bmf_bits_convert(m.bits, from, to, &converted), 0);
		check_converted(&m, converted, from, to);
		bmf_bits_free(converted);
		model_free(&m);
	}
}
END_TEST

START_TEST(converts_the_largest)
{
	struct bmf_bits *bits = bmf_bits_new(), *to;

	ck_assert_int_eq(bmf_bits_set(bits, 0, BMF_BITS_MAX), 0);
	ck_assert_int_eq(bmf_bits_convert(bits, 12, 21, &to), 0);
	ck_assert_uint_eq(bmf_bits_count(to, 0, UINT64_MAX), BMF_BITS_MAX >> 9);
	ck_assert(bmf_bits_test_all(to, 0, BMF_BITS_MAX >> 9));
	bmf_bits_free(to);
	/* blocks beyond 2^63 bytes exist in no file, and are left out */
	ck_assert_int_eq(bmf_bits_convert(bits, 21, 12, &to), 0);
	ck_assert_uint_eq(bmf_bits_count(to, 0, UINT64_MAX), BMF_BITS_MAX);
	bmf_bits_free(to);
	bmf_bits_free(bits);
}
END_TEST

START_TEST(empty_and_out_of_range)
{
	struct bmf_bits *bits = bmf_bits_new();
	uint64_t first, n;

	bmf_bits_free(NULL);
	for (int i = 0; i < 2; i++) {
		ck_assert(bmf_bits_is_empty(bits));
		ck_assert(!bmf_bits_test(bits, 0));
		ck_assert(!bmf_bits_test(bits, UINT64_MAX));
		ck_assert(!bmf_bits_test_all(bits, 0, 1));
		ck_assert(bmf_bits_test_all(bits, 5, 0));
		ck_assert(!bmf_bits_next(bits, 0, UINT64_MAX, &first, &n));
		ck_assert_uint_eq(bmf_bits_count(bits, 0, UINT64_MAX), 0);
		ck_assert_int_eq(bmf_bits_clear(bits, 0, UINT64_MAX), 0);
		ck_assert_int_eq(bmf_bits_set(bits, 77, 0), 0);
		ck_assert_int_eq(bmf_bits_set(bits, BMF_BITS_MAX, 1), -ERANGE);
		ck_assert_int_eq(bmf_bits_set(bits, BMF_BITS_MAX - 1, 2), -ERANGE);
		ck_assert_int_eq(bmf_bits_set(bits, 1, UINT64_MAX), -ERANGE);
		ck_assert_int_eq(bmf_bits_set(bits, UINT64_MAX, UINT64_MAX), -ERANGE);
		/* once more with memory in it */
		ck_assert_int_eq(bmf_bits_set(bits, BMF_BITS_MAX - 1, 1), 0);
		ck_assert(!bmf_bits_is_empty(bits));
		ck_assert(bmf_bits_test(bits, BMF_BITS_MAX - 1));
		ck_assert(!bmf_bits_test_all(bits, BMF_BITS_MAX - 1, 2));
		ck_assert(!bmf_bits_test_all(bits, BMF_BITS_MAX - 1, UINT64_MAX));
		ck_assert(bmf_bits_next(bits, 0, UINT64_MAX, &first, &n));
		ck_assert(first == BMF_BITS_MAX - 1 && n == 1);
		ck_assert_int_eq(bmf_bits_clear(bits, 1, UINT64_MAX), 0);
	}
	bmf_bits_free(bits);
}
END_TEST

/* Heap in use by a set that the function makes, and frees again. */
static size_t memory_of(void (*fill)(struct bmf_bits *bits))
{
	size_t before = mallinfo2().uordblks, after;
	struct bmf_bits *bits = bmf_bits_new();

	fill(bits);
	after = mallinfo2().uordblks;
	bmf_bits_free(bits);
	/* malloc keeps some small pieces for later, but no node or chunk */
	ck_assert_uint_lt(mallinfo2().uordblks, before + 4096);
	return after - before;
}

static void fill_64_tib(struct bmf_bits *bits)
{
	ck_assert_int_eq(bmf_bits_set(bits, 0, UINT64_C(1) << 30), 0);
	ck_assert_uint_eq(bmf_bits_count(bits, 0, UINT64_MAX), UINT64_C(1) << 30);
}

static void fill_odd_2_to_40(struct bmf_bits *bits)
{
	ck_assert_int_eq(bmf_bits_set(bits, 3, UINT64_C(1) << 40), 0);
	ck_assert_uint_eq(bmf_bits_count(bits, 0, UINT64_MAX), UINT64_C(1) << 40);
}

static void fill_all(struct bmf_bits *bits)
{
	ck_assert_int_eq(bmf_bits_set(bits, 0, BMF_BITS_MAX), 0);
}

static void fill_one_far_bit(struct bmf_bits *bits)
{
	ck_assert_int_eq(bmf_bits_set(bits, UINT64_C(1) << 50, 1), 0);
}

static void fill_1000_chunks(struct bmf_bits *bits)
{
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(bmf_bits_set(bits, i * CHUNK + i, 1), 0);
}

static void fill_and_drill(struct bmf_bits *bits)
{
	fill_all(bits);
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(bmf_bits_clear(bits, i * CHUNK * 3 + i, 1), 0);
	ck_assert_uint_eq(bmf_bits_count(bits, 0, UINT64_MAX), BMF_BITS_MAX - 100);
}

static const struct {
	void (*fill)(struct bmf_bits *bits);
	size_t most;
} bounds[] = {
	{ fill_64_tib, 100 << 10 },
	{ fill_odd_2_to_40, 100 << 10 },
	{ fill_all, 100 << 10 },
	{ fill_one_far_bit, 100 << 10 },
	{ fill_1000_chunks, (1000 + 10) * (4096 + 64) },
	{ fill_and_drill, (100 + 10) * (4096 + 64) },
};

START_TEST(memory_is_bounded)
{
	size_t used = memory_of(bounds[_i].fill);

#ifndef SANITIZED /* whose heap does not tell */
	ck_assert_uint_gt(used, 4096);
#endif
	ck_assert_uint_lt(used, bounds[_i].most);
}
END_TEST

/* Sets one bit in each of many chunks until there is no memory; how many were set. */
static uint64_t set_until_full(struct bmf_bits *bits)
{
	uint64_t i = 0;
	int r;

	while ((r = bmf_bits_set(bits, i * CHUNK * 5, 1)) == 0)
		i++;
	ck_assert_int_eq(r, -ENOMEM);
	return i;
}

START_TEST(without_memory)
{
#ifndef SANITIZED
	struct bmf_bits *bits = bmf_bits_new(), *full = bmf_bits_new(), *few = bmf_bits_new();
	struct bmf_bits *copy = NULL;
	struct rlimit limit = { 1, 1 };
	uint64_t n, first, got;

	ck_assert_int_eq(bmf_bits_set(full, 0, BMF_BITS_MAX), 0);
	ck_assert_int_eq(bmf_bits_set(few, 9 * CHUNK, 1), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0); /* of this test's process only */
	n = set_until_full(bits);
	/* a part that needs memory, and one that doesn't */
	ck_assert_int_eq(bmf_bits_set(few, 1, 2 * CHUNK - 1), -ENOMEM);
	ck_assert_int_eq(bmf_bits_clear(full, 12345, 1), -ENOMEM);
	ck_assert(bmf_bits_test_all(full, 12346, 1 << 20));
	ck_assert_int_eq(bmf_bits_clear(full, 0, BMF_BITS_MAX), 0); /* needs none */
	ck_assert(bmf_bits_is_empty(full));
	ck_assert_uint_eq(bmf_bits_count(bits, 0, UINT64_MAX), n);
	for (uint64_t i = 0; i < n; i++) {
		ck_assert(bmf_bits_next(bits, i * CHUNK * 5, BMF_BITS_MAX, &first, &got));
		ck_assert(first == i * CHUNK * 5 && got == 1);
		ck_assert_int_eq(bmf_bits_set(bits, first, 1), 0);
	}
	ck_assert_int_eq(bmf_bits_convert(bits, 16, 16, &copy), -ENOMEM);
	ck_assert_int_eq(bmf_bits_convert(bits, 16, 12, &copy), -ENOMEM);
	ck_assert_ptr_null(copy);
	bmf_bits_free(bits);
	bmf_bits_free(full);
	bmf_bits_free(few);
#else
	(void)set_until_full; /* a sanitizer needs the address space itself */
	(void)setrlimit;
#endif
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bits");
	TCase *tc = tcase_create("bits");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, behaves_as_the_model, 0, NPLACES);
	tcase_add_test(tc, unites);
	tcase_add_test(tc, converts_outward);
	tcase_add_test(tc, converts_the_largest);
	tcase_add_test(tc, empty_and_out_of_range);
	tcase_add_loop_test(tc, memory_is_bounded, 0, sizeof(bounds) / sizeof(*bounds));
	tcase_add_test(tc, without_memory);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
