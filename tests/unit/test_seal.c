/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_seal.c - seal.h: nobody changes anything while it is held, and nobody is held for ever
 *
 * A wake-up that gets lost shows as a test that does not end.
 */
#include "config.h"

#include "fs/seal.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define NWRITERS 8
#define NHOLDS 400
#define LONG_MS 600000

static struct mfs_seal seal;
static int me, other; /* owners */
static atomic_bool held, finished;
static atomic_ulong failures; /* check's assertions belong to the main thread */
static atomic_int nrefused, nmarks;

/* Not atomic on purpose: the seal alone keeps those who read from those who write. */
static struct {
	unsigned long n;
	char padding[64 - sizeof(unsigned long)];
} written[NWRITERS];

static void begin(void)
{
	mfs_seal_init(&seal);
	atomic_store(&held, false);
	atomic_store(&finished, false);
	atomic_store(&failures, 0);
	atomic_store(&nrefused, 0);
	atomic_store(&nmarks, 0);
}

static void *write_all_the_time(void *arg)
{
	unsigned long i = (unsigned long)(uintptr_t)arg;

	while (!atomic_load(&finished)) {
		if (mfs_seal_enter(&seal) < 0) {
			atomic_fetch_add(&nrefused, 1);
			break;
		}
		if (atomic_load(&held))
			atomic_fetch_add(&failures, 1);
		written[i].n++;
		sched_yield();
		if (atomic_load(&held))
			atomic_fetch_add(&failures, 1);
		mfs_seal_leave(&seal);
	}
	return NULL;
}

static void start(pthread_t threads[], unsigned long n, void *(*run)(void *arg))
{
	for (unsigned long i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)i), 0);
}

static void join(pthread_t threads[], unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static int mark(void *arg)
{
	atomic_fetch_add(&nmarks, 1);
	if (mfs_seal_is_sealed(&seal)) /* nobody may hear of it before it lasts */
		atomic_fetch_add(&failures, 1);
	return arg ? *(int *)arg : 0;
}

static int unmark(void *arg)
{
	if (!mfs_seal_is_sealed(&seal))
		atomic_fetch_add(&failures, 1);
	return arg ? *(int *)arg : 0;
}

static unsigned long sum(void)
{
	unsigned long n = 0;

	for (unsigned int i = 0; i < NWRITERS; i++)
		n += written[i].n;
	return n;
}

START_TEST(nobody_writes_while_it_is_held)
{
	pthread_t threads[NWRITERS];
	unsigned long n;

	begin();
	start(threads, NWRITERS, write_all_the_time);
	for (unsigned int i = 0; i < NHOLDS; i++) {
		ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, LONG_MS), 0);
		atomic_store(&held, true);
		n = sum();
		for (unsigned int k = 0; k < 20; k++)
			sched_yield();
		ck_assert_uint_eq(sum(), n);
		atomic_store(&held, false);
		mfs_seal_release(&seal, i % 2 ? &me : NULL);
		sched_yield();
	}
	/* and then for good: each is refused once */
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, LONG_MS), 0);
	n = sum();
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, NULL), 0);
	join(threads, NWRITERS);
	ck_assert_uint_eq(sum(), n);
	ck_assert_int_eq(atomic_load(&nrefused), NWRITERS);
	ck_assert_uint_eq(atomic_load(&failures), 0);
	mfs_seal_destroy(&seal);
}
END_TEST

START_TEST(a_hold_ends_by_itself)
{
	begin();
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, 50), 0);
	ck_assert_int_eq(mfs_seal_enter(&seal), 0); /* waits for it */
	mfs_seal_leave(&seal);
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, NULL), -ETIMEDOUT);
	/* also where nobody has waited */
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, 1), 0);
	while (mfs_seal_hold(&seal, &other, -1, LONG_MS) == -EBUSY)
		sched_yield();
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, NULL), -ESTALE);
	ck_assert_int_eq(atomic_load(&nmarks), 0);
	mfs_seal_release(&seal, &me); /* it isn't his any more */
	ck_assert_int_eq(mfs_seal_close(&seal, &other, mark, NULL), 0);
	mfs_seal_destroy(&seal);
}
END_TEST

START_TEST(states)
{
	int error = -ENOSPC;

	begin();
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, NULL), -ESTALE);
	ck_assert_int_eq(mfs_seal_open(&seal, unmark, NULL), -EINVAL);
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, LONG_MS), 0);
	ck_assert_int_eq(mfs_seal_hold(&seal, &other, -1, LONG_MS), -EBUSY);
	ck_assert_int_eq(mfs_seal_close(&seal, &other, mark, NULL), -ESTALE);
	ck_assert_int_eq(mfs_seal_open(&seal, unmark, NULL), -EINVAL);
	ck_assert_int_eq(atomic_load(&nmarks), 0);
	/* without its mark it isn't sealed */
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, &error), -ENOSPC);
	ck_assert(!mfs_seal_is_sealed(&seal));
	ck_assert_int_eq(mfs_seal_enter(&seal), 0);
	mfs_seal_leave(&seal);
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, NULL), -ESTALE);
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, LONG_MS), 0);
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, NULL), 0);
	ck_assert(mfs_seal_is_sealed(&seal));
	ck_assert_int_eq(mfs_seal_enter(&seal), -EROFS);
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, LONG_MS), -EROFS);
	mfs_seal_release(&seal, NULL);
	ck_assert_int_eq(mfs_seal_enter(&seal), -EROFS);
	/* as long as the mark is there, it stays so */
	ck_assert_int_eq(mfs_seal_open(&seal, unmark, &error), -ENOSPC);
	ck_assert_int_eq(mfs_seal_enter(&seal), -EROFS);
	ck_assert_int_eq(mfs_seal_open(&seal, unmark, NULL), 0);
	ck_assert_int_eq(mfs_seal_enter(&seal), 0);
	mfs_seal_leave(&seal);
	ck_assert_uint_eq(atomic_load(&failures), 0);
	mfs_seal_destroy(&seal);
	begin();
	mfs_seal_begin_sealed(&seal);
	ck_assert_int_eq(mfs_seal_enter(&seal), -EROFS);
	mfs_seal_destroy(&seal);
}
END_TEST

START_TEST(one_in_flight_that_hangs)
{
	begin();
	ck_assert_int_eq(mfs_seal_enter(&seal), 0);
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, LONG_MS), -ETIMEDOUT);
	mfs_seal_leave(&seal);
	ck_assert_int_eq(mfs_seal_enter(&seal), 0);
	mfs_seal_leave(&seal);
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, LONG_MS), 0);
	mfs_seal_release(&seal, &me);
	mfs_seal_destroy(&seal);
}
END_TEST

/* A pipe stands for its process: it can be read when that has ended. */
START_TEST(an_owner_that_is_gone)
{
	int fds[2];

	begin();
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, fds[0], LONG_MS), 0);
	ck_assert_int_eq(mfs_seal_hold(&seal, &other, -1, LONG_MS), -EBUSY);
	ck_assert_int_eq(write(fds[1], "", 1), 1);
	ck_assert_int_eq(mfs_seal_enter(&seal), 0);
	mfs_seal_leave(&seal);
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, NULL), -ESTALE);
	ck_assert_int_eq(close(fds[0]), -1); /* it was taken over */
	close(fds[1]);
	mfs_seal_destroy(&seal);
}
END_TEST

static void *enter_once(void *arg)
{
	(void)arg;
	if (mfs_seal_enter(&seal) < 0)
		atomic_fetch_add(&nrefused, 1);
	else
		mfs_seal_leave(&seal);
	return NULL;
}

START_TEST(too_many)
{
	static pthread_t threads[MFS_SEAL_WAITING_MAX + 1];

	begin();
	ck_assert_int_eq(mfs_seal_hold(&seal, &me, -1, LONG_MS), 0);
	start(threads, MFS_SEAL_WAITING_MAX + 1, enter_once);
	join(threads, MFS_SEAL_WAITING_MAX + 1); /* or they would wait for ever */
	ck_assert_int_eq(atomic_load(&nrefused), 0);
	ck_assert_int_eq(mfs_seal_close(&seal, &me, mark, NULL), -EUSERS);
	mfs_seal_destroy(&seal);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seal");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, nobody_writes_while_it_is_held);
	tcase_add_test(tests, a_hold_ends_by_itself);
	tcase_add_test(tests, states);
	tcase_add_test(tests, one_in_flight_that_hangs);
	tcase_add_test(tests, an_owner_that_is_gone);
	tcase_add_test(tests, too_many);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
