/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_manifest.c - manifest.h: comes back as written, and damaged not at all */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tools/full.h"
#include "tools/manifest.h"

#include "bitmapfile/doc.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct bmf_uuid random_uuid(struct rng *rng)
{
	struct bmf_uuid uuid;

	for (size_t i = 0; i < sizeof(uuid.b); i++)
		uuid.b[i] = (uint8_t)rng_next(rng);
	return uuid;
}

static void add_random_image(struct rng *rng, struct manifest *manifest)
{
	static const unsigned int reasons[] = { FULL_NONE, FULL_NEW, BMF_REASON_LAST, FULL_FIRST,
						FULL_REPLACED };
	struct bmf_stamp stamp = { rng_next(rng), rng_next(rng), rng_next(rng),
				   (int64_t)rng_next(rng), (int64_t)rng_next(rng) };
	struct bmf_uuid image = random_uuid(rng);
	char path[64];
	size_t n = rng_below(rng, sizeof(path));

	for (size_t i = 0; i < n; i++)
		path[i] = (char)(1 + rng_below(rng, 255));
	path[n] = '\0';
	ck_assert_int_eq(manifest_add(manifest, &image, path, reasons[rng_below(rng, 5)],
				      rng_below(rng, 2), &stamp),
			 0);
}

static void make_random(struct rng *rng, struct manifest *manifest)
{
	size_t n = rng_below(rng, 40);

	*manifest = (struct manifest){ .replica = random_uuid(rng),
				       .source = random_uuid(rng),
				       .checkpoint = rng_next(rng),
				       .checkpoint_uuid = random_uuid(rng),
				       .complete = rng_below(rng, 2),
				       .time_ns = (int64_t)rng_next(rng),
				       .block_shift = (unsigned int)rng_below(rng, 30) };
	for (size_t i = 0; i < n; i++)
		add_random_image(rng, manifest);
}

START_TEST(comes_back_as_written)
{
	struct rng rng = rng_start("comes_back_as_written");
	char beyond[70] = "";

	/* longer than a random path can be */
	memset(beyond, 'x', sizeof(beyond) - 1);
	for (int round = 0; round < 500; round++) {
		struct manifest a, b;
		size_t nbytes;
		void *buf;

		make_random(&rng, &a);
		ck_assert_int_eq(manifest_encode(&a, &buf, &nbytes), 0);
		ck_assert_int_eq(manifest_decode(buf, nbytes, &b, NULL), 0);
		ck_assert(bmf_uuid_equal(&a.replica, &b.replica));
		ck_assert(bmf_uuid_equal(&a.source, &b.source));
		ck_assert(bmf_uuid_equal(&a.checkpoint_uuid, &b.checkpoint_uuid));
		ck_assert_uint_eq(a.checkpoint, b.checkpoint);
		ck_assert_int_eq(a.complete, b.complete);
		ck_assert_int_eq(a.time_ns, b.time_ns);
		ck_assert_uint_eq(a.block_shift, b.block_shift);
		ck_assert_uint_eq(a.nimages, b.nimages);
		for (size_t i = 0; i < a.nimages; i++) {
			const struct manifest_image *x = &a.images[i];
			const struct manifest_image *y = manifest_find(&b, &x->image);

			ck_assert_ptr_nonnull(y);
			ck_assert_str_eq(x->path, y->path);
			ck_assert_uint_eq(x->reason, y->reason);
			ck_assert_int_eq(x->busy, y->busy);
			ck_assert_mem_eq(&x->stamp, &y->stamp, sizeof(x->stamp));
		}
		ck_assert_ptr_null(manifest_find(&b, &a.replica));
		for (size_t i = 0; i < a.nimages; i++) {
			const struct manifest_image *y = manifest_find_path(&b, a.images[i].path);

			ck_assert_ptr_nonnull(y);
			ck_assert_str_eq(a.images[i].path, y->path);
		}
		ck_assert_ptr_null(manifest_find_path(&b, beyond));
		manifest_destroy(&a);
		manifest_destroy(&b);
		free(buf);
	}
}
END_TEST

START_TEST(damage_is_noticed)
{
	struct rng rng = rng_start("damage_is_noticed");
	struct manifest a, b;
	size_t nbytes;
	uint8_t *buf;

	make_random(&rng, &a);
	add_random_image(&rng, &a);
	ck_assert_int_eq(manifest_encode(&a, (void **)&buf, &nbytes), 0);
	for (size_t i = 0; i < nbytes * 8; i++) {
		struct bmf_error err = { 0 };

		buf[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert_int_lt(manifest_decode(buf, nbytes, &b, &err), 0);
		ck_assert_int_ne(err.code, 0);
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t n = 0; n < nbytes; n++)
		ck_assert_int_lt(manifest_decode(buf, n, &b, NULL), 0);
	manifest_destroy(&a);
	free(buf);
}
END_TEST

/* A document with a good checksum whose body is nonsense. */
static int decode_body(unsigned int complete, uint64_t count, unsigned int reason,
		       unsigned int busy, bool longer)
{
	struct bmf_uuid uuid = { { 1 } };
	struct manifest manifest = { 0 };
	struct bmf_doc_writer w;
	size_t nbytes;
	void *buf;
	int r;

	bmf_doc_begin(&w, "MFSREPLI", 1, 0);
	bmf_doc_put_uuid(&w, &uuid);
	bmf_doc_put_uuid(&w, &uuid);
	bmf_doc_put_u64(&w, 1);
	bmf_doc_put_uuid(&w, &uuid);
	bmf_doc_put_u8(&w, (uint8_t)complete);
	bmf_doc_put_u64(&w, 1);
	bmf_doc_put_u32(&w, 16);
	bmf_doc_put_u64(&w, count);
	bmf_doc_put_uuid(&w, &uuid);
	bmf_doc_put_string(&w, "path");
	bmf_doc_put_u8(&w, (uint8_t)reason);
	bmf_doc_put_u8(&w, (uint8_t)busy);
	for (int i = 0; i < 5; i++)
		bmf_doc_put_u64(&w, 1);
	if (longer)
		bmf_doc_put_u8(&w, 0);
	ck_assert_int_eq(bmf_doc_finish(&w, &buf, &nbytes), 0);
	r = manifest_decode(buf, nbytes, &manifest, NULL);
	manifest_destroy(&manifest);
	free(buf);
	return r;
}

START_TEST(nonsense_is_refused)
{
	ck_assert_int_eq(decode_body(1, 1, FULL_NONE, 0, false), 0);
	ck_assert_int_eq(decode_body(2, 1, FULL_NONE, 0, false), -EBADMSG);
	ck_assert_int_eq(decode_body(1, 0, FULL_NONE, 0, false), -EBADMSG);
	ck_assert_int_eq(decode_body(1, 2, FULL_NONE, 0, false), -EBADMSG);
	ck_assert_int_eq(decode_body(1, UINT64_MAX, FULL_NONE, 0, false), -EBADMSG);
	ck_assert_int_eq(decode_body(1, 1, FULL_LAST + 1, 0, false), -EBADMSG);
	ck_assert_int_eq(decode_body(1, 1, BMF_REASON_LAST + 1, 0, false), -EBADMSG);
	ck_assert_int_eq(decode_body(1, 1, FULL_NONE, 1, false), 0);
	ck_assert_int_eq(decode_body(1, 1, FULL_NONE, 2, false), -EBADMSG);
	ck_assert_int_eq(decode_body(1, 1, FULL_NONE, 0, true), -EBADMSG);
}
END_TEST

START_TEST(every_reason_has_its_words)
{
	for (unsigned int reason = 0; reason <= FULL_LAST; reason++) {
		ck_assert_ptr_nonnull(full_text(reason));
		ck_assert_ptr_nonnull(full_word(reason));
		for (unsigned int other = 0; full_known(reason) && other < reason; other++)
			if (full_known(other))
				ck_assert_str_ne(full_word(reason), full_word(other));
	}
	ck_assert(full_expected(FULL_FIRST));
	ck_assert(full_expected(FULL_NEW));
	ck_assert(full_expected(FULL_REPLACED));
	ck_assert(!full_is_new(FULL_REPLACED));
	ck_assert(!full_expected(FULL_LINEAGE));
	ck_assert(!full_expected(BMF_REASON_BEHIND));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_manifest");
	TCase *tc = tcase_create("manifest");

	tcase_add_test(tc, comes_back_as_written);
	tcase_add_test(tc, damage_is_noticed);
	tcase_add_test(tc, nonsense_is_refused);
	tcase_add_test(tc, every_reason_has_its_words);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
