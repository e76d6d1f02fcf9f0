/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_follow.c - follow.h: how long between attempts */
#include "config.h"

#include "tests/unit/suite.h"
#include "tools/follow.h"

#include <check.h>
#include <limits.h>

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

int main(void)
{
	Suite *suite = suite_create("follow");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, pauses);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
