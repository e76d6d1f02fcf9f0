/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_uuid.c - uuid.h */
#include "config.h"

#include "bitmapfile/uuid.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define TEXT "f81d4fae-7dec-41d0-a765-00a0c91e6bf6"

static const struct bmf_uuid known = { { 0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x41, 0xd0, 0xa7, 0x65,
					 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6 } };

START_TEST(generated_are_version_4_and_differ)
{
	struct bmf_uuid uuids[64];

	for (int i = 0; i < 64; i++) {
		ck_assert_int_eq(bmf_uuid_generate(&uuids[i]), 0);
		ck_assert_int_eq(uuids[i].b[6] >> 4, 4);
		ck_assert_int_eq(uuids[i].b[8] >> 6, 2);
		for (int j = 0; j < i; j++)
			ck_assert(!bmf_uuid_equal(&uuids[i], &uuids[j]));
	}
}
END_TEST

START_TEST(formats_and_parses)
{
	char text[BMF_UUID_TEXT];
	struct bmf_uuid uuid;

	ck_assert_str_eq(bmf_uuid_format(&known, text), TEXT);
	ck_assert_int_eq(bmf_uuid_parse(TEXT, &uuid), 0);
	ck_assert(bmf_uuid_equal(&uuid, &known));
	ck_assert_int_eq(bmf_uuid_parse("F81D4FAE-7DEC-41D0-A765-00A0C91E6BF6", &uuid), 0);
	ck_assert(bmf_uuid_equal(&uuid, &known));
	for (int i = 0; i < 100; i++) {
		struct bmf_uuid random;

		ck_assert_int_eq(bmf_uuid_generate(&random), 0);
		ck_assert_int_eq(bmf_uuid_parse(bmf_uuid_format(&random, text), &uuid), 0);
		ck_assert(bmf_uuid_equal(&uuid, &random));
	}
}
END_TEST

static void refuse(const char *text)
{
	struct bmf_uuid uuid = known;

	ck_assert_msg(bmf_uuid_parse(text, &uuid) == -EINVAL, "accepted '%s'", text);
	ck_assert(bmf_uuid_equal(&uuid, &known)); /* untouched */
}

START_TEST(refuses_everything_else)
{
	static const char wrong[] = "gG-/:@`{ \n\x80";

	for (size_t i = 0; i < sizeof(TEXT) - 1; i++) {
		/* on the heap and of exact size, so that a read too far is seen */
		char *text = strdup(TEXT);

		for (const char *c = wrong; *c; c++) {
			text[i] = *c;
			if (TEXT[i] != *c)
				refuse(text);
		}
		text[i] = TEXT[i] == '-' ? '0' : '-';
		refuse(text);
		free(text);
		text = strndup(TEXT, i);
		refuse(text);
		free(text);
	}
	refuse(TEXT "0");
	refuse(TEXT "\n");
	refuse(" " TEXT);
	refuse("{" TEXT "}");
	refuse("f81d4fae7dec41d0a76500a0c91e6bf6");
}
END_TEST

START_TEST(none_is_all_zero)
{
	struct bmf_uuid none = { { 0 } }, last = { { [15] = 1 } };

	ck_assert(bmf_uuid_is_none(&none));
	ck_assert(!bmf_uuid_is_none(&last));
	ck_assert(!bmf_uuid_is_none(&known));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("uuid");
	TCase *tc = tcase_create("uuid");

	tcase_add_test(tc, generated_are_version_4_and_differ);
	tcase_add_test(tc, formats_and_parses);
	tcase_add_test(tc, refuses_everything_else);
	tcase_add_test(tc, none_is_all_zero);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
