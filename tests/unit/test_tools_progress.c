/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_progress.c - rate.h and progress_show.h: how fast it is, and how that is told */
#include "config.h"

#include "tests/unit/suite.h"
#include "tools/progress_show.h"
#include "tools/rate.h"
#include "tools/text.h"

#include <check.h>
#include <string.h>

#define SECOND INT64_C(1000000000)
#define WINDOW (RATE_SLOTS * RATE_STEP_NS)

/* From *now on, for so many seconds in steps of 10 ms. */
static void run(struct rate *rate, int64_t *now, uint64_t *done, int seconds, uint64_t a_second)
{
	for (int i = 0; i < seconds * 100; i++) {
		*now += SECOND / 100;
		*done += a_second / 100;
		rate_note(rate, *now, *done);
	}
}

START_TEST(rate_of_late)
{
	struct rate rate;
	int64_t now = 7 * SECOND;
	uint64_t done = 0;

	rate_begin(&rate, now);
	ck_assert_double_eq(rate_get(&rate, now, 0), 0);
	/* at once, not only after the first step */
	ck_assert_double_eq_tol(rate_get(&rate, now + SECOND / 10, 100), 1000, 1);
	run(&rate, &now, &done, 100, 1000);
	ck_assert_double_eq_tol(rate_get(&rate, now, done), 1000, 1);
	/* ten times as fast: the slow beginning is forgotten as soon as it is old */
	run(&rate, &now, &done, (int)(WINDOW / SECOND) + 1, 10000);
	ck_assert_double_eq_tol(rate_get(&rate, now, done), 10000, 10);
}
END_TEST

START_TEST(rate_when_nothing_goes_on)
{
	struct rate rate;
	int64_t now = 0;
	uint64_t done = 0;
	double before, after;

	rate_begin(&rate, now);
	run(&rate, &now, &done, 20, 1000);
	before = rate_get(&rate, now, done);
	after = rate_get(&rate, now + WINDOW / 2, done);
	ck_assert(after < before && after > 0);
	/* nobody noted anything for long, then the last thing that is known counts */
	ck_assert_double_eq(rate_get(&rate, now + 100 * WINDOW, done), 0);
	/* what was taken back is no rate */
	ck_assert_double_eq(rate_get(&rate, now + 1, 0), 0);
}
END_TEST

static struct progress_view copying(uint64_t done, uint64_t total, double rate)
{
	return (struct progress_view){
		.phase = PROGRESS_COPYING, .seconds = 2, .done = done, .total = total, .rate = rate
	};
}

START_TEST(text)
{
	struct progress_view view = copying(1 << 20, 4 << 20, 1 << 20);
	char buf[PROGRESS_TEXT];

	ck_assert_str_eq(progress_text(&view, 80, buf),
			 "copying 1.0 MiB of 4.0 MiB, 25%, 1.0 MiB/s, 3.0 s left");
	view.rate = 0;
	ck_assert_str_eq(progress_text(&view, 0, buf),
			 "copying 1.0 MiB of 4.0 MiB, 25%, 0 B/s, ? left");
	view = copying(1 << 20, 0, 512);
	ck_assert_str_eq(progress_text(&view, 80, buf), "copying 1.0 MiB, 512 B/s");
	view = copying(0, 0, 0);
	view.phase = PROGRESS_WAITING;
	ck_assert_str_eq(progress_text(&view, 80, buf), "waiting for a lock, 2.0 s");
	view = copying(1 << 20, 4 << 20, 1 << 20);
	view.image = "a\nb";
	ck_assert_str_eq(progress_text(&view, 80, buf),
			 "copying 1.0 MiB of 4.0 MiB, 25%, 1.0 MiB/s, 3.0 s left: 'a\\nb'");
}
END_TEST

/* Never as wide as the terminal, and no name cut in the middle of a character. */
START_TEST(text_fits)
{
	struct progress_view view = copying(UINT64_MAX / 3, UINT64_MAX, 1e6);
	char name[2000], buf[PROGRESS_TEXT];

	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xb6", 3);
	view.image = name;
	for (unsigned int columns = 1; columns < 2 * PROGRESS_TEXT; columns++) {
		progress_text(&view, columns, buf);
		ck_assert_uint_lt(strlen(buf), columns);
		ck_assert_uint_lt(strlen(buf), PROGRESS_TEXT);
		ck_assert(text_is_utf8(buf));
	}
	ck_assert_ptr_nonnull(strstr(progress_text(&view, 100, buf), "...'"));
	ck_assert_ptr_nonnull(strstr(progress_text(&view, 0, buf), "...'"));
}
END_TEST

START_TEST(event)
{
	struct progress_view view = copying(1000, 3000, 500);
	json_t *json;

	view.image = "caf\xe9";
	json = progress_event(&view);
	ck_assert_str_eq(json_string_value(json_object_get(json, "event")), "progress");
	ck_assert_str_eq(json_string_value(json_object_get(json, "phase")), "copying");
	ck_assert_int_eq(json_integer_value(json_object_get(json, "bytes_done")), 1000);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "bytes_total")), 3000);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "rate")), 500);
	ck_assert_double_eq(json_real_value(json_object_get(json, "seconds_left")), 4);
	ck_assert_str_eq(json_string_value(json_object_get(json, "image")), "caf\\xe9");
	ck_assert(json_is_true(json_object_get(json, "image_escaped")));
	json_decref(json);

	view = copying(0, 0, 0);
	json = progress_event(&view);
	ck_assert(json_is_null(json_object_get(json, "image")));
	ck_assert(json_is_null(json_object_get(json, "seconds_left")));
	json_decref(json);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_progress");
	TCase *tc = tcase_create("progress");

	tcase_add_test(tc, rate_of_late);
	tcase_add_test(tc, rate_when_nothing_goes_on);
	tcase_add_test(tc, text);
	tcase_add_test(tc, text_fits);
	tcase_add_test(tc, event);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
