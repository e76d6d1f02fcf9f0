/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_text.c - text.h and mounts.h: what people get to read */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tools/mounts.h"
#include "tools/text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

START_TEST(bytes)
{
	static const struct {
		uint64_t nbytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1048575, "1.0 MiB" }, /* not "1024.0 KiB" */
		{ 3 << 20, "3.0 MiB" },
		{ UINT64_C(1) << 40, "1.0 TiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char buf[TEXT_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_str_eq(text_bytes(cases[i].nbytes, buf), cases[i].text);
}
END_TEST

START_TEST(parse_bytes)
{
	static const struct {
		const char *text;
		uint64_t nbytes;
	} good[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "1k", 1024 },
		{ "64K", 65536 },
		{ "1.5M", 3 << 19 },
		{ ".5m", 1 << 19 },
		{ "2G", UINT64_C(2) << 30 },
		{ "1t", UINT64_C(1) << 40 },
		{ "1048576T", UINT64_C(1) << 60 },
	};
	static const char *const bad[] = { "",	    "K",   ".",	  ".K",	 "-1",	 "+1",
					   "1.2.3", "1KB", "1 K", "1P",	 "1e3",	 "0x10",
					   "inf",   "nan", " 1",  "1\n", "1M/s", "2000000T" };
	uint64_t nbytes = 17;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(text_parse_bytes(good[i].text, &nbytes) == 0, "%s", good[i].text);
		ck_assert_uint_eq(nbytes, good[i].nbytes);
	}
	nbytes = 17;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(text_parse_bytes(bad[i], &nbytes) < 0, "'%s'", bad[i]);
	ck_assert_uint_eq(nbytes, 17);
}
END_TEST

START_TEST(percent)
{
	char buf[TEXT_PERCENT];

	ck_assert_str_eq(text_percent(0, 0, buf), "0.00%");
	ck_assert_str_eq(text_percent(0, 100, buf), "0.00%");
	ck_assert_str_eq(text_percent(1, 1000000, buf), "<0.01%");
	ck_assert_str_eq(text_percent(7, 10000, buf), "0.07%");
	ck_assert_str_eq(text_percent(999999, 1000000, buf), ">99.99%");
	ck_assert_str_eq(text_percent(5, 5, buf), "100.00%");
}
END_TEST

START_TEST(durations_and_times)
{
	char buf[TEXT_DURATION], when[TEXT_TIME];

	ck_assert_str_eq(text_duration(0.05, buf), "0.1 s");
	ck_assert_str_eq(text_duration(-1, buf), "0.0 s");
	ck_assert_str_eq(text_duration(59.99, buf), "1:00");
	ck_assert_str_eq(text_duration(3599.6, buf), "1:00:00");
	ck_assert_str_eq(text_duration(7325, buf), "2:02:05");
	ck_assert_str_eq(text_time(0, when), "1970-01-01T00:00:00Z");
	ck_assert_str_eq(text_time(INT64_C(1700000000999999999), when), "2023-11-14T22:13:20Z");
	ck_assert_str_eq(text_time(-1, when), "1969-12-31T23:59:59Z");
}
END_TEST

START_TEST(ages)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} cases[] = {
		{ 0, "0 s" },
		{ 59, "59 s" },
		{ 60, "1 min" },
		{ 200, "3 min 20 s" },
		{ 3599, "59 min 59 s" },
		{ 3600, "1 h" },
		{ 3659, "1 h" },
		{ 86399, "23 h 59 min" },
		{ 86400, "1 d" },
		{ 3 * 86400 + 4 * 3600 + 59, "3 d 4 h" },
		{ UINT64_MAX, "213503982334601 d 7 h" },
	};
	char buf[TEXT_AGE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_str_eq(text_age(cases[i].seconds, buf), cases[i].text);
}
END_TEST

START_TEST(widths)
{
	ck_assert_uint_eq(text_width(""), 0);
	ck_assert_uint_eq(text_width("tr\xc3\xb6t"), 4);
	ck_assert_uint_eq(text_width("\xc3"), 1);
	ck_assert_uint_eq(text_width("a\xff\xff"), 3);
}
END_TEST

START_TEST(utf8)
{
	static const char *const good[] = { "",
					    "a",
					    "\xc2\x80",
					    "\xdf\xbf",
					    "\xe0\xa0\x80",
					    "\xed\x9f\xbf",
					    "\xee\x80\x80",
					    "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf",
					    "tr\xc3\xb6t" };
	static const char *const bad[] = { "\x80",
					   "\xc0\x80",
					   "\xc1\xbf",
					   "\xc3",
					   "\xe0\x9f\xbf",
					   "\xe2\x82",
					   "\xed\xa0\x80",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "a\xff",
					   "\xc3\xc3\xb6" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(text_is_utf8(good[i]), "good %zu", i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!text_is_utf8(bad[i]), "bad %zu", i);
}
END_TEST

START_TEST(quoting)
{
	char buf[200];

	ck_assert_str_eq(text_quote("plain name", buf, sizeof(buf)), "plain name");
	ck_assert_str_eq(text_quote("a\nb\tc\\d", buf, sizeof(buf)), "a\\nb\\tc\\\\d");
	ck_assert_str_eq(text_quote("\x1b[31m\x7f", buf, sizeof(buf)), "\\x1b[31m\\x7f");
	ck_assert_str_eq(text_quote("\xff\xc3\xb6\xc2\x9b", buf, sizeof(buf)),
			 "\\xff\xc3\xb6\\xc2\\x9b");
	ck_assert_str_eq(text_quote("12345678", buf, 9), "12345678");
	ck_assert_str_eq(text_quote("123456789", buf, 9), "12345...");
}
END_TEST

/* Whatever it is given: printable, valid, and within the buffer. */
START_TEST(quoting_random_bytes)
{
	struct rng rng = rng_start("quoting_random_bytes");

	for (int round = 0; round < 20000; round++) {
		char name[40], *buf, *whole;
		size_t n = rng_below(&rng, sizeof(name)), size = 8 + rng_below(&rng, 60);

		for (size_t i = 0; i < n; i++)
			name[i] = (char)(1 + rng_below(&rng, 255));
		name[n] = '\0';
		buf = malloc(size); /* of its exact size, for the sanitizers */
		text_quote(name, buf, size);
		ck_assert_uint_lt(strlen(buf), size);
		whole = text_escape(name);
		ck_assert(text_is_utf8(whole));
		for (const char *s = whole; *s; s++)
			ck_assert((unsigned char)*s >= 0x20 && *s != 0x7f);
		if (strlen(whole) < size)
			ck_assert_str_eq(buf, whole);
		free(buf);
		free(whole);
	}
}
END_TEST

START_TEST(files)
{
	char buf[TEXT_FILES], longest[2 * TEXT_NAME];

	ck_assert_str_eq(text_files("removed", 2, "a\nb", buf),
			 "removed: 2 file(s), such as 'a\\nb'");
	ck_assert_str_eq(text_files("removed", UINT64_MAX, NULL, buf),
			 "removed: 18446744073709551615 file(s), such as '?'");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_str_eq(text_files("removed", 1, longest, buf) + strlen(buf) - 5, "x...'");
}
END_TEST

START_TEST(mountinfo)
{
	char *point = NULL;
	dev_t dev = 0;

	ck_assert(mounts_parse("70 29 0:55 / /srv/my\\040images\\134x rw,nosuid shared:3 - "
			       "fuse.mirrorfs /srv/my\\040images rw,user_id=0\n",
			       &dev, &point));
	ck_assert_str_eq(point, "/srv/my images\\x");
	ck_assert(dev == makedev(0, 55));
	free(point);
	ck_assert(!mounts_parse("36 35 98:0 / /mnt rw - ext4 /dev/root rw\n", &dev, &point));
	ck_assert(!mounts_parse("36 35 0:4 / /mnt rw - fuse.mirrorfsx x rw\n", &dev, &point));
	ck_assert(!mounts_parse("garbage - fuse.mirrorfs \n", &dev, &point));
	ck_assert(!mounts_parse("", &dev, &point));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_text");
	TCase *tc = tcase_create("text");

	tcase_add_test(tc, bytes);
	tcase_add_test(tc, parse_bytes);
	tcase_add_test(tc, percent);
	tcase_add_test(tc, durations_and_times);
	tcase_add_test(tc, ages);
	tcase_add_test(tc, widths);
	tcase_add_test(tc, utf8);
	tcase_add_test(tc, quoting);
	tcase_add_test(tc, quoting_random_bytes);
	tcase_add_test(tc, files);
	tcase_add_test(tc, mountinfo);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
