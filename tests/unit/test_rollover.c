/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_rollover.c - what a source believes a replica, and what it keeps for it */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sources.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <unistd.h>

static const struct bmf_uuid replica = { { 4 } }, other_replica = { { 3 } };

static struct bmf_checkpoint commit_for(struct bmf_source *s, const struct bmf_uuid *whom)
{
	struct bmf_commit commit;
	struct bmf_error err;

	bmf_source_advance(s);
	ck_assert_int_eq(bmf_source_commit(s, whom, NULL, &commit, &err), 0);
	return commit.checkpoint;
}

static struct bmf_checkpoint commit_for_replica(struct bmf_source *s)
{
	return commit_for(s, &replica);
}

/* A sync, of which the source hears at once. */
static struct bmf_checkpoint sync_for(struct bmf_source *s, const struct bmf_uuid *whom)
{
	struct bmf_checkpoint made = commit_for(s, whom);

	ck_assert_int_eq(bmf_source_arrived(s, whom, &made, NULL), 0);
	return made;
}

static struct bmf_cursor cursor_of(struct bmf_source *s)
{
	const struct bmf_cursor *found;
	struct bmf_cursor cursor;
	struct bmf_state *state;

	ck_assert_int_eq(bmf_source_state(s, &state), 0);
	found = bmf_state_cursor(state, &replica);
	ck_assert_ptr_nonnull(found);
	cursor = *found;
	bmf_state_free(state);
	return cursor;
}

/* A checkpoint is its UUID; a number may have been given again since a backup. */
START_TEST(arrival_is_believed_by_uuid)
{
	struct bmf_source *s = source_open(12);
	struct bmf_checkpoint first = commit_for_replica(s), second, other;

	ck_assert_int_eq(bmf_source_arrived(s, &replica, &first, NULL), 0);
	second = commit_for_replica(s);
	other = second;
	other.uuid.b[0] ^= 1;
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &other, NULL), -ENOENT);
	other = second;
	other.number++;
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &other, NULL), -ENOENT);
	ck_assert_uint_eq(cursor_of(s).at, first.number);
	ck_assert_uint_eq(cursor_of(s).pending, second.number);
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &second, NULL), 0);
	ck_assert_uint_eq(cursor_of(s).at, second.number);
	ck_assert_uint_eq(cursor_of(s).pending, 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
}
END_TEST

static bool delta_has(int fd, uint64_t from, uint64_t block)
{
	struct bmf_history history;
	struct bmf_bits *delta;
	bool has;

	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	ck_assert_int_eq(bmf_chain_delta(history.sidecar, from, UINT64_MAX, &delta), 0);
	has = bmf_bits_test(delta, block);
	bmf_bits_free(delta);
	bmf_history_destroy(&history);
	return has;
}

/*
 * Where a replica is, and where it may have got without the source hearing of it: a delta from
 * either is exact.
 */
START_TEST(both_ends_of_a_sync_are_kept)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_checkpoint first, second;

	first = commit_for_replica(s);
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &first, NULL), 0);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	second = commit_for_replica(s); /* a sync that nobody heard of again */
	ck_assert_int_eq(source_change(s, fd, 200), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);

	ck_assert(delta_has(fd, first.number, 1));
	ck_assert(delta_has(fd, first.number, 200));
	ck_assert(delta_has(fd, second.number, 200));
	ck_assert(!delta_has(fd, second.number, 1));
	close(fd);
}
END_TEST

/* As mirrorctl reads it, whose source is in use.  NULL: there is no sidecar to believe. */
static struct bmf_bits *live_delta(int fd, uint64_t from, uint64_t to)
{
	struct bmf_history history;
	struct bmf_store *store;
	struct bmf_state *state;
	struct bmf_bits *delta = NULL;

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_int_eq(bmf_history_load(store, state, fd, 0, BMF_HISTORY_LIVE, &history, NULL),
			 0);
	if (history.sidecar)
		ck_assert_int_eq(bmf_chain_delta(history.sidecar, from, to, &delta), 0);
	bmf_history_destroy(&history);
	bmf_state_free(state);
	bmf_store_close(store);
	return delta;
}

/* Of the state as it is on disk: does it know that checkpoint? */
static bool is_known(const struct bmf_checkpoint *checkpoint)
{
	const struct bmf_checkpoint *found;
	struct bmf_store *store;
	struct bmf_state *state;
	bool known;

	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	found = bmf_state_checkpoint(state, checkpoint->number);
	known = found && bmf_uuid_equal(&found->uuid, &checkpoint->uuid);
	bmf_state_free(state);
	bmf_store_close(store);
	return known;
}

/*
 * Of two replicas one is forgotten: its checkpoint is gone, durably, and so are the bits that
 * only it needs, at the next save; what the other needs stays.
 */
static void forget_one(const struct bmf_uuid *gone, bool is_older)
{
	const struct bmf_uuid *stays = gone == &replica ? &other_replica : &replica;
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_checkpoint older, newer, last;
	struct bmf_history history;

	ck_assert_int_eq(bmf_source_forget(s, gone), -ENOENT);
	older = sync_for(s, is_older ? gone : stays);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	newer = sync_for(s, is_older ? stays : gone);
	ck_assert_int_eq(source_change(s, fd, 200), 0);
	source_roll(s); /* or the newest would be kept anyway */
	ck_assert_int_eq(bmf_source_forget(s, gone), 0);
	ck_assert_int_eq(bmf_source_forget(s, gone), -ENOENT);
	ck_assert_int_eq(is_known(&older), !is_older);
	ck_assert_int_eq(is_known(&newer), is_older);
	ck_assert_int_eq(bmf_source_arrived(s, gone, is_older ? &older : &newer, NULL), -ENOENT);
	ck_assert_int_eq(source_change(s, fd, 100), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);

	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	ck_assert_uint_eq(history.sidecar->since, is_older ? newer.number : older.number);
	bmf_history_destroy(&history);
	last = is_older ? newer : older;
	ck_assert(delta_has(fd, last.number, 200));
	ck_assert(delta_has(fd, last.number, 100));
	ck_assert_int_eq(delta_has(fd, last.number, 1), !is_older);
	close(fd);
}

START_TEST(one_of_two_is_forgotten)
{
	forget_one(_i & 1 ? &replica : &other_replica, _i & 2);
}
END_TEST

/* It was forgotten while a sync to it was going on: that makes it known again, at the new one. */
START_TEST(forgotten_during_its_sync)
{
	struct bmf_source *s = source_open(12);
	struct bmf_checkpoint first = sync_for(s, &replica), second;

	second = commit_for_replica(s);
	ck_assert_int_eq(bmf_source_forget(s, &replica), 0);
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &first, NULL), -ENOENT);
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &second, NULL), 0);
	ck_assert_uint_eq(cursor_of(s).at, second.number);
	second = commit_for_replica(s);
	ck_assert_int_eq(bmf_source_forget(s, &replica), 0);
	source_roll(s); /* and this time it is too late */
	ck_assert_int_eq(bmf_source_arrived(s, &replica, &second, NULL), -ENOENT);
	ck_assert_int_eq(bmf_source_close(s), 0);
}
END_TEST

/* A state that can't be saved: nothing is forgotten, and nothing that it needs is dropped. */
START_TEST(forgetting_fails)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_checkpoint first = sync_for(s, &replica);

	ck_assert_int_eq(source_change(s, fd, 1), 0);
	source_roll(s);
	faultio_arm(&source_fault, FAULTIO_ALL & ~FAULTIO_CLOSE, 1, -ENOSPC, 0);
	ck_assert_int_eq(bmf_source_forget(s, &replica), -ENOSPC);
	faultio_arm(&source_fault, 0, 0, 0, 0);
	ck_assert_uint_eq(cursor_of(s).at, first.number);
	ck_assert_int_eq(source_change(s, fd, 2), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert(is_known(&first));
	ck_assert(delta_has(fd, first.number, 1));
	close(fd);
}
END_TEST

/*
 * A name keeps a checkpoint and the bits since, over any number of later ones; without it both go.
 * It is on disk when the call returns.
 */
START_TEST(named_is_kept)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_checkpoint seed, late;
	struct bmf_history history;
	uint64_t newest;

	seed = commit_for(s, NULL);
	ck_assert_int_eq(bmf_source_name(s, &seed, "seed"), 0);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	late = commit_for(s, NULL);
	source_roll(s);
	ck_assert_int_eq(bmf_source_name(s, &late, "late"), -ENOENT); /* nobody needed it */
	ck_assert_int_eq(source_change(s, fd, 200), 0);
	ck_assert(is_known(&seed));
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert(delta_has(fd, seed.number, 1));
	ck_assert(delta_has(fd, seed.number, 200));

	s = source_open(12);
	newest = source_roll(s);
	ck_assert_int_eq(bmf_source_name(s, &seed, NULL), 0);
	ck_assert_int_eq(bmf_source_name(s, &seed, NULL), -ENOENT);
	ck_assert(!is_known(&seed));
	ck_assert_int_eq(source_change(s, fd, 100), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);
	ck_assert_int_eq(source_reason(fd, &history), BMF_REASON_NONE);
	ck_assert_uint_eq(history.sidecar->since, newest);
	bmf_history_destroy(&history);
	close(fd);
}
END_TEST

/* A state that can't be saved: no name is given, and none is taken away. */
START_TEST(naming_fails)
{
	struct bmf_source *s = source_open(12);
	struct bmf_checkpoint seed = commit_for(s, NULL), other;
	struct bmf_state *state;

	faultio_arm(&source_fault, FAULTIO_ALL & ~FAULTIO_CLOSE, 1, -ENOSPC, 0);
	ck_assert_int_eq(bmf_source_name(s, &seed, "seed"), -ENOSPC);
	faultio_arm(&source_fault, 0, 0, 0, 0);
	ck_assert_int_eq(bmf_source_name(s, &seed, "seed"), 0); /* as it has none yet */
	faultio_arm(&source_fault, FAULTIO_ALL & ~FAULTIO_CLOSE, 1, -ENOSPC, 0);
	ck_assert_int_eq(bmf_source_name(s, &seed, NULL), -ENOSPC);
	faultio_arm(&source_fault, 0, 0, 0, 0);
	other = commit_for(s, NULL);
	ck_assert_int_eq(bmf_source_name(s, &other, "seed"), -EEXIST);
	ck_assert_int_eq(bmf_source_state(s, &state), 0);
	ck_assert_str_eq(bmf_state_checkpoint(state, seed.number)->name, "seed");
	bmf_state_free(state);
	ck_assert_int_eq(bmf_source_close(s), 0);
}
END_TEST

/*
 * A checkpoint that is not durable yet, or never will be: what is saved meanwhile goes under the
 * number before, and an image that rested until then keeps the boundary there.
 */
START_TEST(saved_ahead_of_the_state_after_a_rest)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_checkpoint first = sync_for(s, &replica), last;
	struct bmf_commit commit;
	struct bmf_error err;

	ck_assert_int_eq(source_change(s, fd, 1), 0);
	for (int i = 0; i < 3; i++)
		source_roll(s);
	last = sync_for(s, &other_replica);
	bmf_source_advance(s);
	faultio_arm(&source_fault, FAULTIO_ALL & ~FAULTIO_CLOSE, 1, -ENOSPC, 0);
	ck_assert_int_lt(bmf_source_commit(s, NULL, NULL, &commit, &err), 0);
	faultio_arm(&source_fault, 0, 0, 0, 0);
	ck_assert_int_eq(source_change(s, fd, 200), 0);
	ck_assert_int_eq(bmf_source_close(s), 0);

	ck_assert(delta_has(fd, first.number, 1));
	ck_assert(delta_has(fd, first.number, 200));
	ck_assert(delta_has(fd, last.number, 200));
	ck_assert(!delta_has(fd, last.number, 1));
	close(fd);
}
END_TEST

/* What a save that failed did not get to the disk, a later checkpoint does. */
START_TEST(what_was_not_saved_is_saved_later)
{
	for (unsigned long n = 1; n < 100; n++) {
		struct bmf_source *s = source_open(12);
		int fd = source_image("image", BLOCKS);
		struct bmf_checkpoint first, second;
		struct bmf_tracker *t;
		struct bmf_bits *delta;
		bool fired;

		first = commit_for_replica(s);
		ck_assert_int_eq(bmf_source_arrived(s, &replica, &first, NULL), 0);
		ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
		bmf_tracker_opened(t);
		ck_assert_int_eq(source_change(s, fd, 1), 0);
		ck_assert_int_eq(source_change(s, fd, 2), 0); /* the first one armed it */
		faultio_arm(&source_fault, FAULTIO_ALL & ~FAULTIO_CLOSE, n, -EIO, 0);
		bmf_source_flush(s);
		fired = faultio_fired(&source_fault);
		faultio_arm(&source_fault, 0, 0, 0, 0);
		second = commit_for_replica(s);
		ck_assert_uint_gt(second.number, first.number);
		delta = live_delta(fd, first.number, second.number);
		if (delta) {
			ck_assert_msg(bmf_bits_test(delta, 1), "call %lu", n);
			ck_assert_msg(bmf_bits_test(delta, 2), "call %lu", n);
			bmf_bits_free(delta);
		}
		bmf_tracker_closed(t);
		bmf_tracker_put(t);
		ck_assert_int_eq(bmf_source_close(s), 0);
		close(fd);
		unlinkat(scratch_fd, "image", 0);
		if (!fired) {
			ck_assert_uint_gt(n, 4);
			return;
		}
	}
	ck_abort_msg("it never came to an end");
}
END_TEST

static void unlink_image(struct bmf_source *s, int fd)
{
	struct stat st;

	bmf_source_unlinking(s, fd);
	ck_assert_int_eq(unlinkat(scratch_fd, "image", 0), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	bmf_source_unlinked(s, &st);
	bmf_source_keep(s);
}

/* A snapshot shows what went since its instant: its bits, which nobody has saved yet, are there. */
START_TEST(what_goes_while_a_checkpoint_is_made_keeps_its_bits)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_checkpoint first = commit_for_replica(s);
	struct bmf_commit second;
	struct bmf_tracker *t;
	struct bmf_bits *delta;
	struct bmf_error err;

	ck_assert_int_eq(bmf_source_arrived(s, &replica, &first, NULL), 0);
	ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	ck_assert_int_eq(source_change(s, fd, 2), 0);
	bmf_tracker_put(t);

	bmf_source_advance(s);
	unlink_image(s, fd);
	ck_assert_int_eq(bmf_source_commit(s, &replica, NULL, &second, &err), 0);
	delta = live_delta(fd, first.number, second.checkpoint.number);
	ck_assert_ptr_nonnull(delta);
	ck_assert(bmf_bits_test(delta, 1));
	ck_assert(bmf_bits_test(delta, 2));
	ck_assert(!bmf_bits_test(delta, 3));
	bmf_bits_free(delta);

	commit_for_replica(s);
	ck_assert_ptr_null(live_delta(fd, first.number, second.checkpoint.number));
	ck_assert_int_eq(bmf_source_close(s), 0);
	close(fd);
}
END_TEST

static void change_two(struct bmf_source *s, int fd)
{
	ck_assert_int_eq(source_change(s, fd, 1), 0);
	ck_assert_int_eq(source_change(s, fd, 2), 0); /* the first one armed it */
}

/*
 * The next start after a crash, or not, and a checkpoint during which the image goes, before it
 * was looked at.  Does its sidecar still tell of both blocks?  If it is there, it has to.
 */
static bool keeps_bits(bool crash, bool used)
{
	struct bmf_source *s = source_open(12);
	int fd = source_image("image", BLOCKS);
	struct bmf_checkpoint first = commit_for_replica(s);
	struct bmf_commit second;
	struct bmf_tracker *t = NULL;
	struct bmf_bits *delta;
	struct bmf_error err;

	ck_assert_int_eq(bmf_source_arrived(s, &replica, &first, NULL), 0);
	if (!crash)
		change_two(s, fd);
	ck_assert_int_eq(bmf_source_close(s), 0);
	if (crash)
		source_crash_after(change_two, fd);

	s = source_open(12);
	if (used)
		ck_assert_int_eq(bmf_source_track(s, fd, &t), 0);
	bmf_tracker_put(t);
	bmf_source_advance(s);
	unlink_image(s, fd);
	ck_assert_int_eq(bmf_source_commit(s, &replica, NULL, &second, &err), 0);
	delta = live_delta(fd, first.number, second.checkpoint.number);
	if (delta) {
		ck_assert(bmf_bits_test(delta, 1));
		ck_assert(bmf_bits_test(delta, 2));
	}
	bmf_bits_free(delta);
	ck_assert_int_eq(bmf_source_close(s), 0);
	close(fd);
	return delta;
}

/* What a crash left armed is in nobody's bits: it is not to be taken for all there is (I1). */
START_TEST(what_goes_before_it_was_seen_is_looked_at)
{
	ck_assert(keeps_bits(false, false));
	ck_assert(keeps_bits(false, true));
	ck_assert(keeps_bits(true, true));
	ck_assert(keeps_bits(true, false));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rollover");
	TCase *tcase = tcase_create("rollover");

	tcase_add_checked_fixture(tcase, source_setup, source_teardown);
	tcase_add_test(tcase, arrival_is_believed_by_uuid);
	tcase_add_test(tcase, both_ends_of_a_sync_are_kept);
	tcase_add_loop_test(tcase, one_of_two_is_forgotten, 0, 4);
	tcase_add_test(tcase, forgotten_during_its_sync);
	tcase_add_test(tcase, forgetting_fails);
	tcase_add_test(tcase, named_is_kept);
	tcase_add_test(tcase, naming_fails);
	tcase_add_test(tcase, saved_ahead_of_the_state_after_a_rest);
	tcase_add_test(tcase, what_was_not_saved_is_saved_later);
	tcase_add_test(tcase, what_goes_while_a_checkpoint_is_made_keeps_its_bits);
	tcase_add_test(tcase, what_goes_before_it_was_seen_is_looked_at);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
