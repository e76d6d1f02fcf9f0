/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_replicas.c - which replica is meant, what it holds, whether it stays away */
#include "config.h"

#include "bitmapfile/chain.h"
#include "tests/unit/suite.h"
#include "tools/replicas.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DAY (INT64_C(86400) * 1000000000)

static struct bmf_state *state;

static struct bmf_uuid uuid_of(uint8_t first, uint8_t last)
{
	struct bmf_uuid uuid = { { first } };

	uuid.b[15] = last;
	return uuid;
}

/* Checkpoint N was made on day N. */
static void setup(void)
{
	ck_assert_int_eq(bmf_state_new(16, &state), 0);
	while (state->generation < 20) {
		struct bmf_uuid uuid = uuid_of(0xcc, (uint8_t)(state->generation + 1));

		ck_assert_int_eq(bmf_state_add_checkpoint(state, &uuid,
							  (int64_t)(state->generation + 1) * DAY,
							  NULL),
				 0);
	}
}

static void teardown(void)
{
	bmf_state_free(state);
}

/* A replica whose UUID begins with first, and ends with last. */
static void add(uint8_t first, uint8_t last, const char *label, uint64_t at, uint64_t pending)
{
	struct bmf_uuid uuid = uuid_of(first, last);
	struct bmf_cursor *c;

	ck_assert_int_eq(bmf_state_cursor_get_or_add(state, &uuid, &c), 0);
	free(c->label);
	c->label = strdup(label);
	c->at = at;
	c->pending = pending;
	c->time_ns = (int64_t)at * DAY;
}

/* Which one a word means: the last byte of its UUID, or an error. */
static int meant(const char *word)
{
	struct bmf_error err = { 0 };
	struct bmf_uuid found;
	int r = replicas_find(state, word, &found, &err);

	ck_assert_int_eq(err.code, r);
	return r < 0 ? r : found.b[15];
}

START_TEST(is_found)
{
	add(0xab, 1, "/backup/one", 1, 0);
	add(0xab, 2, "/backup/two", 2, 0);
	add(0xcd, 3, "/", 3, 0);
	add(0xef, 4, "", 4, 0);
	ck_assert_int_eq(meant("ab000000-0000-0000-0000-000000000001"), 1);
	ck_assert_int_eq(meant("AB000000-0000-0000-0000-000000000002"), 2);
	ck_assert_int_eq(meant("ab000000-0000-0000-0000-00000000000"), -ENOTUNIQ);
	ck_assert_int_eq(meant("ab000000"), -ENOTUNIQ);
	ck_assert_int_eq(meant("cd000000"), 3);
	ck_assert_int_eq(meant("cd00000"), -ENOENT);
	ck_assert_int_eq(meant("cd000001"), -ENOENT);
	ck_assert_int_eq(meant("cd000000-0000-0000-0000-0000000000030"), -ENOENT);
	ck_assert_int_eq(meant("/backup/two"), 2);
	ck_assert_int_eq(meant("/backup"), -ENOENT);
	ck_assert_int_eq(meant("/./.."), 3); /* any path that leads there */
	ck_assert_int_eq(meant(""), -ENOENT);
	add(0x77, 5, "/backup/two", 5, 0);
	ck_assert_int_eq(meant("/backup/two"), -ENOTUNIQ);
}
END_TEST

static const struct replicas_item *item_of(const struct replicas *replicas, uint8_t last)
{
	for (size_t i = 0; i < replicas->n; i++)
		if (replicas->items[i].cursor->replica.b[15] == last)
			return &replicas->items[i];
	ck_abort_msg("no replica %d", last);
}

/* Held is what nobody else needs: the newest is kept anyway, and 3 is shared. */
START_TEST(holds_what_it_alone_needs)
{
	static const struct {
		uint64_t generations;
		bool oldest;
		int64_t at_day, seen_day;
	} wanted[] = {
		{ 0, false, 3, 3 },   { 0, false, 3, 3 }, { 2, false, 5, 8 },
		{ 0, false, 20, 20 }, { 0, false, 0, 0 }, { 1, false, 0, 9 },
	};
	struct replicas replicas;

	add(1, 0, "", 3, 0);
	add(2, 1, "", 3, 0);
	add(3, 2, "", 5, 8);
	add(4, 3, "", 20, 0);
	add(5, 4, "", 0, 0);
	add(6, 5, "", 0, 9);
	bmf_state_trim(state);
	ck_assert_int_eq(replicas_begin(state, &replicas), 0);
	ck_assert(replicas.any_held);
	for (uint8_t i = 0; i < 6; i++) {
		const struct replicas_item *item = item_of(&replicas, i);

		ck_assert_uint_eq(item->held_generations, wanted[i].generations);
		ck_assert_int_eq(item->oldest, wanted[i].oldest);
		ck_assert_int_eq(item->at_ns, wanted[i].at_day * DAY);
		ck_assert_int_eq(item->seen_ns, wanted[i].seen_day * DAY);
		ck_assert_uint_eq(replicas_days_away(item, 1000 * DAY), 0);
	}
	replicas_destroy(&replicas);
}
END_TEST

/* The one at 3 alone holds the oldest. */
START_TEST(stays_away)
{
	const struct replicas_item *item;
	struct replicas replicas;

	add(1, 0, "", 3, 0);
	add(2, 1, "", 5, 0);
	bmf_state_trim(state);
	ck_assert_int_eq(replicas_begin(state, &replicas), 0);
	ck_assert_uint_eq(replicas_days_away(item_of(&replicas, 1), 1000 * DAY), 0);
	item = item_of(&replicas, 0);
	ck_assert(item->oldest);
	ck_assert_uint_eq(replicas_days_away(item, 2 * DAY), 0); /* a clock that was set back */
	ck_assert_uint_eq(replicas_days_away(item, 10 * DAY), 0);
	ck_assert_uint_eq(replicas_days_away(item, 10 * DAY + 1), 7);
	ck_assert_uint_eq(replicas_days_away(item, 30 * DAY), 27);
	replicas_destroy(&replicas);
}
END_TEST

/* As old as its checkpoint is, not as the sync that has brought it there. */
START_TEST(lags)
{
	struct replicas replicas;

	add(1, 0, "", 3, 0);
	add(2, 1, "", 0, 9);
	state->cursors[0].time_ns = 7 * DAY;
	ck_assert_int_eq(replicas_begin(state, &replicas), 0);
	ck_assert_int_eq(replicas_lag(item_of(&replicas, 0), 3 * DAY), 0);
	ck_assert_int_eq(replicas_lag(item_of(&replicas, 0), 3 * DAY + 1999999999), 1);
	ck_assert_int_eq(replicas_lag(item_of(&replicas, 0), 8 * DAY), INT64_C(5) * 86400);
	ck_assert_int_eq(replicas_lag(item_of(&replicas, 0), DAY),
			 0); /* a clock that was set back */
	ck_assert_int_eq(replicas_lag(item_of(&replicas, 1), 10 * DAY), -1);
	replicas_destroy(&replicas);
}
END_TEST

/* Measured is the difference that forgetting it makes. */
START_TEST(measures_what_would_go)
{
	struct bmf_sidecar *sidecar = bmf_sidecar_new();
	struct bmf_chain_room before, after;
	struct replicas replicas;
	struct bmf_uuid gone = uuid_of(1, 0);
	uint64_t held;

	add(1, 0, "", 3, 0);
	add(2, 1, "", 9, 0);
	bmf_state_trim(state);
	sidecar->since = 1;
	sidecar->active = 20;
	for (uint64_t g = 1; g <= 20; g++) {
		struct bmf_bits *bits = bmf_bits_new();

		for (uint64_t i = 0; i < 300; i++)
			ck_assert_int_eq(bmf_bits_set(bits, g * 1000 + i * i % 977, 1), 0);
		ck_assert_int_eq(bmf_sidecar_add_section(sidecar, g, g, bits), 0);
	}
	ck_assert_int_eq(replicas_begin(state, &replicas), 0);
	ck_assert_int_eq(replicas_measure(&replicas, sidecar), 0);
	ck_assert_int_eq(bmf_chain_measure(sidecar, state, &before), 0);
	ck_assert_uint_eq(before.nsections, 3); /* 3-8, 9-19, 20 */
	ck_assert_uint_gt(item_of(&replicas, 1)->held_nbytes, 0);
	held = item_of(&replicas, 0)->held_nbytes;
	ck_assert_int_eq(bmf_state_forget(state, &gone), 0);
	ck_assert_int_eq(bmf_chain_measure(sidecar, state, &after), 0);
	ck_assert_uint_eq(after.nsections, 2);
	ck_assert_uint_eq(held, before.nbytes - after.nbytes);
	ck_assert_uint_gt(held, 64);
	replicas_destroy(&replicas);
	bmf_sidecar_free(sidecar);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replicas");
	TCase *tcase = tcase_create("replicas");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, is_found);
	tcase_add_test(tcase, holds_what_it_alone_needs);
	tcase_add_test(tcase, stays_away);
	tcase_add_test(tcase, lags);
	tcase_add_test(tcase, measures_what_would_go);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
