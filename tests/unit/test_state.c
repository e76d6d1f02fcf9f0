/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_state.c - a source's state: its rules, its golden file, and damage */
#include "config.h"

#include "bitmapfile/doc.h"
#include "bitmapfile/sidecar.h"
#include "bitmapfile/state.h"
#include "tests/unit/golden.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct bmf_uuid uuid_of(uint8_t byte)
{
	struct bmf_uuid uuid;

	memset(uuid.b, byte, sizeof(uuid.b));
	return uuid;
}

static struct bmf_state *new_state(void)
{
	struct bmf_state *state = NULL;

	ck_assert_int_eq(bmf_state_new(BMF_BLOCK_SHIFT_DEFAULT, &state), 0);
	return state;
}

/* Adds checkpoint number generation + 1, whose UUID is made of that number. */
static void checkpoint(struct bmf_state *state)
{
	uint64_t number = state->generation + 1;
	struct bmf_uuid uuid = uuid_of(number & 0xff ? (uint8_t)number : 1);
	struct bmf_checkpoint got = { .name = (char *)1 };

	ck_assert_int_eq(bmf_state_add_checkpoint(state, &uuid, (int64_t)number * 1000, &got), 0);
	ck_assert_uint_eq(got.number, number);
	ck_assert(bmf_uuid_equal(&got.uuid, &uuid));
	ck_assert_int_eq(got.time_ns, (int64_t)number * 1000);
	ck_assert_ptr_null(got.name);
	ck_assert_uint_eq(state->generation, number);
}

static void cursor(struct bmf_state *state, uint8_t replica, uint64_t at, uint64_t pending)
{
	struct bmf_uuid uuid = uuid_of(replica);
	struct bmf_cursor *c = NULL;

	ck_assert_int_eq(bmf_state_cursor_get_or_add(state, &uuid, &c), 0);
	c->at = at;
	c->pending = pending;
}

static void name_checkpoint(struct bmf_state *state, uint64_t number, const char *name)
{
	for (size_t i = 0; i < state->ncheckpoints; i++)
		if (state->checkpoints[i].number == number)
			state->checkpoints[i].name = strdup(name);
}

static void check_equal(const struct bmf_state *a, const struct bmf_state *b)
{
	ck_assert(bmf_uuid_equal(&a->source, &b->source));
	ck_assert_uint_eq(a->generation, b->generation);
	ck_assert_uint_eq(a->block_shift, b->block_shift);
	ck_assert_uint_eq(a->ncheckpoints, b->ncheckpoints);
	for (size_t i = 0; i < a->ncheckpoints; i++) {
		const struct bmf_checkpoint *c = &a->checkpoints[i], *d = &b->checkpoints[i];

		ck_assert_uint_eq(c->number, d->number);
		ck_assert(bmf_uuid_equal(&c->uuid, &d->uuid));
		ck_assert_int_eq(c->time_ns, d->time_ns);
		ck_assert_pstr_eq(c->name, d->name);
		ck_assert(!c->name || c->name != d->name);
	}
	ck_assert_uint_eq(a->ncursors, b->ncursors);
	for (size_t i = 0; i < a->ncursors; i++) {
		const struct bmf_cursor *c = &a->cursors[i], *d = &b->cursors[i];

		ck_assert(bmf_uuid_equal(&c->replica, &d->replica));
		ck_assert_uint_eq(c->at, d->at);
		ck_assert_uint_eq(c->pending, d->pending);
		ck_assert_int_eq(c->time_ns, d->time_ns);
		ck_assert_str_eq(c->label, d->label);
		ck_assert_ptr_ne(c->label, d->label);
	}
}

START_TEST(test_new)
{
	struct bmf_state *state = new_state(), *other = new_state(), *bad = NULL;

	ck_assert(!bmf_uuid_is_none(&state->source));
	ck_assert(!bmf_uuid_equal(&state->source, &other->source));
	ck_assert_uint_eq(state->generation, 0);
	ck_assert_uint_eq(state->ncheckpoints, 0);
	ck_assert_uint_eq(state->ncursors, 0);
	ck_assert_int_eq(bmf_state_new(BMF_BLOCK_SHIFT_MIN - 1, &bad), -EINVAL);
	ck_assert_int_eq(bmf_state_new(BMF_BLOCK_SHIFT_MAX + 1, &bad), -EINVAL);
	ck_assert_ptr_null(bad);
	bmf_state_free(state);
	bmf_state_free(other);
	bmf_state_free(NULL);
}
END_TEST

START_TEST(test_checkpoints)
{
	struct bmf_state *state = new_state();
	struct bmf_uuid none = { { 0 } };

	ck_assert_ptr_null(bmf_state_checkpoint(state, 0));
	for (int i = 0; i < 20; i++)
		checkpoint(state);
	ck_assert_uint_eq(state->ncheckpoints, 20);
	ck_assert_uint_eq(bmf_state_checkpoint(state, 7)->number, 7);
	ck_assert_ptr_null(bmf_state_checkpoint(state, 21));
	ck_assert_ptr_null(bmf_state_checkpoint(state, 0));
	ck_assert_int_eq(bmf_state_add_checkpoint(state, &none, 0, NULL), -EINVAL);
	state->generation = UINT64_MAX - 1;
	ck_assert_int_eq(bmf_state_add_checkpoint(state, &state->source, 0, NULL), -EOVERFLOW);
	ck_assert_uint_eq(state->ncheckpoints, 20);
	bmf_state_free(state);
}
END_TEST

START_TEST(test_cursors)
{
	static const uint8_t order[] = { 5, 1, 9, 3, 255, 128, 7 };
	struct bmf_state *state = new_state();
	struct bmf_uuid uuid, none = { { 0 } };
	struct bmf_cursor *c = NULL;

	for (size_t i = 0; i < sizeof(order); i++)
		cursor(state, order[i], 0, 0);
	cursor(state, 9, 0, 0);
	ck_assert_uint_eq(state->ncursors, sizeof(order));
	for (size_t i = 0; i < sizeof(order); i++) {
		uuid = uuid_of(order[i]);
		ck_assert_ptr_nonnull(bmf_state_cursor(state, &uuid));
		ck_assert_str_eq(bmf_state_cursor(state, &uuid)->label, "");
		if (i > 0)
			ck_assert_int_lt(state->cursors[i - 1].replica.b[0],
					 state->cursors[i].replica.b[0]);
	}
	uuid = uuid_of(2);
	ck_assert_ptr_null(bmf_state_cursor(state, &uuid));
	ck_assert_int_eq(bmf_state_cursor_get_or_add(state, &none, &c), -EINVAL);
	ck_assert_ptr_null(c);
	bmf_state_free(state);
}
END_TEST

/* Each in turn, from a fresh copy: the others stay what they were, and in order. */
START_TEST(test_forget)
{
	struct bmf_state *whole = new_state(), *state;
	struct bmf_uuid uuid;

	for (int i = 0; i < 10; i++)
		checkpoint(whole);
	for (uint8_t i = 1; i <= 4; i++)
		cursor(whole, i, i, i + 1);
	for (uint8_t gone = 1; gone <= 4; gone++) {
		ck_assert_int_eq(bmf_state_copy(whole, &state), 0);
		uuid = uuid_of(gone);
		ck_assert_int_eq(bmf_state_forget(state, &uuid), 0);
		ck_assert_int_eq(bmf_state_forget(state, &uuid), -ENOENT);
		ck_assert_uint_eq(state->ncursors, 3);
		for (uint8_t i = 1; i <= 4; i++) {
			struct bmf_cursor *c;

			uuid = uuid_of(i);
			c = bmf_state_cursor(state, &uuid);
			ck_assert_int_eq(c != NULL, i != gone);
			ck_assert(!c || (c->at == i && c->pending == i + 1u));
		}
		cursor(state, gone, 0, 0);
		ck_assert_uint_eq(state->ncursors, 4);
		bmf_state_free(state);
	}
	bmf_state_free(whole);
}
END_TEST

/* One name a checkpoint, one checkpoint a name; and only the one that is meant. */
START_TEST(test_name)
{
	struct bmf_state *state = new_state();
	struct bmf_checkpoint one = { .number = 1, .uuid = uuid_of(1) };
	struct bmf_checkpoint two = { .number = 2, .uuid = uuid_of(2) };
	struct bmf_checkpoint other = { .number = 2, .uuid = uuid_of(9) };

	for (int i = 0; i < 3; i++)
		checkpoint(state);
	ck_assert_int_eq(bmf_state_name(state, &one, NULL), -ENOENT);
	ck_assert_int_eq(bmf_state_name(state, &one, "seed"), 0);
	ck_assert_int_eq(bmf_state_name(state, &one, "again"), -EEXIST);
	ck_assert_int_eq(bmf_state_name(state, &two, "seed"), -EEXIST);
	ck_assert_int_eq(bmf_state_name(state, &two, "2"), -EINVAL);
	ck_assert_int_eq(bmf_state_name(state, &other, "other"), -ENOENT);
	ck_assert_str_eq(state->checkpoints[0].name, "seed");
	ck_assert_ptr_null(state->checkpoints[1].name);
	bmf_state_trim(state);
	ck_assert_int_eq(bmf_state_name(state, &two, "late"), -ENOENT); /* it is gone */
	ck_assert_uint_eq(state->ncheckpoints, 2);
	ck_assert_int_eq(bmf_state_name(state, &one, NULL), 0);
	bmf_state_trim(state);
	ck_assert_uint_eq(state->ncheckpoints, 1);
	bmf_state_free(state);
}
END_TEST

START_TEST(test_needs)
{
	struct bmf_state *state = new_state();

	ck_assert(!bmf_state_needs(state, 0)); /* the newest, but no checkpoint */
	for (int i = 0; i < 10; i++)
		checkpoint(state);
	cursor(state, 1, 0, 0); /* a replica that has nothing yet needs nothing */
	cursor(state, 2, 4, 0);
	cursor(state, 3, 6, 8);
	name_checkpoint(state, 2, "kept");
	for (uint64_t number = 0; number <= 12; number++) {
		bool needed =
			number == 2 || number == 4 || number == 6 || number == 8 || number == 10;

		ck_assert_int_eq(bmf_state_needs(state, number), needed);
	}
	bmf_state_trim(state);
	ck_assert_uint_eq(state->ncheckpoints, 5);
	ck_assert_str_eq(state->checkpoints[0].name, "kept");
	ck_assert_uint_eq(state->checkpoints[4].number, 10);
	bmf_state_trim(state);
	ck_assert_uint_eq(state->ncheckpoints, 5);
	bmf_state_free(state);
}
END_TEST

static struct bmf_state *sample(void)
{
	struct bmf_state *state = new_state();

	state->source = (struct bmf_uuid){ { 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8,
					     0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf } };
	for (int i = 0; i < 9; i++)
		checkpoint(state);
	name_checkpoint(state, 3, "before upgrade");
	cursor(state, 0x77, 5, 0);
	state->cursors[0].time_ns = INT64_C(1700000000123456789);
	free(state->cursors[0].label);
	state->cursors[0].label = strdup("/backup/images");
	cursor(state, 0x22, 5, 9);
	state->cursors[0].time_ns = -1;
	bmf_state_trim(state);
	return state;
}

START_TEST(test_golden)
{
	struct bmf_state *state = sample(), *decoded = NULL;
	struct bmf_error err = { 0 };
	uint8_t *golden;
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(bmf_state_encode(state, &buf, &nbytes), 0);
	golden_check("state-v1.hex", buf, nbytes);
	golden = golden_read("state-v1.hex", &nbytes);
	ck_assert_msg(bmf_state_decode(golden, nbytes, &decoded, &err) == 0, "%s", err.text);
	check_equal(state, decoded);
	free(golden);
	free(buf);
	bmf_state_free(decoded);
	bmf_state_free(state);
}
END_TEST

START_TEST(test_random_round_trip)
{
	struct rng rng = rng_start("test_random_round_trip");

	for (int i = 0; i < 300; i++) {
		struct bmf_state *state = new_state(), *copy = NULL, *decoded = NULL;
		size_t nbytes;
		void *buf;

		state->block_shift = BMF_BLOCK_SHIFT_MIN + (unsigned int)rng_below(&rng, 10);
		state->generation = rng_below(&rng, 2) ? 0 : rng_next(&rng) >> 12;
		for (uint64_t n = rng_below(&rng, 9); n > 0; n--) {
			checkpoint(state);
			if (rng_below(&rng, 3) == 0)
				name_checkpoint(state, state->generation, "n\xc3\xa4me \1");
			if (rng_below(&rng, 3) == 0)
				cursor(state, 1 + (uint8_t)rng_below(&rng, 255), state->generation,
				       rng_below(&rng, state->generation));
			if (rng_below(&rng, 4) == 0)
				bmf_state_trim(state);
		}
		ck_assert_int_eq(bmf_state_copy(state, &copy), 0);
		check_equal(state, copy);
		bmf_state_free(state);
		ck_assert_int_eq(bmf_state_encode(copy, &buf, &nbytes), 0);
		ck_assert_int_eq(bmf_state_decode(buf, nbytes, &decoded, NULL), 0);
		check_equal(copy, decoded);
		free(buf);
		bmf_state_free(copy);
		bmf_state_free(decoded);
	}
}
END_TEST

static void check_not_encoded(const struct bmf_state *state, int expected)
{
	size_t nbytes = 4711;
	void *buf = NULL;

	ck_assert_int_eq(bmf_state_encode(state, &buf, &nbytes), expected);
	ck_assert_ptr_null(buf);
	ck_assert_uint_eq(nbytes, 4711);
}

START_TEST(test_encode_refuses)
{
	struct bmf_state *state = sample(), saved = *state;
	struct bmf_checkpoint first = state->checkpoints[0];
	struct bmf_cursor cursor0 = state->cursors[0];
	char *longer = malloc(BMF_DOC_STRING_MAX + 2);

#define REFUSED(change)                            \
	do {                                       \
		change;                            \
		check_not_encoded(state, -EINVAL); \
		*state = saved;                    \
		state->checkpoints[0] = first;     \
		state->cursors[0] = cursor0;       \
	} while (0)
	REFUSED(state->block_shift = 11);
	REFUSED(state->block_shift = 22);
	REFUSED(state->source = uuid_of(0));
	REFUSED(state->generation = 8);
	REFUSED(state->generation = UINT64_MAX);
	REFUSED(state->checkpoints[0].number = 5);
	REFUSED(state->checkpoints[0].number = 0);
	REFUSED(state->checkpoints[0].uuid = uuid_of(0));
	REFUSED(state->cursors[0].at = 10);
	REFUSED(state->cursors[0].pending = 10);
	REFUSED(state->cursors[0].replica = uuid_of(0));
	REFUSED(state->cursors[0].replica = uuid_of(0x77));
	REFUSED(state->cursors[0].replica = uuid_of(0x78));
#undef REFUSED
	memset(longer, 'x', BMF_DOC_STRING_MAX + 1);
	longer[BMF_DOC_STRING_MAX + 1] = '\0';
	state->cursors[0].label = longer;
	check_not_encoded(state, -EMSGSIZE);
	state->cursors[0] = cursor0;
	free(longer);
	bmf_state_free(state);
}
END_TEST

/* A body of the test's own in an envelope that is right. */
struct body {
	struct bmf_uuid source, checkpoint_uuid, replica;
	uint64_t generation, numbers[2], at, pending;
	uint32_t version, incompat, block_shift, ncheckpoints, ncursors;
	uint8_t more;
};

static const struct body good_body = {
	.source = { { 1 } },
	.checkpoint_uuid = { { 2 } },
	.replica = { { 3 } },
	.generation = 6,
	.numbers = { 4, 6 },
	.at = 4,
	.pending = 6,
	.version = 1,
	.block_shift = 16,
	.ncheckpoints = 2,
	.ncursors = 1,
};

static void check_body(const struct body *body, int expected)
{
	struct bmf_state *state = NULL;
	struct bmf_error err = { 0 };
	struct bmf_doc_writer w;
	size_t nbytes;
	void *buf;

	bmf_doc_begin(&w, "MFSSTATE", body->version, body->incompat);
	bmf_doc_put_uuid(&w, &body->source);
	bmf_doc_put_u64(&w, body->generation);
	bmf_doc_put_u32(&w, body->block_shift);
	bmf_doc_put_u32(&w, body->ncheckpoints);
	for (int i = 0; i < 2; i++) {
		bmf_doc_put_u64(&w, body->numbers[i]);
		bmf_doc_put_uuid(&w, &body->checkpoint_uuid);
		bmf_doc_put_u64(&w, 0);
		bmf_doc_put_string(&w, "");
	}
	bmf_doc_put_u32(&w, body->ncursors);
	bmf_doc_put_uuid(&w, &body->replica);
	bmf_doc_put_u64(&w, body->at);
	bmf_doc_put_u64(&w, body->pending);
	bmf_doc_put_u64(&w, 0);
	bmf_doc_put_string(&w, "label");
	if (body->more)
		bmf_doc_put_u8(&w, 0);
	ck_assert_int_eq(bmf_doc_finish(&w, &buf, &nbytes), 0);
	ck_assert_int_eq(bmf_state_decode(buf, nbytes, &state, &err), expected);
	if (expected < 0) {
		ck_assert_ptr_null(state);
		ck_assert_int_eq(err.code, expected);
		ck_assert_ptr_nonnull(strstr(err.text, "read 'state': "));
	}
	free(buf);
	bmf_state_free(state);
}

START_TEST(test_decode_refuses)
{
	struct body body = good_body;

	check_body(&body, 0);
#define REFUSED(error, change)            \
	do {                              \
		change;                   \
		check_body(&body, error); \
		body = good_body;         \
	} while (0)
	REFUSED(-EPROTONOSUPPORT, body.version = 2);
	REFUSED(-EPROTONOSUPPORT, body.incompat = 4);
	REFUSED(-EBADMSG, body.source = uuid_of(0));
	REFUSED(-EBADMSG, body.checkpoint_uuid = uuid_of(0));
	REFUSED(-EBADMSG, body.replica = uuid_of(0));
	REFUSED(-EBADMSG, body.generation = 5);
	REFUSED(-EBADMSG, body.generation = UINT64_MAX);
	REFUSED(-EBADMSG, body.numbers[0] = 6);
	REFUSED(-EBADMSG, body.numbers[0] = 0);
	REFUSED(-EBADMSG, body.numbers[1] = 3);
	REFUSED(-EBADMSG, body.at = 7);
	REFUSED(-EBADMSG, body.pending = 7);
	REFUSED(-EBADMSG, body.block_shift = 11);
	REFUSED(-EBADMSG, body.block_shift = 22);
	REFUSED(-EBADMSG, body.ncheckpoints = 1);
	REFUSED(-EBADMSG, body.ncheckpoints = 3);
	REFUSED(-EBADMSG, body.ncheckpoints = UINT32_MAX);
	REFUSED(-EBADMSG, body.ncursors = 0);
	REFUSED(-EBADMSG, body.ncursors = 2);
	REFUSED(-EBADMSG, body.ncursors = UINT32_MAX);
	REFUSED(-EBADMSG, body.more = 1);
#undef REFUSED
}
END_TEST

START_TEST(test_damage)
{
	struct bmf_state *state = sample(), *decoded = NULL;
	size_t nbytes;
	void *buf;
	uint8_t *copy;

	ck_assert_int_eq(bmf_state_encode(state, &buf, &nbytes), 0);
	for (size_t offset = 0; offset < nbytes; offset++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			((uint8_t *)buf)[offset] ^= (uint8_t)(1u << bit);
			ck_assert_int_eq(bmf_state_decode(buf, nbytes, &decoded, NULL), -EBADMSG);
			((uint8_t *)buf)[offset] ^= (uint8_t)(1u << bit);
		}
	for (size_t shorter = 0; shorter < nbytes; shorter++) {
		copy = malloc(shorter ? shorter : 1);
		memcpy(copy, buf, shorter);
		ck_assert_int_eq(bmf_state_decode(copy, shorter, &decoded, NULL), -EBADMSG);
		free(copy);
	}
	copy = calloc(1, nbytes + 1);
	memcpy(copy, buf, nbytes);
	ck_assert_int_eq(bmf_state_decode(copy, nbytes + 1, &decoded, NULL), -EBADMSG);
	free(copy);
	ck_assert_ptr_null(decoded);
	free(buf);
	bmf_state_free(state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, test_new);
	tcase_add_test(tests, test_checkpoints);
	tcase_add_test(tests, test_cursors);
	tcase_add_test(tests, test_forget);
	tcase_add_test(tests, test_name);
	tcase_add_test(tests, test_needs);
	tcase_add_test(tests, test_golden);
	tcase_add_test(tests, test_random_round_trip);
	tcase_add_test(tests, test_encode_refuses);
	tcase_add_test(tests, test_decode_refuses);
	tcase_add_test(tests, test_damage);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
