/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_save_races.c - a write that comes in the middle of a save, at each call to the disk
 *
 * Something is done to a source (an upkeep that disarms, one that cleans, a rollover that adopts).
 * Before and after the Nth call to the disk in it, for every N, another thread changes a block;
 * what it changed gets to the image at once or some calls later.  If the thread has to wait
 * for the tracker's lock, then what was begun goes on meanwhile.  From then on, at every
 * call: if everything stopped here, would the next one to look at the image know of that block?
 * And in the end the next checkpoint has its bit (I1), and no history was lost for it (I4).
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sources.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHANGED 13 /* in the same region as FIRST, but not the same block */
#define FIRST 9
#define ELSEWHERE 100

static struct {
	struct bmf_source *source;
	int fd;
	uint64_t since; /* the checkpoint from which on the block must be dirty */
	unsigned long calls, at, gap;
	bool watching, begun, adopting;
	struct bmf_tracker *held; /* of a guest who has the image open already, or NULL */
	pthread_t thread;
	_Atomic bool may_land, done;
	_Atomic bool tracked, landed;
} race;

static const struct bmf_uuid replica = { { 3 } };
static _Thread_local bool is_writer;

/* The second half of a rollover, for a replica that gets there, or doesn't yet. */
static uint64_t commit(bool arrives)
{
	struct bmf_commit commit;
	struct bmf_error err;

	ck_assert_msg(bmf_source_commit(race.source, &replica, NULL, &commit, &err) == 0, "%s",
		      err.text);
	if (arrives)
		ck_assert_int_eq(
			bmf_source_arrived(race.source, &replica, &commit.checkpoint, NULL), 0);
	return commit.checkpoint.number;
}

static uint64_t roll(void)
{
	bmf_source_advance(race.source);
	return commit(true);
}

static void land(void)
{
	uint64_t word = 2;

	if (pwrite(race.fd, &word, sizeof(word), CHANGED * BLOCK) != sizeof(word))
		abort();
	atomic_store(&race.landed, true);
}

static void *writer(void *arg)
{
	struct bmf_tracker *t = race.held;

	is_writer = true;
	if (t)
		bmf_tracker_get(t);
	else if (bmf_source_track(race.source, race.fd, &t) < 0)
		abort();
	bmf_tracker_opened(t);
	if (bmf_tracker_change(t, CHANGED * BLOCK, BLOCK) < 0)
		abort();
	atomic_store(&race.tracked, true);
	while (!atomic_load(&race.may_land))
		usleep(100);
	land();
	bmf_tracker_closed(t);
	bmf_tracker_put(t);
	atomic_store(&race.done, true);
	return arg;
}

/* No longer than that: it may be waiting for a lock that is held here. */
static void give_time(_Atomic bool *what)
{
	for (int i = 0; i < 100 && !atomic_load(what); i++)
		usleep(100);
}

static void check_block(unsigned int flags, const char *when)
{
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	struct bmf_bits *delta;

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_int_eq(
		bmf_history_load(store, state, race.fd, state->generation, flags, &history, NULL),
		0);
	if (race.adopting && !history.sidecar) {
		ck_assert(history.reason == BMF_REASON_NEW || history.reason == BMF_REASON_MISSING);
	} else {
		/* a checkpoint that is in memory only will be made again */
		uint64_t since = race.since < state->generation ? race.since : state->generation;

		ck_assert_msg(history.reason == BMF_REASON_NONE, "%s: call %lu, gap %lu: %s", when,
			      race.at, race.gap, bmf_reason_text(history.reason));
		if (bmf_chain_delta(history.sidecar, since, UINT64_MAX, &delta) == 0) {
			ck_assert_msg(bmf_bits_test(delta, CHANGED),
				      "%s: call %lu, gap %lu: missed", when, race.at, race.gap);
			bmf_bits_free(delta);
		} else {
			ck_assert(race.adopting);
		}
	}
	bmf_history_destroy(&history);
	bmf_state_free(state);
	bmf_store_close(store);
}

static void step(void)
{
	if (is_writer || !race.watching)
		return;
	race.calls++;
	if (race.calls == race.at) {
		race.begun = true;
		ck_assert_int_eq(pthread_create(&race.thread, NULL, writer, NULL), 0);
		give_time(&race.tracked);
	}
	if (race.begun && race.calls >= race.at + race.gap && !atomic_load(&race.may_land)) {
		atomic_store(&race.may_land, true);
		if (atomic_load(&race.tracked))
			give_time(&race.landed);
	}
	if (atomic_load(&race.landed)) {
		race.watching = false;
		check_block(0, "stopped in the middle");
		race.watching = true;
	}
}

static int racing_openat(const struct bmf_io *io, int dirfd, const char *name, int flags,
			 mode_t mode)
{
	int r;

	(void)io;
	step();
	r = bmf_io_posix.openat(&bmf_io_posix, dirfd, name, flags, mode);
	step();
	return r;
}

static ssize_t racing_pwrite(const struct bmf_io *io, int fd, const void *buf, size_t n,
			     off_t offset)
{
	ssize_t r;

	(void)io;
	step();
	r = bmf_io_posix.pwrite(&bmf_io_posix, fd, buf, n, offset);
	step();
	return r;
}

static int racing_fsync(const struct bmf_io *io, int fd)
{
	(void)io;
	(void)fd;
	step();
	return 0; /* no power is cut here */
}

static int racing_renameat(const struct bmf_io *io, int a, const char *b, int c, const char *d)
{
	int r;

	(void)io;
	step();
	r = bmf_io_posix.renameat(&bmf_io_posix, a, b, c, d);
	step();
	return r;
}

static int racing_fstat(const struct bmf_io *io, int fd, struct stat *ret)
{
	int r;

	(void)io;
	step();
	r = bmf_io_posix.fstat(&bmf_io_posix, fd, ret);
	step();
	return r;
}

static int racing_fsetxattr_step(const struct bmf_io *io, int fd, const char *name, const void *buf,
				 size_t n, int flags)
{
	int r;

	(void)io;
	step();
	r = bmf_io_posix.fsetxattr(&bmf_io_posix, fd, name, buf, n, flags);
	step();
	return r;
}

static struct bmf_io racing_io(void)
{
	struct bmf_io io = bmf_io_posix;

	io.openat = racing_openat;
	io.pwrite = racing_pwrite;
	io.fsync = racing_fsync;
	io.renameat = racing_renameat;
	io.fstat = racing_fstat;
	io.fsetxattr = racing_fsetxattr_step;
	return io;
}

/* One race: prepared, run with a write at its Nth call, looked at.  False: it has fewer. */
struct scene {
	void (*prepare)(void);
	void (*run)(void);
	bool adopting;
};

static bool race_once(const struct scene *scene, unsigned long at, unsigned long gap)
{
	char name[32];

	snprintf(name, sizeof(name), "image.%lu.%lu", at, gap);
	race.calls = 0;
	race.at = at;
	race.gap = gap;
	race.begun = race.watching = false;
	race.adopting = scene->adopting;
	race.held = NULL;
	atomic_store(&race.may_land, false);
	atomic_store(&race.tracked, false);
	atomic_store(&race.landed, false);
	atomic_store(&race.done, false);
	race.fd = source_image(name, BLOCKS);
	scene->prepare();
	race.watching = true;
	scene->run();
	race.watching = false;
	if (race.begun) {
		atomic_store(&race.may_land, true);
		pthread_join(race.thread, NULL);
		check_block(0, "stopped afterwards");
		race.adopting = false;
		bmf_source_advance(race.source);
		commit(false);
		check_block(BMF_HISTORY_LIVE, "at the next checkpoint");
	}
	if (race.held)
		bmf_tracker_closed(race.held);
	bmf_tracker_put(race.held);
	close(race.fd);
	unlinkat(scratch_fd, name, 0);
	return race.begun;
}

static void race_everywhere(const struct scene *scene)
{
	static const unsigned long gaps[] = { 0, 3, 1000 };
	struct bmf_source_options options = {
		.block_shift = 12, .region_shift = 15, .create = true, .holder = "test"
	};
	struct bmf_io io = racing_io();
	unsigned long at = 1;
	struct bmf_error err;

	ck_assert_int_eq(bmf_source_open(&io, scratch_fd, &options, &race.source, &err), 0);
	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++)
		for (at = 1; race_once(scene, at, gaps[i]); at++)
			ck_assert_uint_lt(at, 1000);
	printf("%lu calls\n", at - 1);
	ck_assert_uint_gt(at, 5);
	ck_assert_int_eq(bmf_source_close(race.source), 0);
}

/* A region that was written to a while ago, and nothing since: it is let go now. */
static void change_and_rest(void)
{
	race.since = roll();
	ck_assert_int_eq(source_change(race.source, race.fd, FIRST), 0);
	bmf_source_keep(race.source);
}

static void hold(void)
{
	ck_assert_int_eq(bmf_source_track(race.source, race.fd, &race.held), 0);
	bmf_tracker_opened(race.held);
}

static void prepare_disarm(void)
{
	race.since = roll();
	hold(); /* so that it is not cleaned */
	ck_assert_int_eq(source_change(race.source, race.fd, FIRST), 0);
	bmf_source_keep(race.source);
}

static void run_keep(void)
{
	bmf_source_keep(race.source);
}

START_TEST(write_while_its_region_is_let_go)
{
	race_everywhere(&(struct scene){ .prepare = prepare_disarm, .run = run_keep });
}
END_TEST

static void prepare_other_disarm(void)
{
	prepare_disarm();
	ck_assert_int_eq(source_change(race.source, race.fd, ELSEWHERE), 0);
	bmf_source_keep(race.source);
	ck_assert_int_eq(source_change(race.source, race.fd, FIRST), 0);
	ck_assert_int_eq(source_change(race.source, race.fd, FIRST), 0); /* armed, not saved */
}

START_TEST(write_while_another_region_is_let_go)
{
	race_everywhere(&(struct scene){ .prepare = prepare_other_disarm, .run = run_keep });
}
END_TEST

START_TEST(write_while_the_sidecar_is_cleaned)
{
	race_everywhere(&(struct scene){ .prepare = change_and_rest, .run = run_keep });
}
END_TEST

static void prepare_adoption(void)
{
	uint64_t last = roll();

	/* another image, of which nothing is known yet */
	close(race.fd);
	unlinkat(scratch_fd, "young", 0);
	race.fd = source_image("young", BLOCKS);
	race.since = last + 1;
}

static void run_commit(void)
{
	race.watching = false; /* no write is in flight now */
	bmf_source_advance(race.source);
	race.watching = true;
	ck_assert_uint_eq(commit(false), race.since);
}

START_TEST(write_while_it_is_adopted)
{
	race_everywhere(&(struct scene){
		.prepare = prepare_adoption, .run = run_commit, .adopting = true });
}
END_TEST

static void prepare_commit(void)
{
	uint64_t last = roll();

	ck_assert_int_eq(source_change(race.source, race.fd, FIRST), 0);
	ck_assert_int_eq(source_change(race.source, race.fd, FIRST + 1), 0); /* not saved */
	race.since = last + 1;
}

START_TEST(write_while_a_checkpoint_is_made)
{
	race_everywhere(&(struct scene){ .prepare = prepare_commit, .run = run_commit });
}
END_TEST

static void prepare_commit_in_use(void)
{
	prepare_commit();
	hold();
}

START_TEST(write_in_use_while_a_checkpoint_is_made)
{
	race_everywhere(&(struct scene){ .prepare = prepare_commit_in_use, .run = run_commit });
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("save_races");
	TCase *tcase = tcase_create("save_races");

	tcase_add_checked_fixture(tcase, source_setup, source_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, write_while_its_region_is_let_go);
	tcase_add_test(tcase, write_while_another_region_is_let_go);
	tcase_add_test(tcase, write_while_the_sidecar_is_cleaned);
	tcase_add_test(tcase, write_while_it_is_adopted);
	tcase_add_test(tcase, write_while_a_checkpoint_is_made);
	tcase_add_test(tcase, write_in_use_while_a_checkpoint_is_made);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
