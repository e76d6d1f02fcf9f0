/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_digests_faults.c - files of digests when calls fail */
#include "config.h"

#include "tests/unit/digestfiles.h"
#include "tests/unit/faultio.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <errno.h>

/* Writes the digests of one round over those of the one before; the first failure. */
static int upkeep(const struct bmf_io *io, bool create)
{
	struct digest digests[SMALL];
	struct digests *file = NULL;
	int r, closed;

	for (uint64_t i = 0; i < SMALL; i++)
		digests[i] = make_digest(i, 2);
	r = create ? digests_create(io, scratch_fd, &digestfile_key, &file, NULL)
		   : digests_open(io, scratch_fd, &digestfile_key, true, &file, NULL);
	if (r < 0)
		return r;
	r = digests_set_nblocks(file, 2 * SMALL);
	if (r == 0)
		r = digests_write(file, 10, SMALL - 20, digests + 10);
	if (r == 0)
		r = digests_write(file, SMALL, 200, NULL);
	if (r == 0)
		r = digests_write(file, 0, 10, digests);
	if (r == 0)
		r = digests_set_nblocks(file, SMALL);
	if (r == 0)
		r = digests_flush(file);
	closed = digests_close(file);
	return r < 0 ? r : closed;
}

/* Each is of the first round or the second, or zero, or unknown. */
static void check_rounds(bool succeeded)
{
	struct digest got[SMALL], zero = zero_digest();
	struct digests *file = NULL;
	int r = digests_open(&bmf_io_posix, scratch_fd, &digestfile_key, false, &file, NULL);

	if (r < 0) {
		ck_assert(!succeeded);
		ck_assert(r == -EBADMSG || r == -ENOENT);
		return;
	}
	ck_assert_int_eq(digests_read(file, 0, SMALL, got), 0);
	for (uint64_t i = 0; i < SMALL; i++) {
		struct digest old = make_digest(i, 1), new = make_digest(i, 2);
		bool is_new = digest_equal(&got[i], &new);

		if (succeeded && i < SMALL - 10)
			ck_assert(is_new || !digest_is_known(&got[i]));
		ck_assert(is_new || digest_equal(&got[i], &old) || digest_equal(&got[i], &zero) ||
			  !digest_is_known(&got[i]));
	}
	ck_assert_int_eq(digests_close(file), 0);
}

static void fail_each(bool create, unsigned int flags, int error)
{
	struct digest digests[SMALL];
	struct faultio fault;

	faultio_init(&fault, &bmf_io_posix);
	for (unsigned long n = 1;; n++) {
		int r;

		make_small(digests);
		faultio_arm(&fault, FAULTIO_ALL, n, error, flags);
		r = upkeep(&fault.io, create);
		ck_assert_int_eq(faultio_open_fds(&fault), 0);
		check_rounds(r == 0);
		if (!faultio_fired(&fault))
			break;
		ck_assert_uint_lt(n, 1000);
		faultio_arm(&fault, FAULTIO_ALL, 0, 0, 0);
		digests_remove(&bmf_io_posix, scratch_fd, &digestfile_key.image);
	}
}

START_TEST(any_call_may_fail)
{
	for (int create = 0; create < 2; create++) {
		fail_each(create, 0, -EIO);
		fail_each(create, 0, -ENOSPC);
		fail_each(create, FAULTIO_STICKY, -ENOSPC);
		fail_each(create, FAULTIO_SHORT, -ENOSPC);
		fail_each(create, FAULTIO_AFTER, -EIO);
	}
}
END_TEST

START_TEST(a_failed_fsync_is_never_made_good)
{
	struct digest digests[SMALL];
	struct digests *file;
	struct faultio fault;

	make_small(digests);
	faultio_init(&fault, &bmf_io_posix);
	file = digestfile_open(&fault.io);
	ck_assert_int_eq(digests_write(file, 0, 1, NULL), 0);
	faultio_arm(&fault, FAULTIO_FSYNC, 1, -EIO, 0);
	ck_assert_int_eq(digests_flush(file), -EIO);
	ck_assert_int_eq(digests_flush(file), -EIO);
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

START_TEST(without_holes_zeros_are_written)
{
	struct digest digests[SMALL], got[SMALL], zero = zero_digest();
	struct digests *file;
	struct faultio fault;

	make_small(digests);
	faultio_init(&fault, &bmf_io_posix);
	file = digestfile_open(&fault.io);
	faultio_arm(&fault, FAULTIO_FALLOCATE, 1, -EOPNOTSUPP, FAULTIO_STICKY);
	ck_assert_int_eq(digests_write(file, 0, SMALL, NULL), 0);
	ck_assert_int_eq(digests_flush(file), 0);
	ck_assert(faultio_fired(&fault));
	ck_assert_int_eq(digests_read(file, 0, SMALL, got), 0);
	for (int i = 0; i < SMALL; i++)
		ck_assert(digest_equal(&got[i], &zero));
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

/* Neither what is in memory nor what is left in the file comes back later. */
START_TEST(what_went_comes_not_back)
{
	struct digest got, mark = make_digest(260, 1), zero = zero_digest();
	struct digests *file = digestfile_create(765);
	struct faultio fault;

	ck_assert_int_eq(digests_write(file, 260, 1, &mark), 0);
	ck_assert_int_eq(digests_write(file, 255, 510, NULL), 0);
	ck_assert_int_eq(digests_close(file), 0);
	faultio_init(&fault, &bmf_io_posix);
	file = digestfile_open(&fault.io);
	for (int fail = 0; fail < 2; fail++) {
		ck_assert_int_eq(digests_read(file, 260, 1, &got), 0);
		ck_assert(digest_equal(&got, &zero));
		ck_assert_int_eq(digests_write(file, 260, 1, &mark), 0);
		faultio_arm(&fault, FAULTIO_FTRUNCATE, (unsigned long)fail, -EIO, 0);
		ck_assert_int_eq(digests_set_nblocks(file, 255), fail ? -EIO : 0);
		ck_assert_int_eq(digests_set_nblocks(file, 765), 0);
	}
	ck_assert_int_eq(digests_read(file, 260, 1, &got), 0);
	ck_assert(digest_equal(&got, &zero));
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("digests_faults");
	TCase *tc = digestfile_case("faults");

	tcase_add_test(tc, any_call_may_fail);
	tcase_add_test(tc, a_failed_fsync_is_never_made_good);
	tcase_add_test(tc, without_holes_zeros_are_written);
	tcase_add_test(tc, what_went_comes_not_back);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
