/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_bits_threads.c - bits.h under concurrent use
 *
 * Meant for ThreadSanitizer too.  Each test begins its rounds with a barrier, so that
 * threads meet in the same slots; what a round checks holds in any order.
 */
#include "config.h"

#include "bitmapfile/bits.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NTHREADS 4u
#define CHUNK BMF_BITS_CHUNK
#define LEVEL(n) (UINT64_C(1) << (15 + 9 * (n))) /* bits below a node of level n */

struct thread {
	pthread_t id;
	unsigned int number;
	struct rng rng;
	struct bmf_bits *bits;
	_Atomic uint64_t failures; /* check's assertions belong to the main thread */
};

static pthread_barrier_t barrier;

static void expect(struct thread *t, bool condition)
{
	if (!condition)
		atomic_fetch_add(&t->failures, 1);
}

static void run_threads(unsigned int n, void *(*run)(void *), struct bmf_bits *bits,
			struct rng *rng)
{
	struct thread threads[NTHREADS] = { 0 };

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, n), 0);
	for (unsigned int i = 0; i < n; i++) {
		threads[i].number = i;
		threads[i].rng.state = rng_next(rng);
		threads[i].bits = bits;
		ck_assert_int_eq(pthread_create(&threads[i].id, NULL, run, &threads[i]), 0);
	}
	for (unsigned int i = 0; i < n; i++)
		ck_assert_int_eq(pthread_join(threads[i].id, NULL), 0);
	for (unsigned int i = 0; i < n; i++)
		ck_assert_uint_eq(threads[i].failures, 0);
	pthread_barrier_destroy(&barrier);
}

/*
 * Each thread owns every NTHREADS-th bit, in the same words as all the others, and
 * always finds its own bits as it left them.  Some chunks begin as full ones.
 */
#define OWNED (2 * CHUNK / NTHREADS)

static void *own_bits(void *arg)
{
	struct thread *t = arg;
	uint8_t *mine = malloc(OWNED);
	const uint64_t base = LEVEL(1) - CHUNK;

	memset(mine, 1, OWNED / 2);
	memset(mine + OWNED / 2, 0, OWNED / 2);
	for (int i = 0; i < 400000; i++) {
		if (i % 4000 == 0) /* or each might run alone */
			pthread_barrier_wait(&barrier);
		/* half of the time in a few words, where they get into each other's way */
		uint64_t owned = rng_below(&t->rng, i % 2 ? OWNED : 32);
		uint64_t position = base + owned * NTHREADS + t->number;

		expect(t, bmf_bits_test(t->bits, position) == mine[owned]);
		mine[owned] = (uint8_t)rng_below(&t->rng, 2);
		expect(t, (mine[owned] ? bmf_bits_set : bmf_bits_clear)(t->bits, position, 1) == 0);
		expect(t, bmf_bits_test_all(t->bits, position, 1) == mine[owned]);
	}
	for (uint64_t owned = 0; owned < OWNED; owned++)
		expect(t,
		       bmf_bits_test(t->bits, base + owned * NTHREADS + t->number) == mine[owned]);
	free(mine);
	return NULL;
}

START_TEST(bits_of_their_own)
{
	struct rng rng = rng_start("bits_of_their_own");
	struct bmf_bits *bits = bmf_bits_new();

	ck_assert_int_eq(bmf_bits_set(bits, LEVEL(1) - CHUNK, CHUNK), 0);
	run_threads(NTHREADS, own_bits, bits, &rng);
	bmf_bits_free(bits);
}
END_TEST

/* Nobody clears: whatever a thread has set stays set, while the tree grows and fills. */
static void *only_set(void *arg)
{
	struct thread *t = arg;
	uint64_t first[64], n[64];

	for (unsigned int i = 0; i < 64; i++) {
		unsigned int level = (unsigned int)rng_below(&t->rng, 4);

		if (i % 8 == 0)
			pthread_barrier_wait(&barrier);
		/* ranges from a bit to some nodes, close to where the others' are */
		first[i] = rng_below(&t->rng, 3) * LEVEL(level) + rng_below(&t->rng, 2) * CHUNK;
		n[i] = rng_below(&t->rng, 2) ? LEVEL(level) : 1 + rng_below(&t->rng, 2 * CHUNK);
		expect(t, bmf_bits_set(t->bits, first[i], n[i]) == 0);
		for (unsigned int j = 0; j <= i; j++)
			expect(t, bmf_bits_test_all(t->bits, first[j], n[j]));
	}
	return NULL;
}

START_TEST(what_is_set_stays_set)
{
	struct rng rng = rng_start("what_is_set_stays_set");

	for (int round = 0; round < 60; round++) {
		struct bmf_bits *bits = bmf_bits_new();

		run_threads(NTHREADS, only_set, bits, &rng);
		bmf_bits_free(bits);
	}
}
END_TEST

/*
 * A tree of nothing but FULL slots is cleared by all threads, each the n-th part
 * of each piece: they meet when children replace the same slots.
 */
static const uint64_t pieces[] = { 64 * NTHREADS, 100 * NTHREADS, CHUNK,   2 * CHUNK,
				   LEVEL(1) / 2,  LEVEL(1),	  LEVEL(2) };
#define NPIECES (sizeof(pieces) / sizeof(*pieces))

static void *clear_part(void *arg)
{
	struct thread *t = arg;
	uint64_t at = LEVEL(2) - LEVEL(1);

	for (size_t i = 0; i < NPIECES; i++) {
		uint64_t part = pieces[i] / NTHREADS, first = at + part * t->number;

		pthread_barrier_wait(&barrier);
		expect(t, bmf_bits_clear(t->bits, first, part) == 0);
		expect(t, bmf_bits_count(t->bits, first, part) == 0);
		at += pieces[i] + 1; /* one bit between two pieces stays */
	}
	return NULL;
}

START_TEST(full_slots_are_cleared_together)
{
	struct rng rng = rng_start("full_slots_are_cleared_together");

	for (int round = 0; round < 300; round++) {
		struct bmf_bits *bits = bmf_bits_new();
		uint64_t cleared = 0;

		ck_assert_int_eq(bmf_bits_set(bits, 0, LEVEL(3)), 0);
		run_threads(NTHREADS, clear_part, bits, &rng);
		for (size_t i = 0; i < NPIECES; i++)
			cleared += pieces[i];
		ck_assert_uint_eq(bmf_bits_count(bits, 0, UINT64_MAX), LEVEL(3) - cleared);
		bmf_bits_free(bits);
	}
}
END_TEST

/*
 * One thread fills a chunk and clears its lower half; another sets single bits in the
 * upper half, which nobody clears: NULL, FULL and child follow each other in one slot.
 */
static void *fill_and_clear(void *arg)
{
	struct thread *t = arg;

	for (uint64_t chunk = 0; chunk < 2000; chunk++) {
		uint64_t first = chunk * CHUNK, middle = first + CHUNK / 2;

		if (chunk % 16 == 0)
			pthread_barrier_wait(&barrier);
		if (t->number == 0) {
			expect(t, bmf_bits_set(t->bits, first, CHUNK) == 0);
			expect(t, bmf_bits_clear(t->bits, first, CHUNK / 2) == 0);
			expect(t, bmf_bits_count(t->bits, first, CHUNK / 2) == 0);
			expect(t, bmf_bits_test_all(t->bits, middle, CHUNK / 2));
			continue;
		}
		for (unsigned int i = 0; i < 8; i++) {
			uint64_t position = middle + rng_below(&t->rng, CHUNK / 2);

			expect(t, bmf_bits_set(t->bits, position, 1) == 0);
			expect(t, bmf_bits_test(t->bits, position));
		}
	}
	return NULL;
}

START_TEST(a_slot_through_all_states)
{
	struct rng rng = rng_start("a_slot_through_all_states");
	struct bmf_bits *bits = bmf_bits_new();

	run_threads(NTHREADS, fill_and_clear, bits, &rng);
	ck_assert_uint_eq(bmf_bits_count(bits, 0, UINT64_MAX), 2000 * CHUNK / 2);
	bmf_bits_free(bits);
}
END_TEST

/*
 * The litmus test of what tracker.h relies on.  A writer sets a dirty bit and
 * then looks whether its region is armed; a cleaner disarms the region and then
 * looks for dirty bits.  Never may both miss the other (I1).  The bits lie such
 * that chunks, nodes and FULL slots are made and replaced meanwhile.
 */
#define ROUNDS 8000u
#define BATCH 16u /* positions a round, one right after the other */

struct litmus {
	struct bmf_bits *dirty, *armed;
	_Atomic unsigned int arrived;
	bool saw_armed[ROUNDS * BATCH], saw_dirty[ROUNDS * BATCH];
};

/* Both threads leave at the same moment, with no lock that could order them. */
static void meet(struct litmus *l, unsigned int round)
{
	atomic_fetch_add(&l->arrived, 1);
	for (unsigned int spins = 0; atomic_load(&l->arrived) < 2 * (round + 1); spins++)
		if (spins > 3000)
			sched_yield();
}

/* A head start for the other, of another length each round. */
static void linger(unsigned int round)
{
	for (volatile unsigned int i = 0; i < round % 64; i++)
		continue;
}

static uint64_t dirty_position(unsigned int i)
{
	return i * UINT64_C(4099); /* another chunk every eighth time */
}

static uint64_t armed_position(unsigned int i)
{
	return i * UINT64_C(1031); /* in FULL slots, now and then a new one */
}

static void *litmus_writer(void *arg)
{
	struct litmus *l = arg;

	for (unsigned int i = 0; i < ROUNDS * BATCH; i++) {
		if (i % BATCH == 0)
			meet(l, i / BATCH);
		if (bmf_bits_set(l->dirty, dirty_position(i), 1) < 0)
			abort();
		l->saw_armed[i] = bmf_bits_test(l->armed, armed_position(i));
	}
	return NULL;
}

static void *litmus_cleaner(void *arg)
{
	struct litmus *l = arg;

	for (unsigned int i = 0; i < ROUNDS * BATCH; i++) {
		if (i % BATCH == 0) {
			meet(l, i / BATCH);
			linger(i / BATCH);
		}
		if (bmf_bits_clear(l->armed, armed_position(i), 1) < 0)
			abort();
		l->saw_dirty[i] = i % 2 ? bmf_bits_test(l->dirty, dirty_position(i))
					: bmf_bits_count(l->dirty, dirty_position(i), 1);
	}
	return NULL;
}

START_TEST(never_do_both_miss)
{
	struct litmus *l = calloc(1, sizeof(*l));
	unsigned int turns = 0;
	pthread_t writer;

	l->dirty = bmf_bits_new();
	l->armed = bmf_bits_new();
	ck_assert_int_eq(bmf_bits_set(l->armed, 0, LEVEL(2)), 0);
	ck_assert_int_eq(pthread_create(&writer, NULL, litmus_writer, l), 0);
	litmus_cleaner(l);
	ck_assert_int_eq(pthread_join(writer, NULL), 0);
	for (unsigned int i = 0; i < ROUNDS * BATCH; i++) {
		/* armed seen: the writer goes on, trusting that its dirty bit is found */
		ck_assert_msg(!l->saw_armed[i] || l->saw_dirty[i], "missed at %u", i);
		turns += i > 0 && l->saw_armed[i] != l->saw_armed[i - 1];
	}
	printf("never_do_both_miss: the lead changed %u times\n", turns);
	bmf_bits_free(l->dirty);
	bmf_bits_free(l->armed);
	free(l);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bits_threads");
	TCase *tc = tcase_create("bits_threads");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, bits_of_their_own);
	tcase_add_test(tc, what_is_set_stays_set);
	tcase_add_test(tc, full_slots_are_cleared_together);
	tcase_add_test(tc, a_slot_through_all_states);
	tcase_add_test(tc, never_do_both_miss);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
