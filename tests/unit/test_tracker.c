/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_tracker.c - trackers under threads, under faults, and behind the mount's back
 *
 * The thread test is made for ThreadSanitizer as much as for its own oracle: writers,
 * upkeep and rollovers run at once, and after each rollover the sidecars on disk
 * must lead from one checkpoint's content to the next.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/history.h"
#include "bitmapfile/identity.h"
#include "bitmapfile/source.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/faultio.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define BLOCKS 256
#define IMAGES 3
#define REGION_SHIFT 15

static unsigned int seed;
static struct faultio fault;
static char notices[4096];

static void note(void *arg, const char *text)
{
	size_t used = strlen(notices);

	(void)arg;
	snprintf(notices + used, sizeof(notices) - used, "%s\n", text);
}

static struct bmf_source *open_source(unsigned int block_shift)
{
	struct bmf_source_options options = { .block_shift = block_shift,
					      .region_shift = REGION_SHIFT,
					      .create = true,
					      .holder = "test",
					      .notice = note };
	struct bmf_source *s = NULL;
	struct bmf_error err;

	ck_assert_msg(bmf_source_open(&fault.io, scratch_fd, &options, &s, &err) == 0, "%s",
		      err.text);
	return s;
}

static int make_image(const char *name, uint64_t nblocks)
{
	int fd = openat(scratch_fd, name, O_RDWR | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)(nblocks * BLOCK)), 0);
	return fd;
}

static uint64_t roll(struct bmf_source *s)
{
	struct bmf_commit commit;
	struct bmf_error err;

	bmf_source_advance(s);
	ck_assert_msg(bmf_source_commit(s, NULL, NULL, &commit, &err) == 0, "%s", err.text);
	return commit.checkpoint.number;
}

static int change(struct bmf_source *s, int fd, uint64_t block)
{
	struct bmf_tracker *t;
	uint64_t word = 1;
	int r;

	r = bmf_source_track(s, fd, &t);
	if (r < 0)
		return r;
	bmf_tracker_opened(t);
	r = bmf_tracker_change(t, block * BLOCK, BLOCK);
	if (r == 0)
		ck_assert_int_eq(pwrite(fd, &word, sizeof(word), (off_t)(block * BLOCK)),
				 sizeof(word));
	bmf_tracker_closed(t);
	bmf_tracker_put(t);
	return r;
}

/* The history as the next mirrorfs finds it, with nothing mounted. */
static enum bmf_reason reason_of(int fd, struct bmf_history *ret)
{
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	enum bmf_reason reason;

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_int_eq(bmf_history_load(store, state, fd, state->generation, 0, &history, NULL),
			 0);
	reason = history.reason;
	if (ret)
		*ret = history;
	else
		bmf_history_destroy(&history);
	bmf_state_free(state);
	bmf_store_close(store);
	return reason;
}

static void setup(void)
{
	scratch_make();
	faultio_init(&fault, &bmf_io_posix);
	notices[0] = '\0';
}

static void teardown(void)
{
	scratch_remove();
}

/* ---- threads ---- */

static struct {
	struct bmf_source *source;
	pthread_rwlock_t gate;
	_Atomic bool stop;
	_Atomic uint64_t sequence;
	int fds[IMAGES];
} race;

static void *writer(void *arg)
{
	unsigned int mine = seed + (unsigned int)(uintptr_t)arg;
	struct bmf_tracker *trackers[IMAGES];

	for (int i = 0; i < IMAGES; i++) {
		if (bmf_source_track(race.source, race.fds[i], &trackers[i]) < 0)
			abort();
		bmf_tracker_opened(trackers[i]);
	}
	while (!atomic_load(&race.stop)) {
		int i = rand_r(&mine) % IMAGES;
		uint64_t block = (uint64_t)rand_r(&mine) % BLOCKS;
		uint64_t word = atomic_fetch_add(&race.sequence, 1) + 1;

		pthread_rwlock_rdlock(&race.gate);
		if (bmf_tracker_change(trackers[i], block * BLOCK, BLOCK) < 0 ||
		    pwrite(race.fds[i], &word, sizeof(word), (off_t)(block * BLOCK)) < 0)
			abort();
		pthread_rwlock_unlock(&race.gate);
	}
	for (int i = 0; i < IMAGES; i++) {
		bmf_tracker_closed(trackers[i]);
		bmf_tracker_put(trackers[i]);
	}
	return NULL;
}

static void *keeper(void *arg)
{
	(void)arg;
	while (!atomic_load(&race.stop)) {
		bmf_source_keep(race.source);
		usleep(2000);
	}
	return NULL;
}

static void read_content(uint64_t content[IMAGES][BLOCKS])
{
	for (int i = 0; i < IMAGES; i++)
		for (int b = 0; b < BLOCKS; b++)
			ck_assert_int_eq(pread(race.fds[i], &content[i][b], sizeof(uint64_t),
					       (off_t)b * BLOCK),
					 sizeof(uint64_t));
}

static void check_delta(int i, uint64_t from, uint64_t to, uint64_t a[BLOCKS], uint64_t b[BLOCKS])
{
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	struct bmf_bits *delta;

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_int_eq(
		bmf_history_load(store, state, race.fds[i], 0, BMF_HISTORY_LIVE, &history, NULL),
		0);
	ck_assert_int_eq(history.reason, BMF_REASON_NONE);
	ck_assert_int_eq(bmf_chain_delta(history.sidecar, from, to, &delta), 0);
	for (uint64_t block = 0; block < BLOCKS; block++)
		if (a[block] != b[block])
			ck_assert_msg(bmf_bits_test(delta, block), "image %d block %llu was missed",
				      i, (unsigned long long)block);
	bmf_bits_free(delta);
	bmf_history_destroy(&history);
	bmf_state_free(state);
	bmf_store_close(store);
}

START_TEST(rollovers_under_threads)
{
	static uint64_t before[IMAGES][BLOCKS], after[IMAGES][BLOCKS];
	const struct bmf_uuid replica = { { 9 } };
	struct bmf_commit commit;
	struct bmf_error err;
	pthread_rwlockattr_t attr;
	pthread_t threads[4];
	uint64_t last = 0;

	race.source = open_source(12);
	/* by default readers go first, and the rollover would wait for ever */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&race.gate, &attr);
	pthread_rwlockattr_destroy(&attr);
	atomic_store(&race.stop, false);
	for (int i = 0; i < IMAGES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "image%d", i);
		race.fds[i] = make_image(name, BLOCKS);
	}
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, writer, (void *)i);
	pthread_create(&threads[3], NULL, keeper, NULL);

	for (int round = 0; round < 40; round++) {
		pthread_rwlock_wrlock(&race.gate);
		bmf_source_advance(race.source);
		read_content(after);
		pthread_rwlock_unlock(&race.gate);
		ck_assert_msg(bmf_source_commit(race.source, &replica, NULL, &commit, &err) == 0,
			      "%s", err.text);
		for (int i = 0; last && i < IMAGES; i++)
			check_delta(i, last, commit.checkpoint.number, before[i], after[i]);
		ck_assert_int_eq(bmf_source_arrived(race.source, &replica, &commit.checkpoint, "r"),
				 0);
		last = commit.checkpoint.number;
		memcpy(before, after, sizeof(before));
		usleep(3000);
	}
	atomic_store(&race.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(bmf_source_close(race.source), 0);

	/* and the next to open it, with nothing mounted, finds a clean end */
	read_content(after);
	for (int i = 0; i < IMAGES; i++) {
		check_delta(i, last, last + 1, before[i], after[i]);
		ck_assert_int_eq(reason_of(race.fds[i], NULL), BMF_REASON_NONE);
		close(race.fds[i]);
	}
	pthread_rwlock_destroy(&race.gate);
	ck_assert_int_eq(faultio_open_fds(&fault), 0);
}
END_TEST

/* ---- faults ---- */

START_TEST(arming_fails_and_the_guest_goes_on)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);

	roll(s);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	/* a disk on which nothing can be written any more, but names can be removed */
	faultio_arm(&fault, FAULTIO_PWRITE | FAULTIO_PWRITE_DSYNC, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_eq(change(s, fd, 3), 0);
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_ptr_nonnull(strstr(notices, "counts as changed"));
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_MISSING);
	/* it is tracked again from the next checkpoint on */
	roll(s);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	ck_assert_int_eq(bmf_source_close(s), 0);
	close(fd);
}
END_TEST

START_TEST(untrackable_write_is_refused)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);

	roll(s);
	faultio_arm(&fault, FAULTIO_WRITING, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_eq(change(s, fd, 3), -EIO);
	faultio_arm(&fault, 0, 0, 0, 0);
	ck_assert_int_eq(change(s, fd, 3), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

/* Whichever call of a rollover and the writes around it fails, nothing is missed. */
START_TEST(any_call_fails_once)
{
	for (unsigned long n = 1; n < 1000; n++) {
		struct bmf_commit commit;
		struct bmf_error err;
		struct bmf_history history;
		struct bmf_bits *delta;
		struct bmf_source *s;
		char name[32];
		uint64_t first;
		bool wrote5, wrote200;
		int fd;

		snprintf(name, sizeof(name), "image%lu", n);
		fd = make_image(name, BLOCKS);
		s = open_source(12);
		first = roll(s);
		{
			struct bmf_checkpoint at;
			struct bmf_state *state;
			const struct bmf_uuid replica = { { 7 } };

			ck_assert_int_eq(bmf_source_state(s, &state), 0);
			at = *bmf_state_checkpoint(state, first);
			ck_assert_int_eq(bmf_source_arrived(s, &replica, &at, NULL), 0);
			bmf_state_free(state);
		}
		faultio_arm(&fault, FAULTIO_ALL & ~FAULTIO_CLOSE, n, -EIO,
			    n % 2 ? FAULTIO_SHORT : 0);
		wrote5 = change(s, fd, 5) == 0;
		bmf_source_keep(s);
		bmf_source_advance(s);
		bmf_source_commit(s, NULL, NULL, &commit, &err);
		wrote200 = change(s, fd, 200) == 0;
		bmf_source_keep(s);
		bmf_source_keep(s);
		bmf_source_close(s);
		if (!faultio_fired(&fault)) {
			printf("any_call_fails_once: %lu calls\n", n - 1);
			ck_assert_uint_gt(n, 20);
			close(fd);
			return;
		}
		faultio_arm(&fault, 0, 0, 0, 0);
		ck_assert_int_eq(faultio_open_fds(&fault), 0);

		if (reason_of(fd, &history) == BMF_REASON_NONE) {
			if (bmf_chain_delta(history.sidecar, first, history.sidecar->active + 1,
					    &delta) == 0) {
				if (wrote5)
					ck_assert_msg(bmf_bits_test(delta, 5), "call %lu", n);
				if (wrote200)
					ck_assert_msg(bmf_bits_test(delta, 200), "call %lu", n);
				bmf_bits_free(delta);
			}
			bmf_history_destroy(&history);
		}
		close(fd);
		unlinkat(scratch_fd, name, 0);
	}
	ck_abort_msg("it never came to an end");
}
END_TEST

/* Does things to a source in a process that is then killed. */
static void crash_after(void (*act)(struct bmf_source *s, int fd), int fd)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		act(open_source(12), fd);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void change_block_1(struct bmf_source *s, int fd)
{
	ck_assert_int_eq(change(s, fd, 1), 0);
}

static void change_unreadable(struct bmf_source *s, int fd)
{
	faultio_arm(&fault, FAULTIO_PREAD, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_eq(change(s, fd, 200), 0);
}

static void change_undeletable(struct bmf_source *s, int fd)
{
	faultio_arm(&fault, FAULTIO_PREAD | FAULTIO_UNLINKAT, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_lt(change(s, fd, 200), 0);
}

/*
 * A sidecar that a crash left and that can't be read just now: it isn't believed, so
 * it must not be there any more when it can be read again.
 */
START_TEST(unbelieved_sidecar_stays_unbelieved)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);

	roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	crash_after(change_block_1, fd);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	crash_after(change_undeletable, fd);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	crash_after(change_unreadable, fd);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_MISSING);
	close(fd);
}
END_TEST

#define FAR_OUT ((UINT64_C(1) << 55) / BLOCK)

static void change_far_out(struct bmf_source *s, int fd)
{
	struct bmf_tracker *t;

	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	ck_assert_int_eq(bmf_tracker_change(t, FAR_OUT * BLOCK, BLOCK), 0);
}

/* The armed map stays small however far out a sparse image is written to. */
START_TEST(far_out_is_armed_too)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);
	struct bmf_history history;
	char path[128], text[BMF_UUID_TEXT];
	struct stat st;

	roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	crash_after(change_far_out, fd);
	ck_assert_int_eq(reason_of(fd, &history), BMF_REASON_NONE);
	ck_assert(bmf_bits_test(history.sidecar->sections[history.sidecar->nsections - 1].bits,
				FAR_OUT));
	snprintf(path, sizeof(path), BMF_STATE_DIR "/bitmaps/%s",
		 bmf_uuid_format(&history.id, text));
	ck_assert_int_eq(fstatat(scratch_fd, path, &st, 0), 0);
	ck_assert_int_lt(st.st_size, 2 << 20);
	bmf_history_destroy(&history);

	/* and what was recovered can be saved, and read again */
	s = open_source(12);
	roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, &history), BMF_REASON_NONE);
	bmf_history_destroy(&history);
	crash_after(change_far_out, fd);
	s = open_source(16);
	ck_assert_int_eq(change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, &history), BMF_REASON_NONE);
	ck_assert(bmf_bits_test(history.sidecar->sections[history.sidecar->nsections - 1].bits,
				FAR_OUT >> 4));
	bmf_history_destroy(&history);
	close(fd);
}
END_TEST

/* After a durable write failed for lack of space: all dirty once, then as before. */
START_TEST(doubt_ends_with_the_next_checkpoint)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);
	struct bmf_history history;
	struct bmf_tracker *t;

	roll(s);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	bmf_tracker_doubt(t);
	ck_assert_int_eq(bmf_tracker_failed(t), 0);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_MISSING);
	roll(s);
	bmf_tracker_put(t);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, &history), BMF_REASON_NONE);
	ck_assert_int_eq(history.sidecar->reason, BMF_REASON_IO_ERROR);
	bmf_history_destroy(&history);
	close(fd);
}
END_TEST

START_TEST(failed_fsync_sticks)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);
	struct bmf_tracker *t;

	roll(s);
	ck_assert_int_eq(change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	bmf_tracker_fail(t, -EIO);
	bmf_tracker_fail(t, -ENOSPC); /* the first one counts */
	ck_assert_int_eq(bmf_tracker_failed(t), -EIO);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_IO_ERROR);
	roll(s);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_IO_ERROR);
	bmf_tracker_put(t);
	for (int i = 0; i < 4; i++)
		bmf_source_keep(s);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	ck_assert_int_eq(bmf_tracker_failed(t), -EIO);
	bmf_tracker_put(t);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_IO_ERROR);
	close(fd);
}
END_TEST

/* ---- behind the mount's back ---- */

START_TEST(changed_behind_the_mount)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);

	roll(s);
	ck_assert_int_eq(change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	ck_assert_int_eq(pwrite(fd, "x", 1, 77 * BLOCK), 1);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_BEHIND);

	/* the next source says so, and tracks it anew from its next checkpoint */
	s = open_source(12);
	roll(s);
	ck_assert_ptr_nonnull(strstr(notices, bmf_reason_text(BMF_REASON_BEHIND)));
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

START_TEST(copy_is_not_its_original)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS), copy;
	struct bmf_uuid id, copy_id;

	roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	copy = make_image("copy", BLOCKS);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, fd, &id), 0);
	ck_assert_int_eq(bmf_identity_write(&bmf_io_posix, copy, &id), 0);
	ck_assert_int_eq(reason_of(copy, NULL), BMF_REASON_COPIED);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);

	s = open_source(12);
	roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, copy, &copy_id), 0);
	ck_assert(!bmf_uuid_equal(&id, &copy_id));
	ck_assert_int_eq(reason_of(copy, NULL), BMF_REASON_NONE);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	close(copy);
	close(fd);
}
END_TEST

/* Metadata through the mount moves ctime: that is no change behind it, crash or not. */
START_TEST(touch_keeps_the_history)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);
	struct bmf_tracker *t;

	roll(s);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	ck_assert_int_eq(bmf_tracker_touch(t), 0);
	ck_assert_int_eq(fchmod(fd, 0640), 0);
	bmf_tracker_put(t);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE); /* as after a crash here */
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

/* Another block size keeps the old bits, never fewer of the bytes. */
START_TEST(block_size_changes)
{
	static const unsigned int shifts[] = { 12, 16, 13, 21, 12 };
	const struct bmf_uuid replica = { { 5 } };
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);
	struct bmf_history history;
	struct bmf_bits *delta;
	struct bmf_commit commit;
	struct bmf_error err;

	bmf_source_advance(s);
	ck_assert_int_eq(bmf_source_commit(s, &replica, "r", &commit, &err), 0);
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &commit.checkpoint, "r"), 0);
	ck_assert_int_eq(change(s, fd, 9), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		s = open_source(shifts[i]);
		ck_assert_int_eq(change(s, fd, 40 + i), 0);
		ck_assert_int_eq(bmf_source_close(s), 0);
		ck_assert_int_eq(reason_of(fd, &history), BMF_REASON_NONE);
		ck_assert_uint_eq(history.sidecar->block_shift, shifts[i]);
		ck_assert_int_eq(bmf_chain_delta(history.sidecar, commit.checkpoint.number,
						 commit.checkpoint.number + 1, &delta),
				 0);
		ck_assert(bmf_bits_test(delta, (UINT64_C(9) * BLOCK) >> shifts[i]));
		for (size_t j = 0; j <= i; j++)
			ck_assert(bmf_bits_test(delta, ((40 + j) * BLOCK) >> shifts[i]));
		bmf_bits_free(delta);
		bmf_history_destroy(&history);
	}
	close(fd);
}
END_TEST

/* A new state (the old one was damaged) trusts nothing of the old lineage. */
START_TEST(damaged_state_begins_anew)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS), state;
	struct bmf_state *before, *after;

	roll(s);
	ck_assert_int_eq(bmf_source_state(s, &before), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	state = openat(scratch_fd, BMF_STATE_DIR "/state", O_RDWR);
	ck_assert_int_ge(state, 0);
	ck_assert_int_eq(pwrite(state, "\xff", 1, 70), 1);
	close(state);
	s = open_source(12);
	ck_assert_ptr_nonnull(strstr(notices, "everything counts as changed"));
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_MISSING);
	/* it is the same source, and its numbers go on */
	ck_assert_int_eq(bmf_source_state(s, &after), 0);
	ck_assert(bmf_uuid_equal(&after->source, &before->source));
	ck_assert_uint_eq(after->ncheckpoints, 0);
	bmf_state_free(after);
	ck_assert_uint_gt(roll(s), before->generation);
	bmf_state_free(before);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(reason_of(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

/* Sidecars of images that are gone go with the next rollover; scratch files get none. */
START_TEST(nothing_is_left_over)
{
	struct bmf_source *s = open_source(12);
	int fd = make_image("image", BLOCKS);
	struct bmf_uuid id;
	char path[128], text[BMF_UUID_TEXT];

	ck_assert_int_eq(change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, fd, &id), -ENODATA);
	roll(s);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, fd, &id), 0);
	snprintf(path, sizeof(path), BMF_STATE_DIR "/bitmaps/%s", bmf_uuid_format(&id, text));
	ck_assert_int_eq(faccessat(scratch_fd, path, F_OK, 0), 0);
	close(fd);
	ck_assert_int_eq(unlinkat(scratch_fd, "image", 0), 0);
	for (int i = 0; i < 4; i++)
		bmf_source_keep(s);
	roll(s);
	ck_assert_int_ne(faccessat(scratch_fd, path, F_OK, 0), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(faultio_open_fds(&fault), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tracker");
	TCase *tcase = tcase_create("tracker");

	seed = (unsigned int)rng_start("test_tracker").state;
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, rollovers_under_threads);
	tcase_add_test(tcase, arming_fails_and_the_guest_goes_on);
	tcase_add_test(tcase, untrackable_write_is_refused);
	tcase_add_test(tcase, any_call_fails_once);
	tcase_add_test(tcase, unbelieved_sidecar_stays_unbelieved);
	tcase_add_test(tcase, far_out_is_armed_too);
	tcase_add_test(tcase, doubt_ends_with_the_next_checkpoint);
	tcase_add_test(tcase, failed_fsync_sticks);
	tcase_add_test(tcase, changed_behind_the_mount);
	tcase_add_test(tcase, copy_is_not_its_original);
	tcase_add_test(tcase, touch_keeps_the_history);
	tcase_add_test(tcase, block_size_changes);
	tcase_add_test(tcase, damaged_state_begins_anew);
	tcase_add_test(tcase, nothing_is_left_over);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
