/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_workers.c - workers.h: all is done, once, by as many threads as were asked for */
#include "config.h"

#include "tests/unit/suite.h"
#include "tools/workers.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#define N 64
#define ROUNDS 200

struct sum {
	struct work work;
	int given, got; /* plain ints: that they are seen is part of the contract */
};

static atomic_int nrun;

static void add_up(struct work *work)
{
	struct sum *sum = (struct sum *)((char *)work - offsetof(struct sum, work));

	sum->got += sum->given;
	atomic_fetch_add(&nrun, 1);
}

static const unsigned int nthreads[] = { 0, 1, 2, 3, 16 };

START_TEST(each_is_run_once)
{
	struct sum sums[N];
	struct workers *workers;

	atomic_store(&nrun, 0);
	ck_assert_int_eq(workers_new(nthreads[_i], &workers), 0);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < N; i++) {
			sums[i] = (struct sum){ .work = { .run = add_up }, .given = i + round };
			workers_start(workers, &sums[i].work);
		}
		/* in any order */
		for (int i = 0; i < N; i++) {
			int k = round % 2 ? i : N - 1 - i;

			workers_wait(workers, &sums[k].work);
			ck_assert_int_eq(sums[k].got, k + round);
		}
	}
	ck_assert_int_eq(atomic_load(&nrun), N * ROUNDS);
	workers_free(workers);
}
END_TEST

/* Runs only when as many are there at once: nothing else lets them go on. */
static pthread_barrier_t barrier;

static void meet(struct work *work)
{
	(void)work;
	pthread_barrier_wait(&barrier);
}

START_TEST(they_run_side_by_side)
{
	struct work works[8];
	struct workers *workers;

	ck_assert_int_eq(workers_new(8, &workers), 0);
	for (int round = 0; round < ROUNDS; round++) {
		/* with what is there since the last round, too */
		pthread_barrier_init(&barrier, NULL, 1 + (unsigned int)round % 8);
		for (int i = 0; i < 1 + round % 8; i++) {
			works[i] = (struct work){ .run = meet };
			workers_start(workers, &works[i]);
		}
		for (int i = 0; i < 1 + round % 8; i++)
			workers_wait(workers, &works[i]);
		pthread_barrier_destroy(&barrier);
	}
	workers_free(workers);
}
END_TEST

static pthread_t owner;

/* How many were carried out by another than the owner, and how many of these with signals blocked.
 */
static atomic_int others, blocked;

static void look_at_signals(struct work *work)
{
	sigset_t set;

	(void)work;
	pthread_barrier_wait(&barrier); /* or the owner does them all, if it is quick */
	if (pthread_equal(pthread_self(), owner))
		return;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	atomic_fetch_add(&others, 1);
	if (sigismember(&set, SIGINT) && sigismember(&set, SIGTERM))
		atomic_fetch_add(&blocked, 1);
}

START_TEST(signals_are_the_owners)
{
	struct work works[4];
	struct workers *workers;

	owner = pthread_self();
	pthread_barrier_init(&barrier, NULL, 4);
	ck_assert_int_eq(workers_new(4, &workers), 0);
	for (int i = 0; i < 4; i++) {
		works[i] = (struct work){ .run = look_at_signals };
		workers_start(workers, &works[i]);
	}
	for (int i = 0; i < 4; i++)
		workers_wait(workers, &works[i]);
	workers_free(workers);
	pthread_barrier_destroy(&barrier);
	ck_assert_int_ge(others, 3); /* one may have been left to the owner */
	ck_assert_int_eq(blocked, others);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("workers");
	TCase *tc = tcase_create("core");

	tcase_add_loop_test(tc, each_is_run_once, 0, sizeof(nthreads) / sizeof(*nthreads));
	tcase_add_test(tc, they_run_side_by_side);
	tcase_add_test(tc, signals_are_the_owners);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
