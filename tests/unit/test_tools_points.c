/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_points.c - who needs which checkpoint, and what is kept for a name alone */
#include "config.h"

#include "bitmapfile/chain.h"
#include "tests/unit/suite.h"
#include "tools/points.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct bmf_state *state;

static struct bmf_uuid uuid_of(uint64_t n)
{
	return (struct bmf_uuid){ { (uint8_t)n, 1 } };
}

/* Checkpoints up to 20, of which these have names. */
static void setup(void)
{
	static const uint64_t named[] = { 3, 5, 9, 20 };

	ck_assert_int_eq(bmf_state_new(16, &state), 0);
	while (state->generation < 20) {
		struct bmf_uuid uuid = uuid_of(state->generation + 1);

		ck_assert_int_eq(bmf_state_add_checkpoint(state, &uuid, 0, NULL), 0);
	}
	for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++) {
		struct bmf_checkpoint checkpoint = { .number = named[i],
						     .uuid = uuid_of(named[i]) };
		char name[] = { 'n', (char)('a' + named[i]), '\0' };

		ck_assert_int_eq(bmf_state_name(state, &checkpoint, name), 0);
	}
}

static void teardown(void)
{
	bmf_state_free(state);
}

static void replica(uint8_t first, uint64_t at, uint64_t pending)
{
	struct bmf_uuid uuid = { { first } };
	struct bmf_cursor *c;

	ck_assert_int_eq(bmf_state_cursor_get_or_add(state, &uuid, &c), 0);
	c->at = at;
	c->pending = pending;
}

/* A name holds what no replica needs; the newest nobody holds. */
START_TEST(held_by_names)
{
	static const struct {
		uint64_t number, replicas, held;
	} wanted[] = { { 3, 0, 1 }, { 5, 2, 0 }, { 7, 1, 0 }, { 9, 0, 1 }, { 20, 1, 0 } };
	struct points points;

	replica(1, 5, 0);
	replica(2, 5, 20);
	replica(3, 7, 0);
	bmf_state_trim(state);
	ck_assert_int_eq(points_begin(state, &points), 0);
	ck_assert_uint_eq(points.n, 5);
	ck_assert(points.any_held);
	for (size_t i = 0; i < points.n; i++) {
		const struct points_item *item = &points.items[i];

		ck_assert_uint_eq(item->checkpoint->number, wanted[i].number);
		ck_assert_uint_eq(item->replicas, wanted[i].replicas);
		ck_assert_uint_eq(item->held_generations, wanted[i].held);
		ck_assert_int_eq(item->without != NULL, wanted[i].held > 0);
	}
	points_destroy(&points);
}
END_TEST

/* Measured is the difference that taking the name away makes. */
START_TEST(measures_what_would_go)
{
	struct bmf_sidecar *sidecar = bmf_sidecar_new();
	struct bmf_checkpoint nine = { .number = 9, .uuid = uuid_of(9) };
	struct bmf_chain_room before, after;
	struct points points;
	uint64_t held;

	bmf_state_trim(state);
	sidecar->since = 1;
	sidecar->active = 20;
	for (uint64_t g = 1; g <= 20; g++) {
		struct bmf_bits *bits = bmf_bits_new();

		for (uint64_t i = 0; i < 300; i++)
			ck_assert_int_eq(bmf_bits_set(bits, g * 1000 + i * i % 977, 1), 0);
		ck_assert_int_eq(bmf_sidecar_add_section(sidecar, g, g, bits), 0);
	}
	ck_assert_int_eq(points_begin(state, &points), 0);
	ck_assert_int_eq(points_measure(&points, sidecar), 0);
	ck_assert_int_eq(bmf_chain_measure(sidecar, state, &before), 0);
	ck_assert_uint_eq(points.items[2].checkpoint->number, 9);
	held = points.items[2].held_nbytes;
	ck_assert_uint_eq(points.items[3].held_nbytes, 0);
	ck_assert_int_eq(bmf_state_name(state, &nine, NULL), 0);
	ck_assert_int_eq(bmf_chain_measure(sidecar, state, &after), 0);
	ck_assert_uint_eq(held, before.nbytes - after.nbytes);
	ck_assert_uint_gt(held, 0);
	points_destroy(&points);
	bmf_sidecar_free(sidecar);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("points");
	TCase *tcase = tcase_create("points");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, held_by_names);
	tcase_add_test(tcase, measures_what_would_go);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
