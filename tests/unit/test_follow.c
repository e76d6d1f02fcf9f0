/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_follow.c - follow.h: how long between attempts, and what is said of them */
#include "config.h"

#include "tests/unit/suite.h"
#include "tools/follow.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

START_TEST(pauses)
{
	static const struct {
		uint64_t interval_ms, pauses[9];
	} cases[] = {
		{ 30000, { 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000 } },
		{ 3600000, { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 } },
		{ 200, { 200, 200, 200, 200, 200, 200, 200, 200, 200 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned int n = 1; n <= 9; n++)
			ck_assert_uint_eq(follow_pause_ms(cases[i].interval_ms, n),
					  cases[i].pauses[n - 1]);
		ck_assert_uint_eq(follow_pause_ms(cases[i].interval_ms, UINT_MAX),
				  cases[i].pauses[8]);
	}
}
END_TEST

static bool is_news(struct follow_told *told, const char *text)
{
	struct bmf_error why = { .code = -ENOSPC };

	snprintf(why.text, sizeof(why.text), "%s", text);
	return follow_is_news(told, &why);
}

START_TEST(says_each_reason_once)
{
	struct follow_told told = { 0 };
	char text[] = "open destination: reason A";

	ck_assert(is_news(&told, "save replica: no space left on device"));
	ck_assert(is_news(&told, "stage update: 6.1 MB are needed, 1887 kB are free"));
	ck_assert(!is_news(&told, "stage update: 6 MB are needed, 0 kB are free"));
	ck_assert(!is_news(&told, "save replica: no space left on device"));
	ck_assert(is_news(&told, "save replica: no space left on device 1, or 2"));
	ck_assert(is_news(&told, "save replica"));
	for (unsigned int i = 4; i < FOLLOW_REASONS_MAX; i++) {
		text[sizeof(text) - 2]++;
		ck_assert(is_news(&told, text));
	}
	ck_assert(!is_news(&told, "one more"));
	ck_assert(!is_news(&told, text));
	told.n = 0;
	ck_assert(is_news(&told, text));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("follow");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, pauses);
	tcase_add_test(tests, says_each_reason_once);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
