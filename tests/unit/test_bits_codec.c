/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_bits_codec.c - the serialised form of a set: known bytes, and bytes that no
 * encoder made
 *
 * There is one encoding for a set, so whatever decode accepts must encode to the
 * same bytes again: that one rule is checked for every damage tried here.
 */
#include "config.h"

#include "bitmapfile/bits.h"
#include "bitmapfile/le.h"
#include "tests/unit/rng.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK BMF_BITS_CHUNK
#define LAST_CHUNK ((UINT64_C(1) << 36) - 1)

/* A sequence of records, put together by hand. */
struct bytes {
	uint8_t data[5 * (16 + 4096)];
	size_t nbytes;
};

static void add_record(struct bytes *b, uint64_t first, uint64_t nfull)
{
	struct le64 head[2] = { le64_make(first), le64_make(nfull) };

	memcpy(b->data + b->nbytes, head, sizeof(head));
	b->nbytes += sizeof(head);
}

static uint8_t *add_chunk(struct bytes *b, uint64_t first, uint8_t fill)
{
	uint8_t *content;

	add_record(b, first, 0);
	content = b->data + b->nbytes;
	memset(content, fill, 4096);
	b->nbytes += 4096;
	return content;
}

/* Decodes an exact copy, so that a read past its end is seen.  NULL: refused. */
static struct bmf_bits *decode(const void *data, size_t nbytes)
{
	struct bmf_bits *bits = NULL;
	void *copy = malloc(nbytes ? nbytes : 1);
	int r;

	memcpy(copy, data, nbytes);
	r = bmf_bits_decode(copy, nbytes, &bits);
	free(copy);
	ck_assert(r == 0 || r == -EBADMSG);
	ck_assert((r == 0) == (bits != NULL));
	return bits;
}

static void check_encodes_to(const struct bmf_bits *bits, const void *data, size_t nbytes)
{
	size_t got_nbytes;
	void *got;

	ck_assert_int_eq(bmf_bits_encode(bits, &got, &got_nbytes), 0);
	ck_assert_ptr_nonnull(got);
	ck_assert_uint_eq(got_nbytes, nbytes);
	ck_assert_int_eq(memcmp(got, data, nbytes), 0);
	free(got);
}

/* Damaged bytes: refused, or the one encoding of something else. */
static bool check_any(const void *data, size_t nbytes)
{
	struct bmf_bits *bits = decode(data, nbytes);

	if (!bits)
		return false;
	check_encodes_to(bits, data, nbytes);
	bmf_bits_free(bits);
	return true;
}

static void accept(const struct bytes *b)
{
	ck_assert(check_any(b->data, b->nbytes));
}

static void refuse(const struct bytes *b)
{
	ck_assert_ptr_null(decode(b->data, b->nbytes));
}

START_TEST(known_bytes)
{
	struct bmf_bits *bits = bmf_bits_new();
	struct bytes b = { .nbytes = 0 };
	uint8_t *content;

	check_encodes_to(bits, "", 0);
	content = add_chunk(&b, 0, 0);
	content[0] = 0x09;    /* bits 0 and 3 */
	content[1] = 0x80;    /* bit 15 */
	content[4095] = 0x80; /* bit 32767 */
	add_record(&b, 1, 2);
	content = add_chunk(&b, 3, 0xff);
	content[2] = 0xfe; /* all but bit 16 */
	add_record(&b, LAST_CHUNK, 1);

	ck_assert_int_eq(bmf_bits_set(bits, 0, 1), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 3, 1), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 15, 1), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 32767, 1), 0);
	ck_assert_int_eq(bmf_bits_set(bits, CHUNK, 2 * CHUNK + 16), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 3 * CHUNK + 17, CHUNK - 17), 0);
	ck_assert_int_eq(bmf_bits_set(bits, BMF_BITS_MAX - CHUNK, CHUNK), 0);
	check_encodes_to(bits, b.data, b.nbytes);
	bmf_bits_free(bits);

	bits = decode(b.data, b.nbytes);
	ck_assert_uint_eq(bmf_bits_count(bits, 0, UINT64_MAX), 4 + 4 * CHUNK - 1);
	ck_assert(bmf_bits_test(bits, 15) && !bmf_bits_test(bits, 3 * CHUNK + 16));
	bmf_bits_free(bits);
}
END_TEST

/* However the bits came to be set, the bytes are the same. */
START_TEST(one_encoding)
{
	struct bmf_bits *bits = bmf_bits_new();
	struct bytes b = { .nbytes = 0 };

	add_record(&b, 511, 3); /* across a node's border */
	for (uint64_t i = 0; i < CHUNK; i++)
		ck_assert_int_eq(bmf_bits_set(bits, 512 * CHUNK + i, 1), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 511 * CHUNK, CHUNK), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 513 * CHUNK, CHUNK / 2), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 513 * CHUNK + CHUNK / 2, CHUNK / 2), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 5, 1), 0); /* and a chunk that is empty again */
	ck_assert_int_eq(bmf_bits_clear(bits, 5, 1), 0);
	check_encodes_to(bits, b.data, b.nbytes);
	ck_assert_int_eq(bmf_bits_set(bits, 0, BMF_BITS_MAX), 0);
	b.nbytes = 0;
	add_record(&b, 0, LAST_CHUNK + 1);
	check_encodes_to(bits, b.data, b.nbytes);
	accept(&b);
	bmf_bits_free(bits);
}
END_TEST

START_TEST(refuses_what_encode_does_not_make)
{
	struct bytes b = { .nbytes = 0 };

	add_chunk(&b, 7, 0x00);
	refuse(&b); /* all clear */
	b.nbytes = 0;
	add_chunk(&b, 7, 0xff);
	refuse(&b); /* all set */
	b.nbytes = 0;
	add_record(&b, 7, 1);
	add_record(&b, 8, 1);
	refuse(&b); /* could be one run */
	b.nbytes = 0;
	add_record(&b, 7, 1);
	add_record(&b, 9, 1);
	accept(&b);
	add_chunk(&b, 10, 1);
	add_record(&b, 11, 5);
	accept(&b);
	add_record(&b, 15, 1);
	refuse(&b); /* overlap */
	b.nbytes = 0;
	add_record(&b, 9, 1);
	add_record(&b, 7, 1);
	refuse(&b); /* descending */
	b.nbytes = 0;
	add_chunk(&b, 7, 1);
	add_chunk(&b, 7, 2);
	refuse(&b); /* twice */
	b.nbytes = 0;
	add_chunk(&b, 7, 1);
	add_record(&b, 6, 3);
	refuse(&b);
}
END_TEST

START_TEST(refuses_what_is_out_of_range)
{
	static const struct {
		uint64_t first, nfull;
		bool ok;
	} heads[] = {
		{ LAST_CHUNK, 1, true },	   { LAST_CHUNK, 2, false },
		{ LAST_CHUNK + 1, 1, false },	   { 0, LAST_CHUNK + 1, true },
		{ 0, LAST_CHUNK + 2, false },	   { 1, LAST_CHUNK + 1, false },
		{ 1, UINT64_MAX, false },	   { UINT64_MAX, 1, false },
		{ UINT64_MAX, UINT64_MAX, false },
	};
	struct bytes b = { .nbytes = 0 };

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		b.nbytes = 0;
		add_record(&b, heads[i].first, heads[i].nfull);
		ck_assert(check_any(b.data, b.nbytes) == heads[i].ok);
	}
	b.nbytes = 0;
	add_chunk(&b, LAST_CHUNK, 1);
	accept(&b);
	b.nbytes = 0;
	add_chunk(&b, LAST_CHUNK + 1, 1);
	refuse(&b);
	b.nbytes = 0;
	add_chunk(&b, UINT64_MAX, 1);
	refuse(&b);
}
END_TEST

/* All kinds of records next to one another. */
static void make_sample(struct bytes *b)
{
	b->nbytes = 0;
	add_record(b, 1, 1);
	add_chunk(b, 2, 0)[100] = 0x40;
	add_record(b, 3, 600);
	add_record(b, 700, 5);
}

START_TEST(every_flipped_bit)
{
	struct bytes b;

	make_sample(&b);
	for (size_t bit = 0; bit < b.nbytes * 8; bit++) {
		b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		check_any(b.data, b.nbytes);
		b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	accept(&b);
}
END_TEST

START_TEST(every_truncation)
{
	struct bytes b;
	unsigned int accepted = 0;

	make_sample(&b);
	for (size_t nbytes = 0; nbytes < b.nbytes; nbytes++)
		accepted += check_any(b.data, nbytes);
	ck_assert_uint_eq(accepted, 4); /* at the border of each record */
	b.nbytes++;
	refuse(&b);
}
END_TEST

START_TEST(random_bytes)
{
	struct rng rng = rng_start("random_bytes");
	struct bytes b;

	for (int i = 0; i < 20000; i++) {
		make_sample(&b);
		for (uint64_t n = rng_below(&rng, 6); n > 0; n--)
			b.data[rng_below(&rng, b.nbytes)] = (uint8_t)rng_next(&rng);
		if (i % 2) /* small numbers in heads get further than random ones */
			b.data[8 * rng_below(&rng, b.nbytes / 8)] = (uint8_t)rng_below(&rng, 4);
		check_any(b.data, rng_below(&rng, 3) ? b.nbytes : rng_below(&rng, b.nbytes));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bits_codec");
	TCase *tc = tcase_create("bits_codec");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, known_bytes);
	tcase_add_test(tc, one_encoding);
	tcase_add_test(tc, refuses_what_encode_does_not_make);
	tcase_add_test(tc, refuses_what_is_out_of_range);
	tcase_add_test(tc, every_flipped_bit);
	tcase_add_test(tc, every_truncation);
	tcase_add_test(tc, random_bytes);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
