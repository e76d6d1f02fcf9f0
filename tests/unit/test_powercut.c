/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_powercut.c - a source that loses power at every moment that makes a difference
 *
 * Guests, keeper and syncs work on a simulated disk.  Before each operation that reaches it,
 * disks are made up that a power cut at that moment may leave (all of them
 * where few operations are pending, else samples of several kinds), and the oracle asks
 * what would be believed of each.  On some of them life goes on, with cuts of its own:
 * crashes inside recovery.  Every life ends with a clean close or with a cut, and the
 * next one begins with what that left.
 *
 *   SEED=n     repeats a run of the single-threaded tests
 *   LIVES=n    how many lives
 *   EVERY=n    try cuts at one in n of the moments, on average; 1: at all
 */
#include "config.h"

#include "tests/unit/powercut.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* With no more pending operations than these, all subsets are tried. */
#define EXHAUSTIVE 4
#define PENDING_MAX 4096
/* of a life, by each thread; and lives in a run, unless LIVES says more */
#define STEPS 40
#define LIVES 4

static struct counters counters;
static _Atomic uint64_t lives_begun;
static uint64_t every = 6;

static void live(struct world *w, unsigned int steps);

/* ---- disks that a cut may leave ---- */

static void explain(const struct world *w)
{
	static const char *const words[] = { "lost", "kept", "torn", "garbage" };

	for (unsigned int i = w->nstory > STORY ? w->nstory - STORY : 0; i < w->nstory; i++)
		printf("  %s\n", w->story[i % STORY]);
	printf("in life %" PRIu64 ", depth %u, a cut before call %" PRIu64
	       ", and of what was pending was\n",
	       counters.lives, w->depth, w->disk->calls);
	for (size_t i = 0; i < simdisk_pending(w->disk); i++)
		printf("  %-7s %s\n", words[w->fates[i]], simdisk_describe(w->disk, i));
	fflush(stdout);
}

void powercut_tell(struct world *w, const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&w->disk->lock);
	va_start(args, format);
	vsnprintf(w->story[w->nstory++ % STORY], sizeof(w->story[0]), format, args);
	va_end(args);
	pthread_mutex_unlock(&w->disk->lock);
}

/* Life after the cut, in a world of its own; the model is as it was when the light went out. */
static void live_on(const struct world *before, struct simdisk *after, uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	ck_assert_ptr_nonnull(w);
	/* what is under the disk's lock, and no more: others go on with the rest */
	w->disk = after;
	w->depth = before->depth + 1;
	w->begun = before->begun;
	w->damaged = before->damaged;
	w->explain = before->explain;
	w->counters = before->counters;
	w->at = before->at;
	w->at_uuid = before->at_uuid;
	w->nkeeps = before->nkeeps;
	w->nsyncs = before->nsyncs;
	w->at_keeps = before->at_keeps;
	w->at_syncs = before->at_syncs;
	memcpy(w->records, before->records, sizeof(w->records));
	memcpy(w->story, before->story, sizeof(w->story));
	w->nstory = before->nstory;
	w->rng = (struct rng){ seed };
	w->cut_rng = (struct rng){ rng_next(&w->rng) };
	atomic_fetch_add(&counters.again, 1);
	if (rng_below(&w->rng, 4) == 0)
		powercut_behind(w);
	live(w, 6);
	simdisk_free(w->disk);
	free(w);
}

static void try_cut(struct world *w, const uint8_t *fates, bool garbage)
{
	uint64_t seed = rng_next(&w->cut_rng);
	struct simdisk *after = simdisk_after_cut(w->disk, fates, seed);
	bool damaged = w->damaged;

	w->fates = fates;
	w->damaged = damaged || garbage;
	powercut_check(w, after);
	if (w->depth < 2 && rng_below(&w->cut_rng, 24) == 0)
		live_on(w, after, seed); /* which frees it */
	else
		simdisk_free(after);
	w->damaged = damaged;
}

static void try_all_subsets(struct world *w, size_t n, uint8_t *fates)
{
	for (unsigned int subset = 0; subset < 1u << n; subset++) {
		for (size_t i = 0; i < n; i++)
			fates[i] = subset >> i & 1 ? SIMDISK_KEPT : SIMDISK_LOST;
		try_cut(w, fates, false);
	}
}

/* All but one, or one alone. */
static void try_single(struct world *w, size_t n, uint8_t *fates, enum simdisk_fate one)
{
	memset(fates, one == SIMDISK_KEPT ? SIMDISK_LOST : SIMDISK_KEPT, n);
	fates[rng_below(&w->cut_rng, n)] = (uint8_t)one;
	try_cut(w, fates, false);
}

static void try_random(struct world *w, size_t n, uint8_t *fates, unsigned int nfates)
{
	for (size_t i = 0; i < n; i++)
		fates[i] = (uint8_t)rng_below(&w->cut_rng, nfates);
	try_cut(w, fates, nfates > SIMDISK_GARBAGE);
}

static void try_cuts(struct world *w)
{
	size_t n = simdisk_pending(w->disk);
	uint8_t fates[PENDING_MAX];

	ck_assert_uint_le(n, PENDING_MAX);
	if (n <= EXHAUSTIVE) {
		try_all_subsets(w, n, fates);
	} else {
		memset(fates, SIMDISK_LOST, n);
		try_cut(w, fates, false);
		memset(fates, SIMDISK_KEPT, n);
		try_cut(w, fates, false);
		for (int i = 0; i < 3; i++) {
			try_single(w, n, fates, SIMDISK_LOST);
			try_single(w, n, fates, SIMDISK_KEPT);
			try_random(w, n, fates, SIMDISK_KEPT + 1);
		}
	}
	if (n > 0) {
		try_random(w, n, fates, SIMDISK_TORN + 1);
		try_random(w, n, fates, SIMDISK_GARBAGE + 1);
	}
}

/* Called by the disk before each operation. */
static void cut_point(struct simdisk *disk, void *arg)
{
	struct world *w = arg;

	(void)disk;
	atomic_fetch_add(&counters.cut_points, 1);
	if (rng_below(&w->cut_rng, w->depth == 0 ? every : 2 + every) == 0)
		try_cuts(w);
}

/* ---- a life ---- */

static bool begin(struct world *w)
{
	const struct bmf_source_options options = { .block_shift = BLOCK_SHIFT,
						    .region_shift = REGION_SHIFT,
						    .create = true,
						    .holder = "test" };
	struct bmf_error err;

	w->life = atomic_fetch_add(&lives_begun, 1) + 1;
	w->root = simdisk_root(w->disk);
	w->fs = (struct mfs){ .io = &w->disk->io, .source_fd = w->root };
	mfs_gate_init(&w->fs.gate);
	for (unsigned int i = 0; i < SLOTS; i++)
		w->guests[i] = (struct guest){ .fd = -1 };
	w->disk->hook = cut_point;
	w->disk->hook_arg = w;
	ck_assert_msg(bmf_source_open(w->fs.io, w->root, &options, &w->fs.source, &err) == 0, "%s",
		      err.text);
	w->begun = true;
	powercut_tell(w, "-- mounted, depth %u", w->depth);
	return true;
}

/* What is on the disk stays; with power_cut nothing more gets there. */
static void end(struct world *w, bool power_cut)
{
	int r;

	powercut_tell(w, "-- %s", power_cut ? "power cut" : "unmounted");
	w->disk->off = power_cut;
	powercut_guests_close(w);
	r = bmf_source_close(w->fs.source);
	if (!power_cut)
		ck_assert_int_eq(r, 0);
	w->fs.io->close(w->fs.io, w->root);
	mfs_gate_destroy(&w->fs.gate);
	ck_assert_uint_eq(simdisk_open_fds(w->disk), 0);
	w->disk->hook = NULL;
	w->disk->off = false;
}

static void upkeep_step(struct world *w)
{
	switch (rng_below(&w->rng, 6)) {
	case 0:
		powercut_tell(w, "flush");
		bmf_source_flush(w->fs.source);
		break;
	case 1:
	case 2:
	case 3:
		pthread_mutex_lock(&w->disk->lock);
		w->nkeeps++;
		w->disk->clock_ns += INT64_C(4) * 1000000000;
		pthread_mutex_unlock(&w->disk->lock);
		powercut_tell(w, "keep");
		bmf_source_keep(w->fs.source);
		atomic_fetch_add(&counters.keeps, 1);
		break;
	default:
		powercut_sync(w);
	}
}

static void step(struct world *w)
{
	if (rng_below(&w->rng, 8) < 3)
		upkeep_step(w);
	else
		powercut_guest(w, (unsigned int)rng_below(&w->rng, SLOTS), &w->rng);
}

static void live(struct world *w, unsigned int steps)
{
	begin(w);
	for (unsigned int i = 0; i < steps; i++)
		step(w);
	end(w, rng_below(&w->rng, 2) || w->sick);
	atomic_fetch_add(&counters.lives, 1);
}

/* The disk that the next life begins with. */
static void cut_for_good(struct world *w)
{
	size_t n = simdisk_pending(w->disk);
	uint8_t fates[PENDING_MAX];
	struct simdisk *after;

	for (size_t i = 0; i < n; i++)
		fates[i] = (uint8_t)rng_below(&w->rng, SIMDISK_TORN + 1);
	after = simdisk_after_cut(w->disk, fates, rng_next(&w->rng));
	simdisk_free(w->disk);
	w->disk = after;
	w->sick = false;
}

/* A guest of two of the slots, for as long as told to. */
struct guest_thread {
	struct world *w;
	unsigned int slot;
	struct rng rng;
	pthread_t thread;
};

static void *guest_thread(void *arg)
{
	struct guest_thread *g = arg;

	for (unsigned int i = 0; i < STEPS; i++)
		powercut_guest(g->w, g->slot + 2 * (unsigned int)rng_below(&g->rng, 2), &g->rng);
	return NULL;
}

/* Guests in threads of their own: a cut may find any of them at any moment. */
static void live_concurrently(struct world *w)
{
	struct guest_thread guests[2];

	begin(w);
	for (unsigned int i = 0; i < 2; i++) {
		guests[i] =
			(struct guest_thread){ .w = w, .slot = i, .rng = { rng_next(&w->rng) } };
		ck_assert_int_eq(pthread_create(&guests[i].thread, NULL, guest_thread, &guests[i]),
				 0);
	}
	for (unsigned int i = 0; i < STEPS / 3; i++)
		upkeep_step(w);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(guests[i].thread, NULL);
	end(w, rng_below(&w->rng, 2));
	atomic_fetch_add(&counters.lives, 1);
}

static void run(bool concurrent)
{
	const char *given = getenv("LIVES");
	unsigned int lives = given ? (unsigned int)atoi(given) : LIVES;
	struct world *w = calloc(1, sizeof(*w));

	ck_assert_ptr_nonnull(w);
	if (getenv("SANITIZE") && *getenv("SANITIZE"))
		every *= 8; /* each state takes so much longer */
	if (getenv("EVERY"))
		every = strtoull(getenv("EVERY"), NULL, 0);
	w->disk = simdisk_new();
	w->rng = rng_start("test_powercut");
	w->cut_rng = (struct rng){ rng_next(&w->rng) };
	for (unsigned int i = 0; i < lives; i++) {
		if (i % 8 == 0) { /* a new source now and then: beginnings have cuts too */
			simdisk_free(w->disk);
			*w = (struct world){ .rng = w->rng,
					     .cut_rng = w->cut_rng,
					     .concurrent = concurrent,
					     .counters = &counters,
					     .explain = explain };
			w->disk = simdisk_new();
		}
		if (concurrent)
			live_concurrently(w);
		else
			live(w, STEPS);
		cut_for_good(w);
		if (rng_below(&w->rng, 3) == 0)
			powercut_behind(w);
	}
	simdisk_free(w->disk);
	free(w);
	printf("test_powercut: %" PRIu64 " lives, %" PRIu64 " changes, %" PRIu64 " keeps, %" PRIu64
	       " syncs, %" PRIu64 " cut points, %" PRIu64 " states, %" PRIu64 " lived on, %" PRIu64
	       " blocks compared, %" PRIu64 " needlessly dirty, %" PRIu64 " full copies\n",
	       counters.lives, counters.changes, counters.keeps, counters.syncs,
	       counters.cut_points, counters.states, counters.again, counters.blocks,
	       counters.needless, counters.full);
}

START_TEST(one_thread)
{
	run(false);
}
END_TEST

START_TEST(threads)
{
	run(true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("powercut");
	TCase *tcase = tcase_create("simulated disk");

	/* disks are made and freed all the time */
	mallopt(M_MMAP_THRESHOLD, 1 << 26);
	mallopt(M_TRIM_THRESHOLD, 1 << 28);
	tcase_set_timeout(tcase, 3600);
	tcase_add_test(tcase, one_thread);
	tcase_add_test(tcase, threads);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
