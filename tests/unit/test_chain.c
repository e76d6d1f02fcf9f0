/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_chain.c - generations, merged and dropped, against an array of sets
 *
 * The model knows what changed in each generation.  A delta must always contain
 * that, whatever has been trimmed (I1), and nothing more where its ends are boundaries.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/format.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NBLOCKS 100	/* of the model's image */
#define NGENERATIONS 16 /* at most */

struct model {
	uint64_t generation; /* the current one */
	bool changed[NGENERATIONS + 1][NBLOCKS];
	struct bmf_state *state;
	struct bmf_sidecar *sidecar;
};

static struct bmf_uuid uuid_of(uint64_t number)
{
	struct bmf_uuid uuid = { { 1 } };

	memcpy(uuid.b + 8, &number, sizeof(number));
	return uuid;
}

static struct bmf_bits *new_section(struct bmf_sidecar *sidecar, uint64_t first, uint64_t last)
{
	struct bmf_bits *bits = bmf_bits_new();

	ck_assert_ptr_nonnull(bits);
	ck_assert_int_eq(bmf_sidecar_add_section(sidecar, first, last, bits), 0);
	return bits;
}

static void model_begin(struct model *m, uint64_t since)
{
	memset(m, 0, sizeof(*m));
	ck_assert_int_eq(bmf_state_new(16, &m->state), 0);
	m->sidecar = bmf_sidecar_new();
	ck_assert_ptr_nonnull(m->sidecar);
	m->sidecar->since = since;
	m->sidecar->active = since;
	m->sidecar->reason = BMF_REASON_NEW;
	new_section(m->sidecar, since, since);
	m->generation = since;
	m->state->generation = since;
}

static void model_end(struct model *m)
{
	bmf_state_free(m->state);
	bmf_sidecar_free(m->sidecar);
}

static void model_change(struct model *m, struct rng *rng)
{
	struct bmf_section *active = &m->sidecar->sections[m->sidecar->nsections - 1];

	for (uint64_t n = rng_below(rng, 8); n > 0; n--) {
		uint64_t block = rng_below(rng, NBLOCKS);

		m->changed[m->generation][block] = true;
		ck_assert_int_eq(bmf_bits_set(active->bits, block, 1), 0);
	}
}

static void model_checkpoint(struct model *m)
{
	struct bmf_uuid uuid = uuid_of(m->generation + 1);

	ck_assert_int_eq(bmf_state_add_checkpoint(m->state, &uuid, 0, NULL), 0);
	m->generation = m->state->generation;
	new_section(m->sidecar, m->generation, m->generation);
	m->sidecar->active = m->generation;
}

static void model_cursor(struct model *m, uint64_t replica, uint64_t at, uint64_t pending)
{
	struct bmf_uuid uuid = uuid_of(1000 + replica);
	struct bmf_cursor *c;

	ck_assert_int_eq(bmf_state_cursor_get_or_add(m->state, &uuid, &c), 0);
	c->at = at;
	c->pending = pending;
}

static bool is_boundary(const struct bmf_sidecar *sidecar, uint64_t generation)
{
	for (size_t i = 0; i < sidecar->nsections; i++)
		if (sidecar->sections[i].first == generation)
			return true;
	return generation == sidecar->active + 1;
}

/* The sections are those that a sidecar may have. */
static void check_whole(const struct bmf_sidecar *sidecar)
{
	uint64_t expected = sidecar->since;

	ck_assert_uint_gt(sidecar->nsections, 0);
	for (size_t i = 0; i < sidecar->nsections; i++) {
		ck_assert_uint_eq(sidecar->sections[i].first, expected);
		ck_assert_uint_ge(sidecar->sections[i].last, expected);
		expected = sidecar->sections[i].last + 1;
	}
	ck_assert_uint_eq(expected, sidecar->active + 1);
}

static void check_delta(const struct model *m, uint64_t from, uint64_t to)
{
	bool exact = is_boundary(m->sidecar, from) && is_boundary(m->sidecar, to);
	struct bmf_bits *bits = NULL;
	int r = bmf_chain_delta(m->sidecar, from, to, &bits);

	if (from < m->sidecar->since) {
		ck_assert_int_eq(r, -ENOENT);
		ck_assert_ptr_null(bits);
		return;
	}
	ck_assert_int_eq(r, 0);
	for (uint64_t block = 0; block < NBLOCKS; block++) {
		bool truth = false, got = bmf_bits_test(bits, block);

		for (uint64_t g = from; g < to && !truth; g++)
			truth = m->changed[g][block];
		ck_assert_msg(got || !truth, "delta %d-%d misses block %d", (int)from, (int)to,
			      (int)block);
		ck_assert_msg(truth || !got || !exact, "delta %d-%d has block %d", (int)from,
			      (int)to, (int)block);
	}
	bmf_bits_free(bits);
}

static void check_deltas(const struct model *m)
{
	for (uint64_t from = 0; from <= m->generation; from++)
		for (uint64_t to = from; to <= m->generation + 1; to++)
			check_delta(m, from, to);
}

/* What trim would leave, measured before it is done, is what is there afterwards. */
static struct bmf_chain_room measure(const struct model *m)
{
	struct bmf_chain_room room;

	ck_assert_int_eq(bmf_chain_measure(m->sidecar, m->state, &room), 0);
	return room;
}

static uint64_t stored_nbytes(const struct model *m)
{
	struct bmf_sidecar *sidecar = m->sidecar;
	uint64_t empty = BMF_SIDECAR_HEADER + BMF_SIDECAR_PAGE;
	size_t nbytes;
	void *buf;

	sidecar->image = sidecar->source = uuid_of(7);
	sidecar->block_shift = BMF_BLOCK_SHIFT_DEFAULT;
	sidecar->region_shift = BMF_REGION_SHIFT_DEFAULT;
	ck_assert_int_eq(bmf_sidecar_encode(sidecar, &buf, &nbytes), 0);
	free(buf);
	return nbytes - empty;
}

/* What trim promises, beyond the deltas: the checkpoints that are needed keep their boundaries. */
static void model_trim(struct model *m)
{
	uint64_t since = m->sidecar->since, lowest = 0;
	bool was[NGENERATIONS + 2], changed = false;
	size_t nsections = m->sidecar->nsections;
	enum bmf_reason reason = m->sidecar->reason;
	struct bmf_chain_room room;

	for (uint64_t g = 0; g <= m->generation; g++)
		was[g] = is_boundary(m->sidecar, g);
	room = measure(m);
	ck_assert_int_eq(bmf_chain_trim(m->sidecar, m->state, &changed), 0);
	check_whole(m->sidecar);
	ck_assert_uint_eq(room.nsections, m->sidecar->nsections);
	ck_assert_uint_eq(room.nbytes, stored_nbytes(m));
	ck_assert(changed || m->sidecar->nsections == nsections);
	ck_assert_uint_ge(m->sidecar->since, since);
	ck_assert_int_eq(m->sidecar->reason,
			 m->sidecar->since == since ? reason : BMF_REASON_DROPPED);
	for (uint64_t g = m->generation; g > 0; g--) {
		if (!bmf_state_needs(m->state, g))
			continue;
		lowest = g;
		if (was[g])
			ck_assert(is_boundary(m->sidecar, g));
	}
	/* what is needed and was there is there */
	if (lowest && lowest >= since)
		ck_assert_uint_le(m->sidecar->since, lowest);
	/* and nothing else: no boundary that nobody needs, nothing that ends before */
	for (size_t i = 1; i < m->sidecar->nsections; i++)
		ck_assert(bmf_state_needs(m->state, m->sidecar->sections[i].first));
	if (m->sidecar->nsections > 1)
		ck_assert_uint_ge(m->sidecar->sections[0].last, lowest);

	changed = true;
	ck_assert_int_eq(bmf_chain_trim(m->sidecar, m->state, &changed), 0);
	ck_assert(!changed);
}

START_TEST(test_random)
{
	struct rng rng = rng_start("test_random");

	for (int i = 0; i < 150; i++) {
		struct model m;
		uint64_t end = 1 + rng_below(&rng, NGENERATIONS - 1);

		model_begin(&m, rng_below(&rng, end));
		while (m.generation < end) {
			model_change(&m, &rng);
			model_checkpoint(&m);
			if (rng_below(&rng, 3) == 0)
				model_cursor(&m, rng_below(&rng, 3),
					     rng_below(&rng, m.generation + 1),
					     rng_below(&rng, 2) ? m.generation : 0);
			if (rng_below(&rng, 5) == 0)
				m.state->checkpoints[m.state->ncheckpoints - 1].name = strdup("x");
			if (rng_below(&rng, 4) == 0)
				bmf_state_trim(m.state);
			if (rng_below(&rng, 3) == 0) {
				model_trim(&m);
				check_deltas(&m);
			}
		}
		model_change(&m, &rng);
		model_trim(&m);
		check_deltas(&m);
		model_end(&m);
	}
}
END_TEST

/* The same without a checkpoint: nobody has asked yet, so all is kept. */
START_TEST(test_no_checkpoint)
{
	struct rng rng = rng_start("test_no_checkpoint");
	bool changed = true;
	struct model m;

	model_begin(&m, 0);
	model_change(&m, &rng);
	ck_assert_int_eq(bmf_chain_trim(m.sidecar, m.state, &changed), 0);
	ck_assert(!changed);
	ck_assert_uint_eq(m.sidecar->nsections, 1);
	ck_assert_int_eq(m.sidecar->reason, BMF_REASON_NEW);
	check_deltas(&m);
	model_end(&m);
}
END_TEST

/* Sections 3, 4-6, 7, 8; the sidecar was last written in generation 8, the source is at 12. */
static struct bmf_sidecar *resting_sidecar(void)
{
	struct bmf_sidecar *sidecar = bmf_sidecar_new();

	ck_assert_ptr_nonnull(sidecar);
	sidecar->since = 3;
	sidecar->active = 8;
	sidecar->reason = BMF_REASON_DAMAGED;
	ck_assert_int_eq(bmf_bits_set(new_section(sidecar, 3, 3), 30, 1), 0);
	ck_assert_int_eq(bmf_bits_set(new_section(sidecar, 4, 6), 46, 1), 0);
	ck_assert_int_eq(bmf_bits_set(new_section(sidecar, 7, 7), 70, 1), 0);
	ck_assert_int_eq(bmf_bits_set(new_section(sidecar, 8, 8), 80, 1), 0);
	return sidecar;
}

static uint64_t delta_count(const struct bmf_sidecar *sidecar, uint64_t from, uint64_t to)
{
	struct bmf_bits *bits;
	uint64_t n;

	ck_assert_int_eq(bmf_chain_delta(sidecar, from, to, &bits), 0);
	n = bmf_bits_count(bits, 0, UINT64_MAX);
	bmf_bits_free(bits);
	return n;
}

START_TEST(test_delta_edges)
{
	struct bmf_sidecar *sidecar = resting_sidecar();
	struct bmf_bits *bits = NULL;

	ck_assert_int_eq(bmf_chain_delta(sidecar, 2, 9, &bits), -ENOENT);
	ck_assert_int_eq(bmf_chain_delta(sidecar, 0, 0, &bits), -ENOENT);
	ck_assert_ptr_null(bits);
	ck_assert_uint_eq(delta_count(sidecar, 3, 9), 4);
	ck_assert_uint_eq(delta_count(sidecar, 3, 12), 4);
	ck_assert_uint_eq(delta_count(sidecar, 3, 4), 1);
	ck_assert_uint_eq(delta_count(sidecar, 5, 6), 1); /* inside a merged section: all of it */
	ck_assert_uint_eq(delta_count(sidecar, 5, 5), 0);
	ck_assert_uint_eq(delta_count(sidecar, 6, 5), 0);
	ck_assert_uint_eq(delta_count(sidecar, 6, 8), 2);
	ck_assert_uint_eq(delta_count(sidecar, 8, 9), 1);
	ck_assert_uint_eq(delta_count(sidecar, 9, 12), 0); /* nothing changed since 8 */
	bmf_sidecar_free(sidecar);
}
END_TEST

static struct bmf_state *state_at(uint64_t generation)
{
	struct bmf_state *state;

	ck_assert_int_eq(bmf_state_new(16, &state), 0);
	while (state->generation < generation) {
		struct bmf_uuid uuid = uuid_of(state->generation + 1);

		ck_assert_int_eq(bmf_state_add_checkpoint(state, &uuid, 0, NULL), 0);
	}
	return state;
}

/*
 * An image that rested from 5 to 12, and replicas at 3, 8, 10 and 12: what changed before 5 is
 * nothing to the last three.
 */
START_TEST(test_rested)
{
	struct bmf_sidecar *sidecar = bmf_sidecar_new();
	struct bmf_state *state = state_at(12);
	static const uint8_t at[] = { 3, 8, 10 };
	bool changed = false;

	for (uint8_t i = 0; i < 3; i++) {
		struct bmf_uuid replica = uuid_of(90 + i);
		struct bmf_cursor *c;

		ck_assert_int_eq(bmf_state_cursor_get_or_add(state, &replica, &c), 0);
		c->at = at[i];
	}
	sidecar->since = 3;
	sidecar->active = 12;
	ck_assert_int_eq(bmf_bits_set(new_section(sidecar, 3, 4), 30, 1), 0);
	new_section(sidecar, 5, 11);
	ck_assert_int_eq(bmf_bits_set(new_section(sidecar, 12, 12), 80, 1), 0);
	ck_assert_int_eq(bmf_chain_trim(sidecar, state, &changed), 0);
	ck_assert(changed);
	check_whole(sidecar);
	ck_assert_uint_eq(sidecar->nsections, 3);
	ck_assert_uint_eq(delta_count(sidecar, 3, 13), 2);
	ck_assert_uint_eq(delta_count(sidecar, 8, 13), 1);
	ck_assert_uint_eq(delta_count(sidecar, 10, 13), 1);
	ck_assert_uint_eq(delta_count(sidecar, 12, 13), 1);
	bmf_sidecar_free(sidecar);
	bmf_state_free(state);
}
END_TEST

/* The reason speaks of damage for as long as that is why, and no longer. */
START_TEST(test_reason_follows)
{
	struct bmf_sidecar *sidecar = resting_sidecar();
	struct bmf_state *state = state_at(12);
	struct bmf_uuid replica = uuid_of(99);
	struct bmf_cursor *c;

	ck_assert_int_eq(bmf_state_cursor_get_or_add(state, &replica, &c), 0);
	c->at = 2; /* the damage made an end to what this replica needs */
	ck_assert_int_eq(bmf_chain_trim(sidecar, state, NULL), 0);
	ck_assert_uint_eq(sidecar->since, 3);
	ck_assert_int_eq(sidecar->reason, BMF_REASON_DAMAGED);
	ck_assert_uint_eq(sidecar->nsections, 1);
	bmf_sidecar_free(sidecar);

	sidecar = resting_sidecar();
	c->at = 5; /* inside 4-6: that stays whole */
	ck_assert_int_eq(bmf_chain_trim(sidecar, state, NULL), 0);
	ck_assert_uint_eq(sidecar->since, 4);
	ck_assert_int_eq(sidecar->reason, BMF_REASON_DROPPED);
	ck_assert_uint_eq(delta_count(sidecar, 5, 12), 3);
	bmf_sidecar_free(sidecar);

	sidecar = resting_sidecar();
	c->at = 10; /* past all of it: the last one stays, as there must be one */
	ck_assert_int_eq(bmf_chain_trim(sidecar, state, NULL), 0);
	ck_assert_uint_eq(sidecar->nsections, 1);
	ck_assert_uint_eq(sidecar->since, 8);
	ck_assert_uint_eq(delta_count(sidecar, 10, 12), 0);
	bmf_sidecar_free(sidecar);
	bmf_state_free(state);
}
END_TEST

/* A cursor alone makes its checkpoints needed, whichever are in the list. */
START_TEST(test_cursors_alone)
{
	struct bmf_state *state = state_at(12);
	struct bmf_uuid replica = uuid_of(99);
	struct bmf_cursor *c;

	ck_assert_int_eq(bmf_state_cursor_get_or_add(state, &replica, &c), 0);
	state->ncheckpoints = 0;
	for (int pending = 0; pending < 2; pending++) {
		struct bmf_sidecar *sidecar = resting_sidecar();

		c->at = pending ? 0 : 7;
		c->pending = pending ? 7 : 0;
		ck_assert_int_eq(bmf_chain_trim(sidecar, state, NULL), 0);
		ck_assert_uint_eq(sidecar->since, 7);
		ck_assert_uint_eq(delta_count(sidecar, 7, 12), 2);
		bmf_sidecar_free(sidecar);
	}
	bmf_state_free(state);
}
END_TEST

START_TEST(test_empty_sidecar)
{
	struct bmf_sidecar *sidecar = bmf_sidecar_new();
	struct bmf_state *state = state_at(3);
	bool changed = true;

	ck_assert_int_eq(bmf_chain_trim(sidecar, state, &changed), 0);
	ck_assert(!changed);
	bmf_sidecar_free(sidecar);
	bmf_state_free(state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chain");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, test_random);
	tcase_add_test(tests, test_no_checkpoint);
	tcase_add_test(tests, test_delta_edges);
	tcase_add_test(tests, test_rested);
	tcase_add_test(tests, test_reason_follows);
	tcase_add_test(tests, test_cursors_alone);
	tcase_add_test(tests, test_empty_sidecar);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
