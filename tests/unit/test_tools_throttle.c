/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_throttle.c - throttle.h by a clock of its own; pace.h's count of pieces */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tools/pace.h"
#include "tools/throttle.h"

#include <check.h>

#define SECOND INT64_C(1000000000)

static struct rng rng;

/* Takes n pieces as soon as each may begin, and does so late by up to late_ns; the last one's time.
 */
static int64_t take(struct throttle *throttle, unsigned int n, uint64_t nbytes, int64_t now,
		    uint64_t late_ns)
{
	for (unsigned int i = 0; i < n; i++) {
		int64_t begin = throttle_take(throttle, nbytes, now);

		ck_assert_int_ge(begin, now);
		now = begin;
		if (late_ns > 0)
			now += (int64_t)rng_below(&rng, late_ns);
	}
	return now;
}

START_TEST(exact)
{
	static const uint64_t rates[] = { 1024, 65536, 1000003, 10 << 20, UINT64_C(3) << 30 };
	struct throttle throttle;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t piece = 256 << 10;
		int64_t begun = 5 * SECOND, end;

		throttle_begin(&throttle, rates[i], begun);
		/* the first one at once, the last one when all others are paid for */
		end = take(&throttle, 10001, piece, begun, 0);
		ck_assert_double_eq_tol((double)(end - begun) / 1e9,
					10000.0 * (double)piece / (double)rates[i], 0.001);
	}
}
END_TEST

/* Sleeps last longer than they should; what they are too long is made up for. */
START_TEST(with_a_bad_sleeper)
{
	struct throttle throttle;
	int64_t end;

	throttle_begin(&throttle, 1 << 20, 0);
	end = take(&throttle, 10001, 64 << 10, 0, THROTTLE_BURST_NS / 2);
	ck_assert_double_eq_tol((double)end / 1e9, 10000.0 / 16, 0.2);
}
END_TEST

/* A pause isn't, but for the little that was promised. */
START_TEST(after_a_pause)
{
	struct throttle throttle;
	uint64_t taken = 0;
	int64_t now = 0;

	throttle_begin(&throttle, 1000000, now);
	take(&throttle, 10, 1000, now, 0);
	now += 100 * SECOND;
	while (throttle_take(&throttle, 1000, now) == now)
		taken += 1000;
	/* and the piece that puts it into debt */
	ck_assert_uint_ge(taken, 1000000 / 10);
	ck_assert_uint_le(taken, 1000000 / 10 + 2000);
}
END_TEST

/* In no window of time more than it says, whatever is taken whenever. */
START_TEST(never_more)
{
	enum { N = 2000 };
	static int64_t begins[N];
	static uint64_t sums[N + 1]; /* of what began before */
	uint64_t rate = 50000, largest = 40000;
	struct throttle throttle;
	int64_t now = 0;

	throttle_begin(&throttle, rate, now);
	for (size_t i = 0; i < N; i++) {
		uint64_t nbytes = rng_below(&rng, largest) + 1;

		if (rng_below(&rng, 10) == 0)
			now += (int64_t)rng_below(&rng, 3 * SECOND);
		begins[i] = now = throttle_take(&throttle, nbytes, now);
		sums[i + 1] = sums[i] + nbytes;
	}
	for (size_t i = 0; i < N; i += 7)
		for (size_t k = i; k < N; k += 13) {
			double seconds = (double)(begins[k] - begins[i] + THROTTLE_BURST_NS) / 1e9;

			ck_assert_double_le((double)(sums[k + 1] - sums[i]),
					    seconds * (double)rate + (double)largest + 1);
		}
}
END_TEST

START_TEST(without_a_limit)
{
	struct throttle throttle;

	throttle_begin(&throttle, 0, 0);
	ck_assert_int_eq(take(&throttle, 1000, UINT64_MAX, 17, 0), 17);
}
END_TEST

/* Absurd sizes at absurd rates come to an end of the clock nowhere. */
START_TEST(no_overflow)
{
	struct throttle throttle;

	throttle_begin(&throttle, 1, 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_ge(throttle_take(&throttle, UINT64_MAX, 0), 0);
	ck_assert_int_ge(take(&throttle, 1, 1, INT64_MAX / 4, 0), INT64_MAX / 4);
}
END_TEST

START_TEST(pieces)
{
	pace_set_limit(64 << 10);
	ck_assert_uint_eq(pace_pieces(32, 256 << 10), 1);
	pace_set_limit(8 << 20);
	ck_assert_uint_eq(pace_pieces(32, 256 << 10), 8);
	ck_assert_uint_eq(pace_pieces(1, 256 << 10), 1);
	pace_set_limit(UINT64_C(1) << 40);
	ck_assert_uint_eq(pace_pieces(32, 256 << 10), 32);
	pace_set_limit(0);
	ck_assert_uint_eq(pace_pieces(32, 256 << 10), 32);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_throttle");
	TCase *tc = tcase_create("throttle");

	rng = rng_start("test_tools_throttle");
	tcase_add_test(tc, exact);
	tcase_add_test(tc, with_a_bad_sleeper);
	tcase_add_test(tc, after_a_pause);
	tcase_add_test(tc, never_more);
	tcase_add_test(tc, without_a_limit);
	tcase_add_test(tc, no_overflow);
	tcase_add_test(tc, pieces);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
