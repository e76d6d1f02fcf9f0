/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sidecar_damage.c - a damaged sidecar is refused, or read as more dirty
 *
 * Every byte of the header, of the armed map and of the rest of the sample is
 * changed in several ways, and the file is cut to every length (I1, I5).
 */
#include "config.h"

#include "tests/unit/sidecars.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static struct bmf_sidecar *sample;
static struct sidecars_file file;

static void setup(void)
{
	sample = sidecars_sample();
	/* one section that is packed, and armed regions in a second page */
	for (uint64_t block = 1; block < 2 * BMF_BITS_CHUNK; block += 5)
		ck_assert_int_eq(bmf_bits_set(sample->sections[1].bits, block, 1), 0);
	file = sidecars_encode(sample);
	ck_assert_uint_eq(le32_get(sidecars_entry(&file, 1)->encoding), BMF_ENCODING_ZSTD);
	ck_assert_uint_eq(sample->armed_sectors, 16);
}

static void teardown(void)
{
	bmf_sidecar_free(sample);
	free(file.buf);
}

static uint64_t map_end(void)
{
	return BMF_ARMED_MAP_OFFSET + (uint64_t)sample->armed_sectors * BMF_ARMED_SECTOR;
}

/* The sidecar must be as the sample, but for armed regions in the sector at offset. */
static void check_armed_more(const struct bmf_sidecar *decoded, uint64_t offset)
{
	uint64_t index = (offset - BMF_ARMED_MAP_OFFSET) / BMF_ARMED_SECTOR;
	uint64_t first = index * BMF_ARMED_SECTOR_BITS - (index > 0);

	ck_assert(decoded->in_use);
	ck_assert(sidecars_bits_contain(decoded->armed, sample->armed));
	ck_assert(bmf_bits_test_all(decoded->armed, first, BMF_ARMED_SECTOR_BITS - (index == 0)));
	for (size_t i = 0; i < sample->nsections; i++)
		sidecars_check_bits_equal(decoded->sections[i].bits, sample->sections[i].bits);
}

static void check_byte(uint64_t offset, uint8_t value)
{
	uint8_t old = file.buf[offset];
	struct bmf_sidecar *decoded = NULL;
	struct bmf_error err = { 0 };
	int r;

	if (value == old)
		return;
	file.buf[offset] = value;
	r = bmf_sidecar_decode(file.buf, file.nbytes, &decoded, &err);
	file.buf[offset] = old;
	if (offset >= BMF_ARMED_MAP_OFFSET && offset < map_end()) {
		ck_assert_msg(r == 0, "offset %" PRIu64 ": %d %s", offset, r, err.text);
		check_armed_more(decoded, offset);
		bmf_sidecar_free(decoded);
		return;
	}
	/* no flip may pass for a newer version: that would blame the wrong thing */
	ck_assert_msg(r == -EBADMSG, "offset %" PRIu64 ", %02x to %02x: %d", offset, old, value, r);
	ck_assert_ptr_null(decoded);
	ck_assert_int_eq(err.code, r);
}

START_TEST(test_each_byte)
{
	struct rng rng = rng_start("test_each_byte");

	setup();
	for (uint64_t offset = 0; offset < file.nbytes; offset++) {
		uint8_t old = file.buf[offset];

		check_byte(offset, old ^ (uint8_t)(1u << rng_below(&rng, 8)));
		check_byte(offset, old ^ 0x80);
		check_byte(offset, (uint8_t)~old);
		check_byte(offset, 0);
		check_byte(offset, (uint8_t)rng_next(&rng));
	}
	teardown();
}
END_TEST

/* Every bit of the fields, not only a sample. */
START_TEST(test_each_bit_of_fields)
{
	setup();
	for (uint64_t offset = 0; offset < offsetof(struct bmf_disk_header, reserved); offset++)
		for (unsigned int bit = 0; bit < 8; bit++)
			check_byte(offset, file.buf[offset] ^ (uint8_t)(1u << bit));
	teardown();
}
END_TEST

static void check_length(size_t nbytes)
{
	/* exactly that long, so that AddressSanitizer sees a read beyond the end */
	uint8_t *copy = calloc(1, nbytes ? nbytes : 1);
	struct bmf_sidecar *decoded = NULL;
	struct bmf_error err = { 0 };
	uint64_t expected;
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, file.buf, nbytes < file.nbytes ? nbytes : file.nbytes);
	ck_assert_int_eq(bmf_sidecar_decode(copy, nbytes, &decoded, &err), -EBADMSG);
	ck_assert_ptr_null(decoded);
	r = bmf_sidecar_peek(copy, nbytes, "x", &expected, NULL);
	ck_assert_int_eq(r, nbytes < BMF_SIDECAR_HEADER ? -EBADMSG : 0);
	free(copy);
}

START_TEST(test_each_length)
{
	setup();
	for (size_t nbytes = 0; nbytes < file.nbytes; nbytes++)
		check_length(nbytes);
	for (size_t more = 1; more < 10000; more = more * 3 + 1)
		check_length(file.nbytes + more);
	teardown();
}
END_TEST

/* A torn write of the whole file: any 512-byte sectors of another sidecar, or zeros. */
START_TEST(test_mixed_sectors)
{
	struct rng rng = rng_start("test_mixed_sectors");
	struct bmf_sidecar *decoded;
	struct sidecars_file other;
	uint8_t *mixed;

	setup();
	other = sidecars_encode(sample);
	ck_assert_uint_eq(other.nbytes, file.nbytes);
	mixed = malloc(file.nbytes);
	ck_assert_ptr_nonnull(mixed);
	for (int i = 0; i < 2000; i++) {
		memcpy(mixed, file.buf, file.nbytes);
		for (size_t at = 0; at < file.nbytes; at += 512) {
			size_t n = file.nbytes - at < 512 ? file.nbytes - at : 512;

			if (rng_below(&rng, 8) == 0)
				memcpy(mixed + at, other.buf + at, n);
			else if (rng_below(&rng, 8) == 0)
				memset(mixed + at, 0, n);
		}
		if (bmf_sidecar_decode(mixed, file.nbytes, &decoded, NULL) == 0) {
			ck_assert(sidecars_bits_contain(decoded->armed, sample->armed));
			ck_assert(decoded->in_use);
			bmf_sidecar_free(decoded);
		}
	}
	free(mixed);
	free(other.buf);
	teardown();
}
END_TEST

/* Files that are anything at all, with and without the right magic. */
START_TEST(test_noise)
{
	struct rng rng = rng_start("test_noise");
	struct bmf_sidecar *decoded;

	for (int i = 0; i < 3000; i++) {
		size_t nbytes = rng_below(&rng, 10000);
		uint8_t *noise = malloc(nbytes + 1);

		ck_assert_ptr_nonnull(noise);
		for (size_t k = 0; k < nbytes; k++)
			noise[k] = (uint8_t)rng_next(&rng);
		if (nbytes >= 8 && i % 2)
			memcpy(noise, BMF_SIDECAR_MAGIC, 8);
		ck_assert_int_eq(bmf_sidecar_decode(noise, nbytes, &decoded, NULL), -EBADMSG);
		free(noise);
	}
}
END_TEST

/*
 * Checksums that are right over fields that are noise: no field may lead the reader
 * astray.  Most are refused; what is accepted must be good enough to be written again.
 */
START_TEST(test_resealed_noise)
{
	struct rng rng = rng_start("test_resealed_noise");
	struct sidecars_file copy;
	int accepted = 0;

	setup();
	copy.nbytes = file.nbytes;
	copy.buf = malloc(file.nbytes);
	ck_assert_ptr_nonnull(copy.buf);
	for (int i = 0; i < 30000; i++) {
		struct bmf_sidecar *decoded;
		uint64_t table = map_end(), at;

		memcpy(copy.buf, file.buf, file.nbytes);
		do {
			if (rng_below(&rng, 2))
				at = 8 + rng_below(&rng, 152);
			else
				at = table + rng_below(&rng, file.nbytes - table);
			copy.buf[at] ^= (uint8_t)(1u << rng_below(&rng, 8));
		} while (rng_below(&rng, 3) == 0);
		sidecars_reseal(&copy);
		if (bmf_sidecar_decode(copy.buf, copy.nbytes, &decoded, NULL) == 0) {
			struct sidecars_file again = sidecars_encode(decoded);

			accepted++;
			free(again.buf);
			bmf_sidecar_free(decoded);
		}
	}
	ck_assert_int_gt(accepted, 0);
	free(copy.buf);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sidecar_damage");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, test_each_byte);
	tcase_add_test(tests, test_each_bit_of_fields);
	tcase_add_test(tests, test_each_length);
	tcase_add_test(tests, test_mixed_sectors);
	tcase_add_test(tests, test_noise);
	tcase_add_test(tests, test_resealed_noise);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
