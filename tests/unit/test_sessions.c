/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_sessions.c - the sessions file: what vouches for images in use after a crash */
#include "config.h"

#include "bitmapfile/sessions.h"
#include "bitmapfile/store_internal.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/golden.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sources.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct bmf_io *io = &bmf_io_posix;

static struct bmf_sessions some_sessions(void)
{
	struct bmf_sessions sessions = { .sequence = 41 };

	for (uint64_t i = 1; i <= 3; i++)
		bmf_sessions_add(&sessions, &(struct bmf_session){ .id = i * 0x0101010101010101,
								   .until_ns = (int64_t)i * 1000 });
	return sessions;
}

static void check_equal(const struct bmf_sessions *a, const struct bmf_sessions *b)
{
	ck_assert_uint_eq(a->sequence, b->sequence);
	ck_assert_uint_eq(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		ck_assert_uint_eq(a->list[i].id, b->list[i].id);
		ck_assert_int_eq(a->list[i].until_ns, b->list[i].until_ns);
	}
}

START_TEST(format_is_golden)
{
	struct bmf_sessions sessions = some_sessions(), loaded;
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(bmf_sessions_save(io, scratch_fd, &sessions, true), 0);
	ck_assert_int_eq(
		bmf_io_read_file(io, scratch_fd, BMF_SESSIONS_NAME, 1 << 20, &buf, &nbytes), 0);
	golden_check("sessions-v1.hex", buf, nbytes);
	free(buf);
	ck_assert_int_eq(bmf_sessions_load(io, scratch_fd, &loaded), 0);
	check_equal(&sessions, &loaded);
}
END_TEST

START_TEST(absent_file_has_none)
{
	struct bmf_sessions loaded = some_sessions();

	ck_assert_int_eq(bmf_sessions_load(io, scratch_fd, &loaded), 0);
	ck_assert_uint_eq(loaded.n, 0);
	ck_assert_int_eq(bmf_sessions_save(io, scratch_fd, &loaded, false), -ENOENT);
}
END_TEST

static void damage(off_t offset)
{
	int fd = openat(scratch_fd, BMF_SESSIONS_NAME, O_RDWR);
	uint8_t byte;

	ck_assert_int_eq(pread(fd, &byte, 1, offset), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

/* The newest copy counts; when its write was torn, the one before. */
START_TEST(copies_are_written_in_turn)
{
	struct bmf_sessions sessions = some_sessions(), before = sessions, loaded;

	ck_assert_int_eq(bmf_sessions_save(io, scratch_fd, &sessions, true), 0);
	for (int i = 0; i < 4; i++) {
		before = sessions;
		sessions.list[2].until_ns += 1000;
		ck_assert_int_eq(bmf_sessions_save(io, scratch_fd, &sessions, false), 0);
		ck_assert_int_eq(bmf_sessions_load(io, scratch_fd, &loaded), 0);
		check_equal(&sessions, &loaded);
	}
	damage(sessions.sequence % 2 ? 4096 + 100 : 100);
	ck_assert_int_eq(bmf_sessions_load(io, scratch_fd, &loaded), 0);
	check_equal(&before, &loaded);
	damage(sessions.sequence % 2 ? 100 : 4096 + 100);
	ck_assert_int_eq(bmf_sessions_load(io, scratch_fd, &loaded), 0);
	ck_assert_uint_eq(loaded.n, 0);
}
END_TEST

START_TEST(every_byte_counts)
{
	struct bmf_sessions sessions = some_sessions(), loaded;

	sessions.sequence = 1;
	ck_assert_int_eq(bmf_sessions_save(io, scratch_fd, &sessions, true), 0);
	for (off_t offset = 0; offset < 512; offset++) {
		damage(offset); /* the second time it mends it */
		ck_assert_int_eq(bmf_sessions_load(io, scratch_fd, &loaded), 0);
		ck_assert_msg(loaded.n == 0, "byte %ld", (long)offset);
		damage(offset);
	}
	ck_assert_int_eq(bmf_sessions_load(io, scratch_fd, &loaded), 0);
	check_equal(&sessions, &loaded);
}
END_TEST

START_TEST(vouches_up_to_its_time)
{
	struct bmf_sessions sessions = some_sessions();

	ck_assert(bmf_sessions_vouch(&sessions, sessions.list[1].id, 2000));
	ck_assert(bmf_sessions_vouch(&sessions, sessions.list[1].id, -5));
	ck_assert(!bmf_sessions_vouch(&sessions, sessions.list[1].id, 2001));
	ck_assert(!bmf_sessions_vouch(&sessions, 17, 0));
	ck_assert(!bmf_sessions_vouch(&sessions, 0, 0));
}
END_TEST

START_TEST(oldest_gives_way)
{
	struct bmf_sessions sessions = { 0 };

	for (uint64_t i = 1; i <= BMF_SESSIONS_MAX + 2; i++)
		bmf_sessions_add(&sessions, &(struct bmf_session){ .id = i, .until_ns = 1 });
	ck_assert_uint_eq(sessions.n, BMF_SESSIONS_MAX);
	ck_assert_uint_eq(sessions.list[0].id, 3);
	ck_assert(!bmf_sessions_vouch(&sessions, 2, 0));
	ck_assert(bmf_sessions_vouch(&sessions, BMF_SESSIONS_MAX + 2, 0));
}
END_TEST

/* ---- a source that crashes ---- */

static int64_t offset_ns; /* of the clock that the source sees */

static int64_t shifted_now(const struct bmf_io *table)
{
	(void)table;
	return io->now_ns(io) + offset_ns;
}

static void change_block_1(struct bmf_source *s, int fd)
{
	ck_assert_int_eq(source_change(s, fd, 1), 0);
}

static void keep_on(struct bmf_source *s, int fd)
{
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	offset_ns = 0;
	bmf_source_renew(s);
}

/* One image at a checkpoint, then a crash of whoever does that, ahead_s from now. */
static int crashed_image_named(const char *name, int64_t ahead_s,
			       void (*act)(struct bmf_source *s, int fd))
{
	struct bmf_source *s = source_open(12);
	int fd = source_image(name, BLOCKS);

	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	source_fault.io.now_ns = shifted_now;
	offset_ns = ahead_s * 1000000000;
	source_crash_after(act, fd);
	offset_ns = 0;
	return fd;
}

static int crashed_image(int64_t ahead_s, void (*act)(struct bmf_source *s, int fd))
{
	return crashed_image_named("image", ahead_s, act);
}

START_TEST(believed_while_vouched_for)
{
	int fd = crashed_image(0, change_block_1);

	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

/* As if the crash had been an hour ago, and the image had been written to just now. */
START_TEST(changed_after_the_crash)
{
	struct bmf_source *s;
	struct bmf_history history;
	int fd = crashed_image(-3600, change_block_1);

	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_UNWATCHED);
	/* and that stays known, also when it goes on and crashes again */
	source_crash_after(change_block_1, fd);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_MISSING);
	s = source_open(12);
	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	ck_assert_uint_eq(history.sidecar->since, 2);
	bmf_history_destroy(&history);
	close(fd);
}
END_TEST

/* Another daemon runs already, so the one that crashed vouches for nothing any more. */
START_TEST(changed_past_the_next_one)
{
	int fd = crashed_image(0, change_block_1);
	struct bmf_source *s = source_open(12);
	struct bmf_tracker *t;

	usleep(20000); /* the clock that files get their times from ticks in such steps */
	ck_assert_int_eq(pwrite(fd, "x", 1, 200 * BLOCK), 1);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	bmf_tracker_put(t);
	ck_assert_ptr_nonnull(strstr(source_notices, "changed after a crash"));
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_MISSING);
	close(fd);
}
END_TEST

/* A guest opens the image while a flush looks for what the crash has left. */
static struct bmf_source *opened_meanwhile;
static struct bmf_tracker *held;
static int held_fd;

static int opening_each_name(const struct bmf_io *table, int dirfd,
			     int (*visit)(const char *name, void *arg), void *arg)
{
	struct bmf_source *s = opened_meanwhile;

	(void)table;
	opened_meanwhile = NULL;
	if (s)
		ck_assert_int_eq(bmf_source_track(s, held_fd, &held), 0);
	return io->each_name(io, dirfd, visit, arg);
}

START_TEST(opened_during_a_flush)
{
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	struct bmf_source *s;

	held_fd = crashed_image(0, change_block_1);
	s = source_open(12);
	source_fault.io.each_name = opening_each_name;
	opened_meanwhile = s;
	ck_assert_int_eq(bmf_source_flush(s), 0);
	ck_assert_ptr_nonnull(held);

	ck_assert_int_eq(bmf_store_open(io, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_int_eq(
		bmf_history_load(store, state, held_fd, 0, BMF_HISTORY_LIVE, &history, NULL), 0);
	ck_assert_int_eq(history.reason, BMF_REASON_NONE);
	/* all of the region of block 1 */
	ck_assert(bmf_bits_test_all(history.sidecar->sections[history.sidecar->nsections - 1].bits,
				    0, 8));
	bmf_history_destroy(&history);
	bmf_state_free(state);
	bmf_store_close(store);
	bmf_tracker_put(held);
	ck_assert_int_eq(bmf_source_close(s), 0);
	close(held_fd);
}
END_TEST

static void do_nothing(struct bmf_source *s, int fd)
{
	(void)s;
	(void)fd;
}

/* The source is opened so many seconds from now, and that crashes at once. */
static void crash_at(int64_t ahead_s)
{
	offset_ns = ahead_s * 1000000000;
	source_crash_after(do_nothing, -1);
}

/* The next one to open the source ends the session durably, even if it does nothing else. */
START_TEST(changed_past_an_idle_one)
{
	int fd = crashed_image(0, change_block_1);

	crash_at(0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	usleep(20000);
	ck_assert_int_eq(pwrite(fd, "x", 1, 200 * BLOCK), 1);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_UNWATCHED);
	close(fd);
}
END_TEST

static bool is_believed(struct bmf_source *s, int fd)
{
	struct bmf_tracker *t;

	source_notices[0] = '\0';
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	bmf_tracker_put(t);
	return strstr(source_notices, "all of it counts as changed") == NULL;
}

/* Its history tells of all of the region of block 1, and of no more than that. */
static void check_region_is_dirty(int fd)
{
	struct bmf_history history;
	const struct bmf_bits *bits;

	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	bits = history.sidecar->sections[history.sidecar->nsections - 1].bits;
	ck_assert(bmf_bits_test_all(bits, 0, 8));
	ck_assert_uint_eq(bmf_bits_count(bits, 0, BLOCKS), 8);
	bmf_history_destroy(&history);
}

/* A machine without a battery for its clock comes up an hour before the power was cut. */
START_TEST(clock_set_back)
{
	int fd = crashed_image(0, change_block_1);
	struct bmf_source *s;

	crash_at(-3600);
	crash_at(-7200);
	check_region_is_dirty(fd);
	s = source_open(12);
	ck_assert(is_believed(s, fd));
	ck_assert_int_eq(bmf_source_close(s), 0);
	close(fd);
}
END_TEST

/* The source is opened by a process that gets no further than its nth call.  False: it did. */
static bool dies_at(unsigned long nth)
{
	struct bmf_source_options options = { .block_shift = 12, .region_shift = 15 };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct bmf_source *s;

		faultio_arm(&source_fault, FAULTIO_ALL, nth, -EIO, FAULTIO_STICKY);
		bmf_source_open(&source_fault.io, scratch_fd, &options, &s, NULL);
		_exit(faultio_fired(&source_fault));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Whatever is settled when it is killed, the next one finds the rest. */
START_TEST(killed_with_the_clock_set_back)
{
	int fd = crashed_image(0, change_block_1);
	struct bmf_source *s;

	for (unsigned long nth = 1;; nth++) {
		bool died;

		offset_ns = -3600 * INT64_C(1000000000);
		died = dies_at(nth);
		s = source_open(12);
		ck_assert_msg(is_believed(s, fd), "call %lu: %s", nth, source_notices);
		ck_assert_int_eq(bmf_source_close(s), 0);
		check_region_is_dirty(fd);
		if (!died)
			break;

		offset_ns = 0;
		s = source_open(12);
		source_roll(s);
		ck_assert_int_eq(bmf_source_close(s), 0);
		source_crash_after(change_block_1, fd);
	}
	close(fd);
}
END_TEST

/* Nor is what is done behind the mount then missed, whatever the clock says. */
START_TEST(changed_with_the_clock_set_back)
{
	int settled = crashed_image(0, change_block_1), left, fd;
	struct bmf_source *s;

	crash_at(-3600);
	offset_ns = 0;
	ck_assert_int_eq(pwrite(settled, "x", 1, 200 * BLOCK), 1);
	ck_assert_int_eq(source_reason(settled, NULL), BMF_REASON_BEHIND);

	/* the clock was an hour ahead when that was noted, but not when this image was changed */
	left = crashed_image_named("left", 3600, change_block_1);
	s = source_open(12);
	usleep(20000);
	ck_assert_int_eq(pwrite(left, "x", 1, 200 * BLOCK), 1);
	ck_assert(!is_believed(s, left));
	ck_assert_int_eq(bmf_source_close(s), 0);

	/* changed when the session had run out */
	fd = crashed_image_named("unwatched", -3600, change_block_1);
	crash_at(-7200);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_UNWATCHED);
	close(settled);
	close(left);
	close(fd);
}
END_TEST

START_TEST(moved_on_while_in_use)
{
	int fd = crashed_image(-3600, keep_on);

	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

static void crash_unnoted(struct bmf_source *s, int fd)
{
	unlinkat(scratch_fd, BMF_STATE_DIR "/" BMF_SESSIONS_NAME, 0);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	unlinkat(scratch_fd, BMF_STATE_DIR "/" BMF_SESSIONS_NAME, 0);
}

START_TEST(nobody_vouches)
{
	int fd = crashed_image(0, crash_unnoted);

	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_UNWATCHED);
	close(fd);
}
END_TEST

/* Crash after crash, without a look at this image in between: its session is still known. */
START_TEST(earlier_sessions_are_kept)
{
	int other = source_image("other", BLOCKS), fd = crashed_image(0, change_block_1);
	struct bmf_source *s;

	for (int i = 0; i < 5; i++)
		source_crash_after(change_block_1, other);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	s = source_open(12);
	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(fd);
	close(other);
}
END_TEST

/* What can't be noted is told, and costs nothing but trust. */
START_TEST(guests_go_on_without)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);

	source_roll(s);
	ck_assert_int_eq(mkdirat(scratch_fd, BMF_STATE_DIR "/" BMF_SESSIONS_NAME, 0700), 0);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	ck_assert_ptr_nonnull(strstr(source_notices, "a crash would make images"));
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sessions");
	TCase *file = tcase_create("file"), *source = tcase_create("source");

	tcase_add_checked_fixture(file, scratch_make, scratch_remove);
	tcase_add_test(file, format_is_golden);
	tcase_add_test(file, absent_file_has_none);
	tcase_add_test(file, copies_are_written_in_turn);
	tcase_add_test(file, every_byte_counts);
	tcase_add_test(file, vouches_up_to_its_time);
	tcase_add_test(file, oldest_gives_way);
	suite_add_tcase(suite, file);

	tcase_add_checked_fixture(source, source_setup, source_teardown);
	tcase_add_test(source, believed_while_vouched_for);
	tcase_add_test(source, changed_after_the_crash);
	tcase_add_test(source, changed_past_the_next_one);
	tcase_add_test(source, changed_past_an_idle_one);
	tcase_add_test(source, clock_set_back);
	tcase_add_test(source, killed_with_the_clock_set_back);
	tcase_add_test(source, changed_with_the_clock_set_back);
	tcase_add_test(source, opened_during_a_flush);
	tcase_add_test(source, moved_on_while_in_use);
	tcase_add_test(source, nobody_vouches);
	tcase_add_test(source, earlier_sessions_are_kept);
	tcase_add_test(source, guests_go_on_without);
	suite_add_tcase(suite, source);
	return suite_run(suite);
}
