/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_doc.c - doc.h: documents come back as written, and damaged ones not at all */
#include "config.h"

#include "bitmapfile/doc.h"
#include "bitmapfile/le.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MAGIC "TESTDOC"
#define HEADER 64

static const struct bmf_uuid uuid = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };

struct doc {
	uint8_t *data;
	size_t nbytes;
};

static struct doc finish(struct bmf_doc_writer *w)
{
	struct doc doc;
	void *buf;

	ck_assert_int_eq(bmf_doc_finish(w, &buf, &doc.nbytes), 0);
	doc.data = buf;
	return doc;
}

static struct doc make_sample(void)
{
	struct bmf_doc_writer w;

	bmf_doc_begin(&w, MAGIC, 2, 4);
	bmf_doc_put_u8(&w, 0xa1);
	bmf_doc_put_u32(&w, 0xb1b2b3b4);
	bmf_doc_put_u64(&w, UINT64_C(0xc1c2c3c4c5c6c7c8));
	bmf_doc_put_uuid(&w, &uuid);
	bmf_doc_put_string(&w, "a name");
	bmf_doc_put_string(&w, NULL);
	return finish(&w);
}

/* Opens an exact copy, so that a read past its end is seen; then only the result counts. */
static int open_copy(const void *data, size_t nbytes, uint32_t max_version, uint32_t known_incompat,
		     struct bmf_error *err)
{
	struct bmf_doc_reader r = { .error = 4711 };
	void *copy = malloc(nbytes ? nbytes : 1);
	int result;

	memcpy(copy, data, nbytes);
	*err = (struct bmf_error){ 0 };
	result =
		bmf_doc_open(&r, copy, nbytes, "some/doc", MAGIC, max_version, known_incompat, err);
	free(copy);
	ck_assert((r.error == 4711) == (result < 0));
	ck_assert_int_eq(err->code, result);
	if (result < 0)
		ck_assert_ptr_eq(strstr(err->text, "read 'some/doc': "), err->text);
	return result;
}

static void open_doc(struct bmf_doc_reader *r, const struct doc *doc)
{
	ck_assert_int_eq(bmf_doc_open(r, doc->data, doc->nbytes, "doc", MAGIC, 2, 4, NULL), 0);
}

START_TEST(comes_back_as_written)
{
	struct doc doc = make_sample();
	struct bmf_doc_reader r;
	struct bmf_uuid got;
	char *string;

	open_doc(&r, &doc);
	ck_assert_uint_eq(bmf_doc_room(&r, 1), doc.nbytes - HEADER);
	ck_assert_uint_eq(bmf_doc_room(&r, 10), (doc.nbytes - HEADER) / 10);
	ck_assert_uint_eq(bmf_doc_get_u8(&r), 0xa1);
	ck_assert_uint_eq(bmf_doc_get_u32(&r), 0xb1b2b3b4);
	ck_assert_uint_eq(bmf_doc_get_u64(&r), UINT64_C(0xc1c2c3c4c5c6c7c8));
	got = bmf_doc_get_uuid(&r);
	ck_assert(bmf_uuid_equal(&got, &uuid));
	string = bmf_doc_get_string(&r);
	ck_assert_str_eq(string, "a name");
	free(string);
	ck_assert_int_eq(bmf_doc_end(&r), -EBADMSG); /* something is left */
	string = bmf_doc_get_string(&r);
	ck_assert_str_eq(string, "");
	free(string);
	ck_assert_int_eq(bmf_doc_end(&r), 0);
	ck_assert_uint_eq(bmf_doc_room(&r, 1), 0);
	free(doc.data);
}
END_TEST

/* The bytes as the top of doc.c has them, put together here by hand. */
START_TEST(known_bytes)
{
	/* magic, version, incompat, compat, reserved, body_nbytes; checksum; padding; body */
	static const uint8_t known[HEADER + 43] =
		"TESTDOC\0"
		"\x02\0\0\0"
		"\x04\0\0\0"
		"\0\0\0\0"
		"\0\0\0\0"
		"\x2b\0\0\0\0\0\0\0"
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\xa1"
		"\xb4\xb3\xb2\xb1"
		"\xc8\xc7\xc6\xc5\xc4\xc3\xc2\xc1"
		"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
		"\x06\0\0\0"
		"a name"
		"\0\0\0"; /* and the NUL, for one more */
	struct doc doc = make_sample();
	uint8_t want[sizeof(known)];
	XXH128_canonical_t sum;

	ck_assert_uint_eq(doc.nbytes, sizeof(want));
	memcpy(want, known, sizeof(want));
	XXH128_canonicalFromHash(&sum, XXH3_128bits(want, doc.nbytes));
	memcpy(want + 32, &sum, 16);
	ck_assert_mem_eq(doc.data, want, doc.nbytes);
	free(doc.data);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
	struct doc doc = make_sample();
	struct bmf_error err;

	for (size_t bit = 0; bit < doc.nbytes * 8; bit++) {
		doc.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(open_copy(doc.data, doc.nbytes, 2, 4, &err), -EBADMSG);
		doc.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_int_eq(open_copy(doc.data, doc.nbytes, 2, 4, &err), 0);
	free(doc.data);
}
END_TEST

START_TEST(every_other_length_is_noticed)
{
	struct doc doc = make_sample();
	uint8_t *longer = calloc(1, doc.nbytes + 100);
	struct bmf_error err;

	memcpy(longer, doc.data, doc.nbytes);
	for (size_t nbytes = 0; nbytes < doc.nbytes + 100; nbytes++) {
		if (nbytes != doc.nbytes)
			ck_assert_int_eq(open_copy(longer, nbytes, 2, 4, &err), -EBADMSG);
	}
	free(longer);
	free(doc.data);
}
END_TEST

static void seal(struct doc *doc)
{
	XXH128_canonical_t sum;

	memset(doc->data + 32, 0, 16);
	XXH128_canonicalFromHash(&sum, XXH3_128bits(doc->data, doc->nbytes));
	memcpy(doc->data + 32, &sum, 16);
}

/* Damage that somebody sealed: the rules hold without the checksum's help. */
START_TEST(the_envelope_has_rules)
{
	struct doc doc = make_sample();
	struct bmf_error err;

	for (size_t i = 0; i < HEADER; i++) {
		int want = -EBADMSG;

		if (i >= 8 && i < 16) /* version and incompat, both made larger */
			want = -EPROTONOSUPPORT;
		else if ((i >= 16 && i < 20) || (i >= 32 && i < 48))
			want = 0; /* compat, and the checksum, which seal() mends */
		doc.data[i] ^= 0x50;
		seal(&doc);
		ck_assert_msg(open_copy(doc.data, doc.nbytes, 2, 4, &err) == want, "byte %zu", i);
		doc.data[i] ^= 0x50;
		seal(&doc);
	}
	free(doc.data);
}
END_TEST

START_TEST(newer_ones_are_told_from_damaged_ones)
{
	struct doc doc = make_sample();
	struct bmf_error err;

	ck_assert_int_eq(open_copy(doc.data, doc.nbytes, 3, 5, &err), 0);
	ck_assert_int_eq(open_copy(doc.data, doc.nbytes, 1, 4, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "version 2"));
	ck_assert_int_eq(open_copy(doc.data, doc.nbytes, 2, 3, &err), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(err.text, "0x4"));
	doc.data[8] = 200; /* damage that looks like a newer version */
	ck_assert_int_eq(open_copy(doc.data, doc.nbytes, 2, 4, &err), -EBADMSG);
	free(doc.data);
}
END_TEST

START_TEST(reading_past_the_end)
{
	struct bmf_doc_writer w;
	struct bmf_doc_reader r;
	struct bmf_uuid none;
	struct doc doc;

	bmf_doc_begin(&w, MAGIC, 1, 0);
	bmf_doc_put_u32(&w, 5);
	bmf_doc_put_u8(&w, 9);
	doc = finish(&w);
	open_doc(&r, &doc);
	ck_assert_uint_eq(bmf_doc_get_u64(&r), 0);
	/* what is there is not read any more, either */
	ck_assert_uint_eq(bmf_doc_get_u32(&r), 0);
	ck_assert_uint_eq(bmf_doc_get_u8(&r), 0);
	none = bmf_doc_get_uuid(&r);
	ck_assert(bmf_uuid_is_none(&none));
	ck_assert_ptr_null(bmf_doc_get_string(&r));
	ck_assert_uint_eq(bmf_doc_room(&r, 1), 0);
	ck_assert_int_eq(bmf_doc_end(&r), -EBADMSG);
	free(doc.data);
}
END_TEST

/* A string as raw bytes: its length, and what follows. */
static char *read_string(uint32_t length, const char *content, size_t nbytes, int *ret_end)
{
	struct bmf_doc_writer w;
	struct bmf_doc_reader r;
	struct doc doc;
	char *string;

	bmf_doc_begin(&w, MAGIC, 1, 0);
	bmf_doc_put_u32(&w, length);
	for (size_t i = 0; i < nbytes; i++)
		bmf_doc_put_u8(&w, (uint8_t)content[i]);
	doc = finish(&w);
	open_doc(&r, &doc);
	string = bmf_doc_get_string(&r);
	*ret_end = bmf_doc_end(&r);
	free(doc.data);
	return string;
}

START_TEST(strings_have_limits)
{
	char *large = calloc(1, BMF_DOC_STRING_MAX + 2), *string;
	struct bmf_doc_writer w;
	size_t nbytes = 77;
	void *buf = &w;
	int end;

	memset(large, 'x', BMF_DOC_STRING_MAX + 1);
	bmf_doc_begin(&w, MAGIC, 1, 0);
	bmf_doc_put_string(&w, large);
	bmf_doc_put_u8(&w, 1);
	ck_assert_int_eq(bmf_doc_finish(&w, &buf, &nbytes), -EMSGSIZE);
	ck_assert(buf == &w && nbytes == 77);

	ck_assert_ptr_null(
		read_string(BMF_DOC_STRING_MAX + 1, large, BMF_DOC_STRING_MAX + 1, &end));
	ck_assert_int_eq(end, -EBADMSG);
	string = read_string(BMF_DOC_STRING_MAX, large, BMF_DOC_STRING_MAX, &end);
	ck_assert_uint_eq(strlen(string), BMF_DOC_STRING_MAX);
	ck_assert_int_eq(end, 0);
	free(string);
	ck_assert_ptr_null(read_string(UINT32_MAX, "abc", 3, &end));
	ck_assert_ptr_null(read_string(4, "abc", 3, &end));
	ck_assert_ptr_null(read_string(3, "a\0c", 3, &end)); /* C would cut it */
	ck_assert_int_eq(end, -EBADMSG);
	free(large);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doc");
	TCase *tc = tcase_create("doc");

	tcase_add_test(tc, comes_back_as_written);
	tcase_add_test(tc, known_bytes);
	tcase_add_test(tc, every_flipped_bit_is_noticed);
	tcase_add_test(tc, every_other_length_is_noticed);
	tcase_add_test(tc, the_envelope_has_rules);
	tcase_add_test(tc, newer_ones_are_told_from_damaged_ones);
	tcase_add_test(tc, reading_past_the_end);
	tcase_add_test(tc, strings_have_limits);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
