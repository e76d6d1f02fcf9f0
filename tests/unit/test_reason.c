/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_reason.c - every reason has its own text and its own word */
#include "config.h"

#include "bitmapfile/reason.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(test_all_differ)
{
	for (int i = 0; i <= BMF_REASON_LAST; i++) {
		ck_assert_uint_gt(strlen(bmf_reason_text((enum bmf_reason)i)), 0);
		ck_assert_uint_gt(strlen(bmf_reason_word((enum bmf_reason)i)), 0);
		for (int k = 0; k < i; k++) {
			ck_assert_str_ne(bmf_reason_text((enum bmf_reason)i),
					 bmf_reason_text((enum bmf_reason)k));
			ck_assert_str_ne(bmf_reason_word((enum bmf_reason)i),
					 bmf_reason_word((enum bmf_reason)k));
		}
	}
}
END_TEST

/* Scripts look for these. */
START_TEST(test_words)
{
	ck_assert_str_eq(bmf_reason_word(BMF_REASON_NONE), "none");
	ck_assert_str_eq(bmf_reason_word(BMF_REASON_BEHIND), "changed-behind-mount");
	ck_assert_str_eq(bmf_reason_text(BMF_REASON_BEHIND), "changed behind the mount");
	for (int i = 0; i <= BMF_REASON_LAST; i++) {
		const char *word = bmf_reason_word((enum bmf_reason)i);

		ck_assert_uint_eq(strspn(word, "abcdefghijklmnopqrstuvwxyz-"), strlen(word));
	}
}
END_TEST

START_TEST(test_unknown)
{
	ck_assert_str_eq(bmf_reason_word((enum bmf_reason)(BMF_REASON_LAST + 1)), "unknown");
	ck_assert_str_eq(bmf_reason_word((enum bmf_reason)0x7fffffff), "unknown");
	ck_assert_ptr_nonnull(bmf_reason_text((enum bmf_reason) - 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reason");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, test_all_differ);
	tcase_add_test(tests, test_words);
	tcase_add_test(tests, test_unknown);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
