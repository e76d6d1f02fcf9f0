/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_source.c - a source whose process dies at every call to the disk in turn
 *
 * A child process writes self-describing blocks through trackers, rolls over, lets
 * replicas arrive, tidies up and now and then closes the source cleanly; it
 * dies (as by kill -9) at its Nth call of the io table, before or after the call.
 * The parent then opens the source as the next mirrorfs would and holds every
 * image against what it was at each checkpoint that a replica is at: a block that
 * differs must have its bit set (I1), and bits must be few where
 * nothing was damaged.  What the images were at each checkpoint is kept in memory
 * that both processes share.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/history.h"
#include "bitmapfile/identity.h"
#include "bitmapfile/source.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define BLOCKS 96
#define IMAGES 4
#define REGION_SHIFT 15 /* 8 blocks */
#define CHECKPOINTS 256 /* that are remembered; the replica is at one of them */

struct shared {
	uint64_t sequence; /* of the last write begun */
	uint64_t at;	   /* the replica's checkpoint, 0: none */
	struct bmf_uuid at_uuid;
	struct bmf_checkpoint rare; /* where another one is, that comes seldom, and is forgotten */
	uint64_t crashes, clean_ends, blocks_checked, bits_extra, full, rare_known, rare_gone;
	uint64_t committed; /* newest checkpoint whose content is noted below */
	uint64_t content[CHECKPOINTS][IMAGES][BLOCKS];
};

static struct shared *shared;
static unsigned int seed;
static const struct bmf_uuid replica = { { 1, 2, 3 } }, rare_replica = { { 1, 2, 2 } };

/* An io table that ends the process at a given call. */
static long calls_left;

static void tick(void)
{
	if (--calls_left == 0)
		_exit(42);
}

static ssize_t dying_pwrite(const struct bmf_io *io, int fd, const void *buf, size_t n,
			    off_t offset)
{
	ssize_t r;

	(void)io;
	tick();
	r = bmf_io_posix.pwrite(&bmf_io_posix, fd, buf, n, offset);
	tick();
	return r;
}

static ssize_t dying_pwrite_dsync(const struct bmf_io *io, int fd, const void *buf, size_t n,
				  off_t offset)
{
	ssize_t r;

	(void)io;
	tick();
	r = bmf_io_posix.pwrite_dsync(&bmf_io_posix, fd, buf, n, offset);
	tick();
	return r;
}

static int dying_renameat(const struct bmf_io *io, int a, const char *b, int c, const char *d)
{
	int r;

	(void)io;
	tick();
	r = bmf_io_posix.renameat(&bmf_io_posix, a, b, c, d);
	tick();
	return r;
}

static int dying_unlinkat(const struct bmf_io *io, int dirfd, const char *name, int flags)
{
	int r;

	(void)io;
	tick();
	r = bmf_io_posix.unlinkat(&bmf_io_posix, dirfd, name, flags);
	tick();
	return r;
}

static int dying_fsync(const struct bmf_io *io, int fd)
{
	(void)io;
	(void)fd;
	tick(); /* a kill needs no fsync: the kernel goes on */
	return 0;
}

static struct bmf_io dying_io(void)
{
	struct bmf_io io = bmf_io_posix;

	io.pwrite = dying_pwrite;
	io.pwrite_dsync = dying_pwrite_dsync;
	io.renameat = dying_renameat;
	io.unlinkat = dying_unlinkat;
	io.fsync = dying_fsync;
	io.fdatasync = dying_fsync;
	return io;
}

static const char *image_name(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "image%d", i);
	return name;
}

static void read_image(int i, uint64_t content[BLOCKS])
{
	int fd = openat(scratch_fd, image_name(i), O_RDONLY);

	memset(content, 0, BLOCKS * sizeof(*content));
	if (fd < 0)
		return;
	for (int b = 0; b < BLOCKS; b++) {
		uint64_t word = 0;

		if (pread(fd, &word, sizeof(word), (off_t)b * BLOCK) == sizeof(word))
			content[b] = word;
	}
	close(fd);
}

/* One change of an image, as the daemon makes it. */
static void change_image(struct bmf_source *s, int i)
{
	struct bmf_tracker *t;
	struct stat st;
	int fd = openat(scratch_fd, image_name(i), O_RDWR | O_CREAT, 0600);
	uint64_t first = (uint64_t)rand() % BLOCKS, n = 1 + (uint64_t)rand() % 4;
	uint8_t *buf;
	int what = rand() % 8;

	if (fd < 0 || fstat(fd, &st) < 0 || bmf_source_track(s, fd, &t) < 0)
		_exit(1);
	bmf_tracker_opened(t);
	if (what == 0) { /* truncate */
		uint64_t size = first * BLOCK;

		if (bmf_tracker_resize(t, size) < 0)
			_exit(1);
		if (ftruncate(fd, (off_t)size) < 0)
			_exit(1);
		bmf_tracker_set_size(t, size);
	} else {
		if (first + n > BLOCKS)
			n = BLOCKS - first;
		buf = calloc(n, BLOCK);
		for (uint64_t b = 0; b < n; b++) {
			shared->sequence++;
			memcpy(buf + b * BLOCK, &shared->sequence, sizeof(shared->sequence));
		}
		if (bmf_tracker_change(t, first * BLOCK, n * BLOCK) < 0)
			_exit(1);
		if (pwrite(fd, buf, n * BLOCK, (off_t)(first * BLOCK)) != (ssize_t)(n * BLOCK))
			_exit(1);
		bmf_tracker_grown(t, (first + n) * BLOCK);
		free(buf);
	}
	bmf_tracker_closed(t);
	bmf_tracker_put(t);
	close(fd);
}

/*
 * What mirrorctl does between commit and arrived: it reads the sidecars while the
 * source is open, and what they say leads from the replica's content to the checkpoint's.
 */
static void check_live(int i, uint64_t number)
{
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	struct bmf_bits *delta;
	int fd = openat(scratch_fd, image_name(i), O_PATH);

	if (fd < 0)
		return;
	if (bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL) < 0 ||
	    bmf_store_load_state(store, &state, NULL) < 0 ||
	    bmf_history_load(store, state, fd, 0, BMF_HISTORY_LIVE, &history, NULL) < 0)
		_exit(1);
	if (history.reason == BMF_REASON_NONE &&
	    bmf_chain_delta(history.sidecar, shared->at, number, &delta) == 0) {
		for (uint64_t b = 0; b < BLOCKS; b++)
			if (shared->content[number % CHECKPOINTS][i][b] !=
				    shared->content[shared->at % CHECKPOINTS][i][b] &&
			    !bmf_bits_test(delta, b))
				_exit(3);
		bmf_bits_free(delta);
	}
	bmf_history_destroy(&history);
	bmf_state_free(state);
	bmf_store_close(store);
	close(fd);
}

static void roll_over(struct bmf_source *s)
{
	struct bmf_commit commit;
	struct bmf_error err;
	uint64_t before[IMAGES][BLOCKS];

	if (shared->at) {
		struct bmf_checkpoint at = { .number = shared->at, .uuid = shared->at_uuid };

		if (bmf_source_arrived(s, &replica, &at, NULL) < 0)
			_exit(1);
	}
	bmf_source_advance(s);
	for (int i = 0; i < IMAGES; i++)
		read_image(i, before[i]);
	/* writes may go on before the commit is durable */
	for (int i = rand() % 3; i > 0; i--)
		change_image(s, rand() % IMAGES);
	for (int i = rand() % 4; i > 0; i--)
		bmf_source_keep(s); /* disarms, and saves under the old number */
	if (bmf_source_commit(s, &replica, "replica", &commit, &err) < 0)
		_exit(1);
	memcpy(shared->content[commit.checkpoint.number % CHECKPOINTS], before, sizeof(before));
	for (int i = 0; shared->at && i < IMAGES; i++)
		check_live(i, commit.checkpoint.number);
	if (rand() % 3 == 0)
		return; /* the sync failed */
	/* The replica is durable there from here on, whether the source hears of it or not. */
	shared->at = commit.checkpoint.number;
	shared->at_uuid = commit.checkpoint.uuid;
	if (bmf_source_arrived(s, &replica, &commit.checkpoint, NULL) < 0)
		_exit(1);
	if (rand() % 6 == 0) { /* its sync ended at the same time */
		shared->rare = commit.checkpoint;
		if (bmf_source_arrived(s, &rare_replica, &commit.checkpoint, NULL) < 0)
			_exit(1);
	}
}

/* It goes on to believe that it is where it was. */
static void forget(struct bmf_source *s)
{
	int r = bmf_source_forget(s, &rare_replica);

	if (r < 0 && r != -ENOENT)
		_exit(1);
}

static void child(long calls)
{
	struct bmf_io io = dying_io();
	struct bmf_source_options options = {
		.block_shift = 12, .region_shift = REGION_SHIFT, .create = true, .holder = "test"
	};
	struct bmf_error err;
	struct bmf_source *s;

	calls_left = calls;
	if (bmf_source_open(&io, scratch_fd, &options, &s, &err) < 0)
		_exit(1);
	for (int steps = rand() % 40; steps > 0; steps--) {
		switch (rand() % 12) {
		case 0:
			roll_over(s);
			break;
		case 1:
			bmf_source_keep(s);
			break;
		case 2:
			if (bmf_source_flush(s) < 0)
				_exit(1);
			break;
		case 3: {
			int from = rand() % IMAGES;

			if (rand() % 4 == 0)
				unlinkat(scratch_fd, image_name(from), 0);
			break;
		}
		case 4:
			if (rand() % 4 == 0)
				forget(s);
			break;
		default:
			change_image(s, rand() % IMAGES);
		}
	}
	_exit(bmf_source_close(s) < 0 ? 1 : 0);
}

/* Of a replica that is at that checkpoint. */
static void check_image(struct bmf_store *store, const struct bmf_state *state, int i, uint64_t at)
{
	uint64_t now[BLOCKS];
	struct bmf_history history;
	struct bmf_bits *delta;
	struct bmf_error err;
	int fd = openat(scratch_fd, image_name(i), O_PATH);
	int r;

	if (fd < 0)
		return;
	ck_assert_int_eq(bmf_history_load(store, state, fd, state->generation, 0, &history, &err),
			 0);
	close(fd);
	read_image(i, now);
	if (history.reason != BMF_REASON_NONE) {
		/* after a kill, only what was never at a checkpoint may have no history */
		if (history.reason != BMF_REASON_NEW && history.reason != BMF_REASON_MISSING)
			ck_abort_msg("image%d: %s", i, bmf_reason_text(history.reason));
		shared->full++;
		return;
	}
	r = bmf_chain_delta(history.sidecar, at, state->generation + 1, &delta);
	if (r == -ENOENT) {
		ck_assert_uint_gt(history.sidecar->since, at);
		shared->full++;
		bmf_history_destroy(&history);
		return;
	}
	ck_assert_int_eq(r, 0);
	for (uint64_t b = 0; b < BLOCKS; b++) {
		bool differs = now[b] != shared->content[at % CHECKPOINTS][i][b];

		shared->blocks_checked++;
		if (differs && !bmf_bits_test(delta, b))
			ck_abort_msg("image%d block %llu was missed: was %llu at checkpoint %llu, "
				     "is %llu",
				     i, (unsigned long long)b,
				     (unsigned long long)shared->content[at % CHECKPOINTS][i][b],
				     (unsigned long long)at, (unsigned long long)now[b]);
		if (!differs && bmf_bits_test(delta, b))
			shared->bits_extra++;
	}
	bmf_bits_free(delta);
	bmf_history_destroy(&history);
}

/* It is updated by bits only where its checkpoint is known, and then they are all there. */
static void check_rare(struct bmf_store *store, const struct bmf_state *state)
{
	const struct bmf_checkpoint *known = bmf_state_checkpoint(state, shared->rare.number);
	const struct bmf_cursor *cursor = bmf_state_cursor(state, &rare_replica);

	if (!known || !bmf_uuid_equal(&known->uuid, &shared->rare.uuid)) {
		ck_assert(!cursor || cursor->at != shared->rare.number);
		shared->rare_gone += shared->rare.number != 0;
		return;
	}
	shared->rare_known++;
	if (state->generation - known->number >= CHECKPOINTS)
		return; /* what it was has been overwritten */
	for (int i = 0; i < IMAGES; i++)
		check_image(store, state, i, known->number);
}

/* Looks at the source as the next one to open it would. */
static void inspect(void)
{
	struct bmf_error err;
	struct bmf_store *store;
	struct bmf_state *state;
	int r = bmf_store_open(&bmf_io_posix, scratch_fd, BMF_STORE_LOCK, "test", &store, &err);

	if (r == -ENOENT)
		return; /* it died before it made one */
	ck_assert_msg(r == 0, "%s", err.text);
	r = bmf_store_load_state(store, &state, &err);
	if (r == 0) {
		if (shared->at) {
			ck_assert_ptr_nonnull(bmf_state_checkpoint(state, shared->at));
			for (int i = 0; i < IMAGES; i++)
				check_image(store, state, i, shared->at);
			check_rare(store, state);
		}
		bmf_state_free(state);
	} else {
		ck_assert_msg(r == -ENOENT && shared->at == 0, "%s", err.text);
	}
	bmf_store_close(store);
}

static void setup(void)
{
	scratch_make();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ck_assert(shared != MAP_FAILED);
}

static void teardown(void)
{
	munmap(shared, sizeof(*shared));
	scratch_remove();
}

START_TEST(dies_at_any_call)
{
	int rounds = getenv("ROUNDS") ? atoi(getenv("ROUNDS")) : 1500;

	srand(seed);
	for (int round = 0; round < rounds; round++) {
		unsigned int child_seed = (unsigned int)rand();
		long calls = 1 + rand() % 400;
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			srand(child_seed);
			child(calls);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) != 1,
			      "round %d: the child failed: status %d", round, status);
		ck_assert_msg(WEXITSTATUS(status) != 3,
			      "round %d: a sidecar misses a change while the source is open",
			      round);
		if (WEXITSTATUS(status) == 42)
			shared->crashes++;
		else
			shared->clean_ends++;
		inspect();
	}
	printf("test_source: %llu kills, %llu clean ends, %llu blocks checked, %llu needless bits, "
	       "%llu images without history, a rare replica known %llu times, unknown %llu\n",
	       (unsigned long long)shared->crashes, (unsigned long long)shared->clean_ends,
	       (unsigned long long)shared->blocks_checked, (unsigned long long)shared->bits_extra,
	       (unsigned long long)shared->full, (unsigned long long)shared->rare_known,
	       (unsigned long long)shared->rare_gone);
	ck_assert_uint_gt(shared->crashes, (uint64_t)rounds / 10);
	ck_assert_uint_gt(shared->blocks_checked, (uint64_t)rounds * 10);
	ck_assert_uint_gt(shared->rare_known, (uint64_t)rounds / 20);
	ck_assert_uint_gt(shared->rare_gone, (uint64_t)rounds / 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("source");
	TCase *tcase = tcase_create("kill");

	seed = (unsigned int)rng_start("test_source").state;
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, dies_at_any_call);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
