/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sidecar.c - the sidecar's format: golden files, round trips, the armed map
 *
 * What a reader has to refuse is test_sidecar_refused.c's and test_sidecar_damage.c's.
 */
#include "config.h"

#include "tests/unit/golden.h"
#include "tests/unit/sidecars.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define GOLDEN_NONCE UINT64_C(0x0807060504030201)

/* The small golden file, both ways, byte for byte. */
START_TEST(test_golden)
{
	struct bmf_sidecar *sample = sidecars_sample(), *decoded;
	uint8_t *golden;
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(bmf_sidecar_encode_nonce(sample, GOLDEN_NONCE, &buf, &nbytes), 0);
	golden_check("sidecar-v1.hex", buf, nbytes);
	golden = golden_read("sidecar-v1.hex", &nbytes);
	decoded = sidecars_decode(golden, nbytes);
	sidecars_check_equal(sample, decoded);
	free(golden);
	free(buf);
	bmf_sidecar_free(decoded);
	bmf_sidecar_free(sample);
}
END_TEST

/* What zstd makes of it depends on its version, so this one is only read. */
START_TEST(test_golden_zstd)
{
	struct bmf_sidecar *sample = sidecars_packed_sample(), *decoded;
	uint8_t *golden;
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(bmf_sidecar_encode_nonce(sample, GOLDEN_NONCE, &buf, &nbytes), 0);
	if (getenv("GOLDEN_UPDATE"))
		golden_check("sidecar-v1-zstd.hex", buf, nbytes);
	golden = golden_read("sidecar-v1-zstd.hex", &nbytes);
	decoded = sidecars_decode(golden, nbytes);
	sidecars_check_equal(sample, decoded);
	free(golden);
	free(buf);
	bmf_sidecar_free(decoded);
	bmf_sidecar_free(sample);
}
END_TEST

START_TEST(test_round_trip)
{
	struct rng rng = rng_start("test_round_trip");

	for (int i = 0; i < 60; i++) {
		struct bmf_sidecar *sidecar =
			sidecars_random(&rng, UINT64_C(1) << (1 + rng_below(&rng, 30)));
		struct sidecars_file file = sidecars_encode(sidecar);
		struct bmf_sidecar *decoded = sidecars_decode(file.buf, file.nbytes);
		uint64_t nbytes;

		sidecars_check_equal(sidecar, decoded);
		ck_assert_int_eq(bmf_sidecar_peek(file.buf, file.nbytes, "x", &nbytes, NULL), 0);
		ck_assert_uint_eq(nbytes, file.nbytes);
		free(file.buf);
		bmf_sidecar_free(decoded);
		bmf_sidecar_free(sidecar);
	}
}
END_TEST

/* A sector that the in-place writer makes is the one that the whole has. */
START_TEST(test_armed_sectors)
{
	struct rng rng = rng_start("test_armed_sectors");
	struct bmf_sidecar *sidecar = sidecars_random(&rng, 1 << 20);
	struct sidecars_file file = sidecars_encode(sidecar);
	uint8_t sector[BMF_ARMED_SECTOR];

	for (uint64_t i = 0; i < sidecar->armed_sectors; i++) {
		bmf_armed_sector_encode(sidecar->armed, sidecar->in_use, sidecar->nonce, i, sector);
		ck_assert_mem_eq(file.buf + BMF_ARMED_MAP_OFFSET + i * BMF_ARMED_SECTOR, sector,
				 BMF_ARMED_SECTOR);
	}
	free(file.buf);
	bmf_sidecar_free(sidecar);
}
END_TEST

/* Regions one by one, set in place, where sectors and words meet. */
START_TEST(test_armed_in_place)
{
	static const uint64_t regions[] = { 0, 1, 62, 63, 64, 4030, 4031, 4032, 8062, 8063 };
	struct bmf_sidecar *sidecar = sidecars_sample();
	struct bmf_bits *armed = bmf_bits_new();
	struct sidecars_file file;

	ck_assert_int_eq(bmf_bits_clear(sidecar->armed, 0, 50000), 0);
	sidecar->in_use = false;
	file = sidecars_encode(sidecar);
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		uint64_t index = bmf_armed_position(regions[i]) / BMF_ARMED_SECTOR_BITS;
		struct bmf_sidecar *decoded;

		ck_assert_int_eq(bmf_bits_set(armed, regions[i], 1), 0);
		bmf_armed_sector_encode(armed, true, sidecar->nonce, index,
					file.buf + BMF_ARMED_MAP_OFFSET + index * BMF_ARMED_SECTOR);
		decoded = sidecars_decode(file.buf, file.nbytes);
		ck_assert(decoded->in_use);
		sidecars_check_bits_equal(armed, decoded->armed);
		bmf_sidecar_free(decoded);
	}
	free(file.buf);
	bmf_bits_free(armed);
	bmf_sidecar_free(sidecar);
}
END_TEST

START_TEST(test_armed_capacity)
{
	struct bmf_sidecar *sidecar = sidecars_sample();

	ck_assert_int_eq(bmf_bits_clear(sidecar->armed, 0, 50000), 0);
	free(sidecars_encode(sidecar).buf);
	ck_assert_uint_eq(sidecar->armed_sectors, 8); /* a page, at least */
	sidecar->armed_sectors = 9;
	free(sidecars_encode(sidecar).buf);
	ck_assert_uint_eq(sidecar->armed_sectors, 16);
	/* the last region of 16 sectors, and one more */
	ck_assert_int_eq(bmf_bits_set(sidecar->armed, 16 * BMF_ARMED_SECTOR_BITS - 2, 1), 0);
	free(sidecars_encode(sidecar).buf);
	ck_assert_uint_eq(sidecar->armed_sectors, 16);
	ck_assert_int_eq(bmf_bits_set(sidecar->armed, 16 * BMF_ARMED_SECTOR_BITS - 1, 1), 0);
	free(sidecars_encode(sidecar).buf);
	ck_assert_uint_eq(sidecar->armed_sectors, 24);
	bmf_sidecar_free(sidecar);
}
END_TEST

/* Two sidecars with the same armed map must not accept each other's sectors. */
START_TEST(test_nonce)
{
	struct bmf_sidecar *sidecar = sidecars_sample(), *decoded;
	struct sidecars_file a = sidecars_encode(sidecar), b = sidecars_encode(sidecar);

	memcpy(b.buf + BMF_ARMED_MAP_OFFSET, a.buf + BMF_ARMED_MAP_OFFSET, BMF_ARMED_SECTOR);
	decoded = sidecars_decode(b.buf, b.nbytes);
	ck_assert(bmf_bits_test_all(decoded->armed, 0, BMF_ARMED_SECTOR_BITS - 1));
	ck_assert_uint_eq(bmf_bits_count(decoded->armed, 0, UINT64_MAX),
			  BMF_ARMED_SECTOR_BITS - 1 + 2);
	bmf_sidecar_free(decoded);
	free(a.buf);
	free(b.buf);
	bmf_sidecar_free(sidecar);
}
END_TEST

/* 64 TiB, all dirty, all armed. */
START_TEST(test_huge_is_small)
{
	struct bmf_sidecar *sidecar = sidecars_sample(), *decoded;
	struct sidecars_file file;

	sidecar->block_shift = 12;
	for (size_t i = 0; i < sidecar->nsections; i++)
		ck_assert_int_eq(bmf_bits_set(sidecar->sections[i].bits, 0, UINT64_C(1) << 34), 0);
	file = sidecars_encode(sidecar);
	ck_assert_uint_lt(file.nbytes, 16384);
	decoded = sidecars_decode(file.buf, file.nbytes);
	sidecars_check_equal(sidecar, decoded);
	bmf_sidecar_free(decoded);
	free(file.buf);
	bmf_sidecar_free(sidecar);
}
END_TEST

/*
 * The most regular bitmaps stay within the ratio that a reader accepts, and get packed:
 * one pattern, given by its period, in every chunk of 128 GiB in blocks of 64 KiB.
 */
START_TEST(test_regular_patterns)
{
	static const uint64_t periods[] = { 2, 8, 64, 4096, BMF_BITS_CHUNK };
	struct bmf_sidecar *sidecar = sidecars_sample(), *decoded;
	struct bmf_bits *bits = sidecar->sections[0].bits;
	struct sidecars_file file;
	struct bmf_disk_section *entry;

	ck_assert_int_eq(bmf_bits_clear(bits, 0, 3 * BMF_BITS_CHUNK), 0);
	for (uint64_t block = 0; block < 64 * BMF_BITS_CHUNK; block += periods[_i])
		ck_assert_int_eq(bmf_bits_set(bits, block, 1), 0);
	file = sidecars_encode(sidecar);
	entry = sidecars_entry(&file, 0);
	ck_assert_uint_eq(le32_get(entry->encoding), BMF_ENCODING_ZSTD);
	printf("period %" PRIu64 ": %" PRIu64 " bytes, %" PRIu64 " stored, 1:%" PRIu64 "\n",
	       periods[_i], le64_get(entry->raw_nbytes), le64_get(entry->stored_nbytes),
	       le64_get(entry->raw_nbytes) / le64_get(entry->stored_nbytes));
	decoded = sidecars_decode(file.buf, file.nbytes);
	sidecars_check_equal(sidecar, decoded);
	bmf_sidecar_free(decoded);
	free(file.buf);
	bmf_sidecar_free(sidecar);
}
END_TEST

/* ---- what encode refuses ---- */

static int encode_result(struct bmf_sidecar *sidecar)
{
	size_t nbytes = 4711;
	void *buf = NULL;
	int r = bmf_sidecar_encode(sidecar, &buf, &nbytes);

	if (r < 0) {
		ck_assert_ptr_null(buf);
		ck_assert_uint_eq(nbytes, 4711);
	}
	free(buf);
	return r;
}

START_TEST(test_invalid_objects)
{
	struct bmf_sidecar *sidecar = bmf_sidecar_new();
	struct bmf_sidecar *sample = sidecars_sample(), saved = *sample;

	ck_assert_int_eq(encode_result(sidecar), -EINVAL);
	bmf_sidecar_free(sidecar);
	bmf_sidecar_free(NULL);

#define REFUSED(change)                                           \
	do {                                                      \
		change;                                           \
		ck_assert_int_eq(encode_result(sample), -EINVAL); \
		*sample = saved;                                  \
	} while (0)
	REFUSED(sample->since = 2);
	REFUSED(sample->since = 4);
	REFUSED(sample->active = 6);
	REFUSED(sample->active = 8);
	REFUSED(sample->block_shift = BMF_BLOCK_SHIFT_MIN - 1);
	REFUSED(sample->block_shift = BMF_BLOCK_SHIFT_MAX + 1);
	REFUSED(sample->region_shift = sample->block_shift - 1);
	REFUSED(sample->region_shift = BMF_REGION_SHIFT_MAX + 1);
	REFUSED(sample->image = (struct bmf_uuid){ { 0 } });
	REFUSED(sample->source = (struct bmf_uuid){ { 0 } });
	REFUSED(sample->nsections = 0);
	REFUSED(sample->nsections = 2);
#undef REFUSED
	ck_assert_int_eq(encode_result(sample), 0);
	bmf_sidecar_free(sample);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sidecar");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, test_golden);
	tcase_add_test(tests, test_golden_zstd);
	tcase_add_test(tests, test_round_trip);
	tcase_add_test(tests, test_armed_sectors);
	tcase_add_test(tests, test_armed_in_place);
	tcase_add_test(tests, test_armed_capacity);
	tcase_add_test(tests, test_nonce);
	tcase_add_test(tests, test_huge_is_small);
	tcase_add_loop_test(tests, test_regular_patterns, 0, 5);
	tcase_add_test(tests, test_invalid_objects);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
