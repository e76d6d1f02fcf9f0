/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_crew.c - how many threads are wanted, by what is seen of them */
#include "config.h"

#include "fs/crew.h"
#include "tests/unit/suite.h"

#include <check.h>

static struct mfs_crew crew;
static struct mfs_crew_look seen;

/* A look after n more requests, all of them sampled; the crew does what is wanted. */
static void look(unsigned int nwaiting, uint64_t n, uint64_t nblocked, uint64_t nqueued)
{
	seen.nwaiting = nwaiting;
	seen.is_queued = nqueued > 0;
	seen.nrequests += n;
	seen.nsampled += n;
	seen.nblocked += nblocked;
	seen.nqueued += n ? nqueued : 0;
	ck_assert_uint_gt(crew.interval_ms, 0);
	mfs_crew_look(&crew, &seen);
	ck_assert_uint_ge(crew.wanted, MFS_CREW_MIN);
	ck_assert_uint_le(crew.wanted, MFS_CREW_MAX);
	seen.nworkers = crew.wanted;
}

static void setup(void)
{
	mfs_crew_init(&crew);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_MIN);
	ck_assert_uint_eq(crew.interval_ms, 0);
	seen = (struct mfs_crew_look){ .nworkers = MFS_CREW_MIN };
	mfs_crew_begin(&crew, &seen);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_MIN);
	ck_assert_uint_eq(crew.interval_ms, 1);
}

/* One after the other, whether they block or not: there is nothing to gain. */
START_TEST(test_one_at_a_time)
{
	for (unsigned int i = 0; i < 1000; i++) {
		look(i % 2, 50, i % 3 ? 50 : 0, i % 5 ? 0 : 2);
		ck_assert_uint_eq(crew.wanted, MFS_CREW_MIN);
	}
	ck_assert_uint_gt(crew.interval_ms, 1);
}
END_TEST

/* More threads would not make processors faster. */
START_TEST(test_many_that_are_short)
{
	for (unsigned int i = 0; i < 1000; i++)
		look(0, 50, 1, 50);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_BUSY_MAX);
	for (unsigned int i = 0; i < 1000; i++)
		look(1, 50, 1, 2);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_MIN);
}
END_TEST

/* 16 at a time that block. */
START_TEST(test_many_that_block)
{
	unsigned int looks = 0;

	for (; seen.nworkers < 16 && looks < 100; looks++)
		look(0, seen.nworkers, seen.nworkers, seen.nworkers);
	ck_assert_uint_lt(looks, 10);
	for (unsigned int i = 0; i < 1000; i++)
		if (seen.nworkers < 16)
			look(0, seen.nworkers, seen.nworkers, seen.nworkers);
		else
			look(seen.nworkers - 16, 16, 16, 0);
	ck_assert_uint_ge(crew.wanted, 16);
	ck_assert_uint_le(crew.wanted, 17);
	/* they are kept while nothing happens, and nobody looks */
	for (unsigned int i = 0; i < 1000 && crew.interval_ms; i++)
		look(seen.nworkers, 0, 0, 0);
	ck_assert_uint_eq(crew.interval_ms, 0);
	ck_assert_uint_ge(crew.wanted, 16);
	/* until there are others, which are short */
	mfs_crew_begin(&crew, &seen);
	for (unsigned int i = 0; i < 100; i++)
		look(seen.nworkers - 1, 50, 0, 0);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_MIN);
}
END_TEST

/* As behind a closed gate, or on a disk that hangs: nothing is received, so nothing is sampled. */
START_TEST(test_nobody_gets_on)
{
	unsigned int looks = 0;

	for (; crew.wanted < MFS_CREW_MAX && looks < 1000; looks++)
		look(0, 0, 0, 1);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_MAX);
	ck_assert_uint_lt(looks, 20);
	for (unsigned int i = 0; i < 1000; i++)
		look(0, 0, 0, 1);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_MAX);
}
END_TEST

/* Slow, but nobody waits. */
START_TEST(test_one_that_takes_long)
{
	for (unsigned int i = 0; i < 1000; i++)
		look(0, 0, 0, 0);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_MIN);
	ck_assert_uint_gt(crew.interval_ms, 0); /* it may happen yet */
}
END_TEST

/* One thread was started for one that stood back: it stays, not to be started each time. */
START_TEST(test_helper_stays)
{
	seen.nhelped++;
	look(0, 1, 1, 0);
	ck_assert_uint_eq(crew.wanted, MFS_CREW_MIN + 1);
	for (unsigned int i = 0; i < 1000; i++) {
		look(1, 1, 1, 0);
		ck_assert_uint_eq(crew.wanted, MFS_CREW_MIN + 1);
	}
}
END_TEST

/* Some stood back, or could not be made: then other numbers are seen than were wanted. */
START_TEST(test_any_number_is_seen)
{
	for (unsigned int n = 0; n < 600; n += 7) {
		seen.nworkers = n;
		if (crew.interval_ms == 0)
			mfs_crew_begin(&crew, &seen);
		look(n % 2 ? n : 0, n, n % 3 ? n : 0, n % 5 ? n : 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crew");
	TCase *tcase = tcase_create("crew");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_one_at_a_time);
	tcase_add_test(tcase, test_many_that_are_short);
	tcase_add_test(tcase, test_many_that_block);
	tcase_add_test(tcase, test_nobody_gets_on);
	tcase_add_test(tcase, test_one_that_takes_long);
	tcase_add_test(tcase, test_helper_stays);
	tcase_add_test(tcase, test_any_number_is_seen);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
