/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_gate.c - the gate: nobody inside while it is closed, and nobody forgotten outside
 *
 * A wake-up that gets lost shows as a test that does not end.
 */
#include "config.h"

#include "fs/gate.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define NWRITERS 8
#define NCLOSERS 2
#define NCLOSINGS 2000
#define NDRAINS 1000

static struct mfs_gate gate;
static atomic_int inside;
static atomic_bool closed, finished;
static atomic_ulong failures; /* check's assertions belong to the main thread */

static void expect(bool condition)
{
	if (!condition)
		atomic_fetch_add(&failures, 1);
}

/* Not atomic on purpose: the gate alone keeps those who read from those who write. */
static struct {
	unsigned long n;
	char padding[64 - sizeof(unsigned long)];
} written[NWRITERS];
static unsigned long seen[NWRITERS];

static void *write_all_the_time(void *arg)
{
	unsigned long i = (unsigned long)(uintptr_t)arg, rounds = 0;

	while (!atomic_load(&finished)) {
		mfs_gate_enter(&gate);
		atomic_fetch_add(&inside, 1);
		expect(!atomic_load(&closed));
		written[i].n++;
		if (rounds++ % 16 == i)
			sched_yield(); /* let the closer come while we are inside */
		expect(!atomic_load(&closed));
		atomic_fetch_sub(&inside, 1);
		mfs_gate_leave(&gate);
	}
	return NULL;
}

static void *close_and_open(void *arg)
{
	(void)arg;
	for (int i = 0; i < NCLOSINGS; i++) {
		expect(mfs_gate_close(&gate, 60000) == 0);
		expect(!atomic_exchange(&closed, true));
		expect(atomic_load(&inside) == 0);
		for (int w = 0; w < NWRITERS; w++) {
			expect(written[w].n >= seen[w]);
			seen[w] = written[w].n;
		}
		if (i % 7 == 0)
			sched_yield(); /* let the writers come while it is closed */
		for (int w = 0; w < NWRITERS; w++)
			expect(written[w].n == seen[w]);
		atomic_store(&closed, false);
		mfs_gate_open(&gate);
		if (i % 3 == 0)
			sched_yield();
	}
	return NULL;
}

START_TEST(test_closed_gate_holds_nobody)
{
	pthread_t writers[NWRITERS], closers[NCLOSERS];

	mfs_gate_init(&gate);
	for (uintptr_t i = 0; i < NWRITERS; i++)
		ck_assert(pthread_create(&writers[i], NULL, write_all_the_time, (void *)i) == 0);
	for (int i = 0; i < NCLOSERS; i++)
		ck_assert(pthread_create(&closers[i], NULL, close_and_open, NULL) == 0);
	for (int i = 0; i < NCLOSERS; i++)
		pthread_join(closers[i], NULL);
	atomic_store(&finished, true);
	for (int i = 0; i < NWRITERS; i++)
		pthread_join(writers[i], NULL);
	ck_assert_uint_eq(atomic_load(&failures), 0);
	for (int i = 0; i < NWRITERS; i++)
		ck_assert_msg(written[i].n > 0, "writer %d never got in", i);
	mfs_gate_destroy(&gate);
}
END_TEST

static void *enter_and_leave(void *arg)
{
	mfs_gate_enter(&gate);
	atomic_store((atomic_bool *)arg, true);
	mfs_gate_leave(&gate);
	return NULL;
}

/* More threads than shards, all of them outside when it opens. */
START_TEST(test_everybody_is_woken)
{
	static atomic_bool entered[3 * MFS_GATE_SHARDS];
	pthread_t threads[3 * MFS_GATE_SHARDS];

	mfs_gate_init(&gate);
	for (int round = 0; round < 20; round++) {
		ck_assert_int_eq(mfs_gate_close(&gate, 60000), 0);
		for (int i = 0; i < 3 * MFS_GATE_SHARDS; i++) {
			atomic_store(&entered[i], false);
			ck_assert(pthread_create(&threads[i], NULL, enter_and_leave, &entered[i]) ==
				  0);
		}
		for (int i = 0; i < 3 * MFS_GATE_SHARDS; i++)
			ck_assert(!atomic_load(&entered[i]));
		mfs_gate_open(&gate);
		for (int i = 0; i < 3 * MFS_GATE_SHARDS; i++) {
			pthread_join(threads[i], NULL);
			ck_assert(atomic_load(&entered[i]));
		}
	}
	mfs_gate_destroy(&gate);
}
END_TEST

/* A writer that does not come back holds up the others for a bounded time only. */
START_TEST(test_closing_gives_up)
{
	static atomic_bool entered;
	pthread_t thread;

	mfs_gate_init(&gate);
	mfs_gate_enter(&gate);
	ck_assert_int_eq(mfs_gate_close(&gate, 50), -ETIMEDOUT);
	ck_assert(pthread_create(&thread, NULL, enter_and_leave, &entered) == 0);
	pthread_join(thread, NULL);
	ck_assert(atomic_load(&entered));
	mfs_gate_leave(&gate);
	ck_assert_int_eq(mfs_gate_close(&gate, 50), 0);
	mfs_gate_open(&gate);
	mfs_gate_destroy(&gate);
}
END_TEST

/* What writers use without a lock, and who drains takes away: not atomic on purpose. */
struct taken {
	unsigned long uses;
	bool gone;
};
static struct taken *_Atomic offered;

static void *use_what_is_offered(void *arg)
{
	unsigned long rounds = 0;

	(void)arg;
	while (!atomic_load(&finished)) {
		struct taken *taken;

		mfs_gate_enter(&gate);
		taken = atomic_load(&offered);
		if (rounds++ % 16 == 0)
			sched_yield();
		expect(!taken->gone);
		expect(taken->uses == 0);
		mfs_gate_leave(&gate);
	}
	return NULL;
}

static void *close_and_open_quickly(void *arg)
{
	(void)arg;
	while (!atomic_load(&finished)) {
		expect(mfs_gate_close(&gate, 60000) == 0);
		mfs_gate_open(&gate);
		sched_yield();
	}
	return NULL;
}

START_TEST(test_drained_gate_has_let_go)
{
	static struct taken all[NDRAINS + 1];
	pthread_t users[NWRITERS], closer;

	mfs_gate_init(&gate);
	atomic_store(&finished, false);
	atomic_store(&offered, &all[0]);
	for (uintptr_t i = 0; i < NWRITERS; i++)
		ck_assert(pthread_create(&users[i], NULL, use_what_is_offered, NULL) == 0);
	ck_assert(pthread_create(&closer, NULL, close_and_open_quickly, NULL) == 0);
	for (int i = 0; i < NDRAINS; i++) {
		atomic_store(&offered, &all[i + 1]);
		ck_assert_int_eq(mfs_gate_drain(&gate, 60000), 0);
		all[i].uses++;
		all[i].gone = true;
	}
	atomic_store(&finished, true);
	for (int i = 0; i < NWRITERS; i++)
		pthread_join(users[i], NULL);
	pthread_join(closer, NULL);
	ck_assert_uint_eq(atomic_load(&failures), 0);
	mfs_gate_destroy(&gate);
}
END_TEST

/* One that does not come back holds up the drain for a bounded time, and others not at all. */
START_TEST(test_draining_gives_up)
{
	static atomic_bool entered;
	pthread_t thread;

	mfs_gate_init(&gate);
	mfs_gate_enter(&gate);
	ck_assert_int_eq(mfs_gate_drain(&gate, 50), -ETIMEDOUT);
	ck_assert(pthread_create(&thread, NULL, enter_and_leave, &entered) == 0);
	pthread_join(thread, NULL);
	ck_assert(atomic_load(&entered));
	ck_assert_int_eq(mfs_gate_drain(&gate, 50), -ETIMEDOUT);
	mfs_gate_leave(&gate);
	ck_assert_int_eq(mfs_gate_drain(&gate, 50), 0);
	ck_assert_int_eq(mfs_gate_drain(&gate, 50), 0);
	mfs_gate_destroy(&gate);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gate");
	TCase *tcase = tcase_create("gate");

	tcase_add_test(tcase, test_closed_gate_holds_nobody);
	tcase_add_test(tcase, test_everybody_is_woken);
	tcase_add_test(tcase, test_closing_gives_up);
	tcase_add_test(tcase, test_drained_gate_has_let_go);
	tcase_add_test(tcase, test_draining_gives_up);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
