/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_history.c - what is believed of an image, whatever happened while nobody looked
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/identity.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sources.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(changed_behind_the_mount)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);

	source_roll(s);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	ck_assert_int_eq(pwrite(fd, "x", 1, 77 * BLOCK), 1);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_BEHIND);

	/* the next source says so, and tracks it anew from its next checkpoint */
	s = source_open(12);
	source_roll(s);
	ck_assert_ptr_nonnull(strstr(source_notices, bmf_reason_text(BMF_REASON_BEHIND)));
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

START_TEST(copy_is_not_its_original)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS), copy;
	struct bmf_uuid id, copy_id;

	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	copy = source_image("copy", BLOCKS);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, fd, &id), 0);
	ck_assert_int_eq(bmf_identity_write(&bmf_io_posix, copy, &id), 0);
	ck_assert_int_eq(source_reason(copy, NULL), BMF_REASON_COPIED);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);

	s = source_open(12);
	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, copy, &copy_id), 0);
	ck_assert(!bmf_uuid_equal(&id, &copy_id));
	ck_assert_int_eq(source_reason(copy, NULL), BMF_REASON_NONE);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(copy);
	close(fd);
}
END_TEST

/* Metadata through the mount moves ctime: that is no change behind it, crash or not. */
START_TEST(touch_keeps_the_history)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_tracker *t;

	source_roll(s);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	ck_assert_int_eq(bmf_tracker_touch(t), 0);
	ck_assert_int_eq(fchmod(fd, 0640), 0);
	bmf_tracker_put(t);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE); /* as after a crash here */
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

/* Another block size keeps the old bits, never fewer of the bytes. */
START_TEST(block_size_changes)
{
	static const unsigned int shifts[] = { 12, 16, 13, 21, 12 };
	const struct bmf_uuid replica = { { 5 } };
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_history history;
	struct bmf_bits *delta;
	struct bmf_commit commit;
	struct bmf_error err;

	bmf_source_advance(s);
	ck_assert_int_eq(bmf_source_commit(s, &replica, "r", &commit, &err), 0);
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &commit.checkpoint, "r"), 0);
	ck_assert_int_eq(source_change(s, fd, 9), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		s = source_open(shifts[i]);
		ck_assert_int_eq(source_change(s, fd, 40 + i), 0);
		ck_assert_int_eq(bmf_source_close(s), 0);
		ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
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
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS), state;
	struct bmf_state *before, *after;

	source_roll(s);
	ck_assert_int_eq(bmf_source_state(s, &before), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	state = openat(scratch_fd, BMF_STATE_DIR "/state", O_RDWR);
	ck_assert_int_ge(state, 0);
	ck_assert_int_eq(pwrite(state, "\xff", 1, 70), 1);
	close(state);
	s = source_open(12);
	ck_assert_ptr_nonnull(strstr(source_notices, "everything counts as changed"));
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_MISSING);
	/* it is the same source, and its numbers go on */
	ck_assert_int_eq(bmf_source_state(s, &after), 0);
	ck_assert(bmf_uuid_equal(&after->source, &before->source));
	ck_assert_uint_eq(after->ncheckpoints, 0);
	bmf_state_free(after);
	ck_assert_uint_gt(source_roll(s), before->generation);
	bmf_state_free(before);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);
	close(fd);
}
END_TEST

/* The state is from a backup: sidecars know generations whose numbers will be given again. */
START_TEST(sidecar_newer_than_the_state)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_state *yesterday;
	struct bmf_store *store;

	source_roll(s);
	ck_assert_int_eq(bmf_source_state(s, &yesterday), 0);
	source_roll(s);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_NONE);

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_save_state(store, yesterday), 0);
	bmf_store_close(store);
	bmf_state_free(yesterday);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_FOREIGN);

	/* nor later, when the numbers have caught up with it */
	s = source_open(12);
	ck_assert_int_eq(source_change(s, fd, 2), 0);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_MISSING);
	ck_assert_int_eq(bmf_source_close(s), 0);
	close(fd);
}
END_TEST

/* A sidecar of another source counts from other checkpoints. */
START_TEST(sidecar_of_another_source)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_sidecar *sidecar;
	struct bmf_store *store;
	struct bmf_uuid id;

	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, fd, &id), 0);
	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_sidecar(store, &id, &sidecar, NULL), 0);
	sidecar->source.b[3] ^= 1;
	ck_assert_int_eq(bmf_store_save_sidecar(store, sidecar, true, NULL), 0);
	bmf_sidecar_free(sidecar);
	bmf_store_close(store);
	ck_assert_int_eq(source_reason(fd, NULL), BMF_REASON_FOREIGN);
	close(fd);
}
END_TEST

/* Sidecars of images that are gone go with the next rollover; scratch files get none. */
START_TEST(nothing_is_left_over)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_uuid id;
	char path[128], text[BMF_UUID_TEXT];

	ck_assert_int_eq(source_change(s, fd, 1), 0);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, fd, &id), -ENODATA);
	source_roll(s);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, fd, &id), 0);
	snprintf(path, sizeof(path), BMF_STATE_DIR "/bitmaps/%s", bmf_uuid_format(&id, text));
	ck_assert_int_eq(faccessat(scratch_fd, path, F_OK, 0), 0);
	close(fd);
	ck_assert_int_eq(unlinkat(scratch_fd, "image", 0), 0);
	for (int i = 0; i < 4; i++)
		bmf_source_keep(s);
	source_roll(s);
	ck_assert_int_ne(faccessat(scratch_fd, path, F_OK, 0), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(faultio_open_fds(&source_fault), 0);
}
END_TEST

/* Neither has a sidecar, so each takes the id for its own, until the first is adopted. */
START_TEST(copy_and_original_are_adopted)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS), copy = source_image("copy", BLOCKS);
	struct bmf_history one, other;
	struct bmf_tracker *t[2];
	struct bmf_store *store;
	struct bmf_uuid id;

	source_roll(s);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, &one), BMF_REASON_NONE);
	ck_assert_int_eq(source_reason(copy, &other), BMF_REASON_NONE);
	id = one.id;
	ck_assert_int_eq(bmf_identity_write(&bmf_io_posix, copy, &id), 0);
	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_remove_sidecar(store, &one.id), 0);
	ck_assert_int_eq(bmf_store_remove_sidecar(store, &other.id), 0);
	bmf_store_close(store);
	s = source_open(12);
	bmf_history_destroy(&one);
	bmf_history_destroy(&other);

	ck_assert_int_eq(bmf_source_track(s, fd, &t[0]), 0);
	ck_assert_int_eq(bmf_source_track(s, copy, &t[1]), 0);
	source_roll(s);
	bmf_tracker_put(t[0]);
	bmf_tracker_put(t[1]);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, &one), BMF_REASON_NONE);
	ck_assert_int_eq(source_reason(copy, &other), BMF_REASON_NONE);
	ck_assert(!bmf_uuid_equal(&one.id, &other.id));
	bmf_history_destroy(&one);
	bmf_history_destroy(&other);
	close(fd);
	close(copy);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("history");
	TCase *tcase = tcase_create("history");

	tcase_add_checked_fixture(tcase, source_setup, source_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, changed_behind_the_mount);
	tcase_add_test(tcase, copy_is_not_its_original);
	tcase_add_test(tcase, touch_keeps_the_history);
	tcase_add_test(tcase, block_size_changes);
	tcase_add_test(tcase, damaged_state_begins_anew);
	tcase_add_test(tcase, sidecar_newer_than_the_state);
	tcase_add_test(tcase, sidecar_of_another_source);
	tcase_add_test(tcase, nothing_is_left_over);
	tcase_add_test(tcase, copy_and_original_are_adopted);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
