/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_since.c - which checkpoint is meant, and what one may be called */
#include "config.h"

#include "tests/unit/suite.h"
#include "tools/since.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct bmf_state *state;

/* The first four bytes, and the last one. */
static struct bmf_uuid uuid_of(uint32_t first, uint8_t last)
{
	struct bmf_uuid uuid = { { (uint8_t)(first >> 24), (uint8_t)(first >> 16),
				   (uint8_t)(first >> 8), (uint8_t)first } };

	uuid.b[15] = last;
	return uuid;
}

static void checkpoint(uint32_t first, const char *name)
{
	struct bmf_uuid uuid = uuid_of(first, (uint8_t)(state->generation + 1));

	ck_assert_int_eq(bmf_state_add_checkpoint(state, &uuid, 0, NULL), 0);
	if (name)
		state->checkpoints[state->ncheckpoints - 1].name = strdup(name);
}

static void replica(uint32_t first, const char *label, uint64_t at)
{
	struct bmf_uuid uuid = uuid_of(first, 0xff);
	struct bmf_cursor *c;

	ck_assert_int_eq(bmf_state_cursor_get_or_add(state, &uuid, &c), 0);
	free(c->label);
	c->label = strdup(label);
	c->at = at;
}

static void setup(void)
{
	ck_assert_int_eq(bmf_state_new(16, &state), 0);
	checkpoint(0xaaaa0001, "seed");
	checkpoint(0xaaaa0002, NULL);
	checkpoint(0x12345678, NULL);
	checkpoint(0xbbbb0000, "a@b:c");
	checkpoint(0xbbbb0000, NULL);
	checkpoint(0x00000002, NULL);
}

static void teardown(void)
{
	bmf_state_free(state);
}

/* The number of the one that a word means, or an error. */
static int meant(const char *word)
{
	const struct bmf_checkpoint *found = NULL;
	struct bmf_error err = { 0 };
	int r = since_find(state, word, &found, &err);

	ck_assert_int_eq(err.code, r);
	ck_assert_int_eq(r < 0, !found);
	return r < 0 ? r : (int)found->number;
}

START_TEST(is_found)
{
	ck_assert_int_eq(meant("seed"), 1);
	ck_assert_int_eq(meant("see"), -ENOENT);
	ck_assert_int_eq(meant("SEED"), -ENOENT);
	ck_assert_int_eq(meant("a@b:c"), 4);
	ck_assert_int_eq(meant("3"), 3);
	ck_assert_int_eq(meant("03"), 3);
	ck_assert_int_eq(meant("7"), -ENOENT);
	ck_assert_int_eq(meant("0"), -ENOENT);
	ck_assert_int_eq(meant(""), -ENOENT);
	ck_assert_int_eq(meant("99999999999999999999"), -ENOENT); /* more than 64 bits */
	ck_assert_int_eq(meant("aaaa0001"), 1);
	ck_assert_int_eq(meant("AAAA0002-"), 2);
	ck_assert_int_eq(meant("aaaa000"), -ENOENT); /* too short */
	ck_assert_int_eq(meant("aaaa0001-0000-0000-0000-000000000001"), 1);
	ck_assert_int_eq(meant("aaaa0001-0000-0000-0000-000000000001x"), -ENOENT);
	ck_assert_int_eq(meant("bbbb0000"), -ENOTUNIQ);
	ck_assert_int_eq(meant("bbbb0000-0000-0000-0000-000000000005"), 5);
}
END_TEST

/* A number is one before it is the beginning of a UUID. */
START_TEST(number_comes_first)
{
	ck_assert_int_eq(meant("12345678"), 3);
	ck_assert_int_eq(meant("00000002"), 2);
	ck_assert_int_eq(meant("00000002-"), 6);
}
END_TEST

START_TEST(replica_is_found)
{
	replica(0xcccc0001, "/backup/one", 2);
	replica(0xcccc0002, "/backup/two", 0);
	replica(0xcccc0003, "/backup/three", 77);
	replica(0xdddd0001, "/", 3);
	replica(0xaaaa0002, "/backup/alike", 5);
	ck_assert_int_eq(meant("/backup/one"), 2);
	ck_assert_int_eq(meant("cccc0001"), 2);
	ck_assert_int_eq(meant("cccc000"), -ENOENT);
	ck_assert_int_eq(meant("/./.."), 3);
	ck_assert_int_eq(meant("cccc0002"), -ENODATA);
	ck_assert_int_eq(meant("cccc0003"), -ENODATA);
	ck_assert_int_eq(meant("aaaa0002"), 2); /* the checkpoint, not the replica */
	replica(0xeeee0001, "/backup/one", 3);
	ck_assert_int_eq(meant("/backup/one"), -ENOTUNIQ);
}
END_TEST

/* What there is instead, the newest first. */
START_TEST(says_what_there_is)
{
	const struct bmf_checkpoint *found;
	struct bmf_error err;

	ck_assert_int_eq(since_find(state, "x", &found, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "'x'"));
	ck_assert_ptr_nonnull(strstr(err.text, "6, 5, 4 (a@b:c), 3, 2, 1 (seed);"));
	checkpoint(0xeeee0000, NULL);
	ck_assert_int_eq(since_find(state, "x", &found, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "7, 6, 5, 4 (a@b:c), 3, 2 and 1 more;"));
	bmf_state_free(state);
	ck_assert_int_eq(bmf_state_new(16, &state), 0);
	ck_assert_int_eq(since_find(state, "x", &found, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "none yet"));
}
END_TEST

START_TEST(names)
{
	static const char *const good[] = { "seed",	    "a",	"1a",	     "2026-11-26",
					    "deadbee",	    "deadbeeg", "-",	     "deadbeef_",
					    "deadbeef-x",   "@1",	"12345678.", "deadbeef0",
					    "UPPER_lower+1" };
	static const char *const bad[] = { "",
					   ".",
					   ".a",
					   "a/b",
					   "a b",
					   "1",
					   "20261126",
					   "deadbeef",
					   "DEADBEEF",
					   "a\n",
					   "12345678-",
					   "deadbeef-1",
					   "deadbeef-1234-",
					   "deadbeef-1234-1234-1234-123456789abc" };
	char longest[BMF_CHECKPOINT_NAME_MAX + 2];
	struct bmf_error err;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ck_assert_msg(since_check_name(good[i], &err) == 0, "'%s'", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(since_check_name(bad[i], &err) == -EINVAL, "'%s'", bad[i]);
	memset(longest, 'n', sizeof(longest));
	longest[BMF_CHECKPOINT_NAME_MAX + 1] = '\0';
	ck_assert_int_eq(since_check_name(longest, &err), -EINVAL);
	longest[BMF_CHECKPOINT_NAME_MAX] = '\0';
	ck_assert_int_eq(since_check_name(longest, &err), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("since");
	TCase *tcase = tcase_create("since");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, is_found);
	tcase_add_test(tcase, number_comes_first);
	tcase_add_test(tcase, replica_is_found);
	tcase_add_test(tcase, says_what_there_is);
	tcase_add_test(tcase, names);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
