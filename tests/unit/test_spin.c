/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_spin.c - when a thread looks for the next request before it falls asleep */
#include "config.h"

#include "fs/spin.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <unistd.h>

static struct mfs_spin spin;

/* Waits until the next one with it, which is in vain. */
static unsigned int waits_without(void)
{
	unsigned int n = 0;

	for (; !mfs_spin_is_due(&spin); n++)
		ck_assert_uint_lt(n, MFS_SPIN_SKIP_MAX);
	mfs_spin_tell(&spin, false);
	return n;
}

static void setup(void)
{
	spin = (struct mfs_spin){ 0 };
}

START_TEST(test_as_long_as_it_pays)
{
	for (unsigned int i = 0; i < 1000; i++) {
		ck_assert(mfs_spin_is_due(&spin));
		mfs_spin_tell(&spin, true);
	}
}
END_TEST

/* Who asks rarely pays for one wait in over a hundred. */
START_TEST(test_less_and_less_in_vain)
{
	unsigned int n = waits_without();

	ck_assert_uint_eq(n, 0);
	for (unsigned int i = 0; i < 20; i++) {
		unsigned int next = waits_without();

		ck_assert(next > n || next == MFS_SPIN_SKIP_MAX);
		n = next;
	}
	ck_assert_uint_eq(n, MFS_SPIN_SKIP_MAX);
}
END_TEST

START_TEST(test_at_once_when_it_pays_again)
{
	for (unsigned int i = 0; i < 20; i++)
		waits_without();
	while (!mfs_spin_is_due(&spin))
		;
	mfs_spin_tell(&spin, true);
	ck_assert(mfs_spin_is_due(&spin));
}
END_TEST

START_TEST(test_what_it_waits_for)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	mfs_spin(&spin, fds[0]); /* ends, though nothing comes */
	ck_assert_uint_eq(waits_without(), 1);
	ck_assert_int_eq(write(fds[1], "", 1), 1);
	for (unsigned int i = 0; i <= MFS_SPIN_SKIP_MAX; i++)
		mfs_spin(&spin, fds[0]);
	ck_assert(mfs_spin_is_due(&spin));
	close(fds[0]);
	close(fds[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spin");
	TCase *tcase = tcase_create("spin");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_as_long_as_it_pays);
	tcase_add_test(tcase, test_less_and_less_in_vain);
	tcase_add_test(tcase, test_at_once_when_it_pays_again);
	tcase_add_test(tcase, test_what_it_waits_for);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
