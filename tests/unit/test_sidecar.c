/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sidecar.c - the sidecar's format: golden files, round trips, and what a
 * file must contain to be refused although its checksums are right
 *
 * Damage that the checksums have to find is test_sidecar_damage.c's.
 */
#include "config.h"

#include "tests/unit/golden.h"
#include "tests/unit/sidecars.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>

#define GOLDEN_NONCE UINT64_C(0x0807060504030201)

static struct bmf_sidecar *decode(const void *buf, size_t nbytes)
{
	struct bmf_sidecar *sidecar = NULL;
	struct bmf_error err = { 0 };
	int r = bmf_sidecar_decode(buf, nbytes, &sidecar, &err);

	ck_assert_msg(r == 0, "decode: %d, %s", r, err.text);
	return sidecar;
}

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
	decoded = decode(golden, nbytes);
	sidecars_check_equal(sample, decoded);
	free(golden);
	free(buf);
	bmf_sidecar_free(decoded);
	bmf_sidecar_free(sample);
}
END_TEST

/* Every third block of 5 chunks: the kind that zstd packs. */
static struct bmf_sidecar *zstd_sample(void)
{
	struct bmf_sidecar *sidecar = sidecars_sample();
	struct bmf_bits *bits = sidecar->sections[1].bits;

	for (uint64_t block = 1; block < 5 * BMF_BITS_CHUNK; block += 3)
		ck_assert_int_eq(bmf_bits_set(bits, block, 1), 0);
	return sidecar;
}

/* What zstd makes of it depends on its version, so this one is only read. */
START_TEST(test_golden_zstd)
{
	struct bmf_sidecar *sample = zstd_sample(), *decoded;
	uint8_t *golden;
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(bmf_sidecar_encode_nonce(sample, GOLDEN_NONCE, &buf, &nbytes), 0);
	if (getenv("GOLDEN_UPDATE"))
		golden_check("sidecar-v1-zstd.hex", buf, nbytes);
	golden = golden_read("sidecar-v1-zstd.hex", &nbytes);
	decoded = decode(golden, nbytes);
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

	for (int i = 0; i < 200; i++) {
		struct bmf_sidecar *sidecar =
			sidecars_random(&rng, UINT64_C(1) << (1 + rng_below(&rng, 30)));
		struct sidecars_file file = sidecars_encode(sidecar);
		struct bmf_sidecar *decoded = decode(file.buf, file.nbytes);
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
		decoded = decode(file.buf, file.nbytes);
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
	decoded = decode(b.buf, b.nbytes);
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
	decoded = decode(file.buf, file.nbytes);
	sidecars_check_equal(sidecar, decoded);
	bmf_sidecar_free(decoded);
	free(file.buf);
	bmf_sidecar_free(sidecar);
}
END_TEST

/*
 * The most regular bitmaps stay within the ratio that a reader accepts, and get packed:
 * one pattern, given by its period, in every chunk of 4 TiB in blocks of 64 KiB.
 */
START_TEST(test_regular_patterns)
{
	static const uint64_t periods[] = { 2, 8, 64, 4096, BMF_BITS_CHUNK };
	struct bmf_sidecar *sidecar = sidecars_sample(), *decoded;
	struct bmf_bits *bits = sidecar->sections[0].bits;
	struct sidecars_file file;
	struct bmf_disk_section *entry;

	ck_assert_int_eq(bmf_bits_clear(bits, 0, 3 * BMF_BITS_CHUNK), 0);
	for (uint64_t block = 0; block < 2048 * BMF_BITS_CHUNK; block += periods[_i])
		ck_assert_int_eq(bmf_bits_set(bits, block, 1), 0);
	file = sidecars_encode(sidecar);
	entry = sidecars_entry(&file, 0);
	ck_assert_uint_eq(le32_get(entry->encoding), BMF_ENCODING_ZSTD);
	printf("period %" PRIu64 ": %" PRIu64 " bytes, %" PRIu64 " stored, 1:%" PRIu64 "\n",
	       periods[_i], le64_get(entry->raw_nbytes), le64_get(entry->stored_nbytes),
	       le64_get(entry->raw_nbytes) / le64_get(entry->stored_nbytes));
	decoded = decode(file.buf, file.nbytes);
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

#define REFUSED(change)                                              \
	do {                                                         \
		change;                                              \
		ck_assert_int_eq(encode_result(sample), -EINVAL);    \
		*sample = saved;                                     \
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

/* ---- files whose checksums are right ---- */

static void check_refused(struct sidecars_file *file, int expected)
{
	struct bmf_sidecar *sidecar = NULL;
	struct bmf_error err = { 0 };

	sidecars_reseal(file);
	ck_assert_int_eq(bmf_sidecar_decode(file->buf, file->nbytes, &sidecar, &err), expected);
	ck_assert_ptr_null(sidecar);
	ck_assert_int_eq(err.code, expected);
	ck_assert_ptr_nonnull(strstr(err.text, "read 'sidecar': "));
	free(file->buf);
}

/* Changes a fresh sample's file as the statement says; it must then give the error. */
#define REFUSED(error, change)                                       \
	do {                                                         \
		struct bmf_sidecar *s_ = sidecars_sample();          \
		struct sidecars_file f = sidecars_encode(s_);        \
		struct bmf_disk_header *h = sidecars_header(&f);     \
		struct bmf_disk_section *e = sidecars_entry(&f, 0);  \
		(void)h;                                             \
		(void)e;                                             \
		change;                                              \
		check_refused(&f, error);                            \
		bmf_sidecar_free(s_);                                \
	} while (0)

START_TEST(test_newer)
{
	REFUSED(-EPROTONOSUPPORT, h->version = le32_make(2));
	REFUSED(-EPROTONOSUPPORT, h->version = le32_make(UINT32_MAX));
	REFUSED(-EPROTONOSUPPORT, h->incompat = le32_make(1));
	REFUSED(-EPROTONOSUPPORT, h->incompat = le32_make(UINT32_C(1) << 31));
	/* a newer version may have anything elsewhere */
	REFUSED(-EPROTONOSUPPORT, (h->version = le32_make(2), h->block_shift = le32_make(99),
				   h->table_offset = le64_make(1), h->reserved[0] = 1));
}
END_TEST

/* A feature that need not be known may use what is reserved, and room between the parts. */
START_TEST(test_compatible_features)
{
	struct bmf_sidecar *sample = sidecars_sample(), *decoded;
	struct sidecars_file file = sidecars_encode(sample);
	struct bmf_disk_header *header = sidecars_header(&file);

	header->compat = le32_make(0x80000001);
	header->flags = le32_make(0x11);
	header->reserved[17] = 99;
	file.buf = realloc(file.buf, file.nbytes + 3);
	memset(file.buf + file.nbytes, 7, 3);
	file.nbytes += 3;
	header = sidecars_header(&file);
	header->file_nbytes = le64_make(file.nbytes);
	sidecars_entry(&file, 0)->reserved = le32_make(5);
	sidecars_reseal(&file);
	decoded = decode(file.buf, file.nbytes);
	sidecars_check_equal(sample, decoded);
	bmf_sidecar_free(decoded);
	bmf_sidecar_free(sample);
	free(file.buf);
}
END_TEST

START_TEST(test_unknown_reason)
{
	struct bmf_sidecar *sample = sidecars_sample(), *decoded;
	struct sidecars_file file = sidecars_encode(sample);

	sidecars_header(&file)->reason = le32_make(BMF_REASON_LAST + 5);
	sidecars_reseal(&file);
	decoded = decode(file.buf, file.nbytes);
	ck_assert_int_eq(decoded->reason, BMF_REASON_LAST + 5);
	bmf_sidecar_free(decoded);
	bmf_sidecar_free(sample);
	free(file.buf);
}
END_TEST

START_TEST(test_contradictions_in_header)
{
	REFUSED(-EBADMSG, h->magic[7] = 'Z');
	REFUSED(-EBADMSG, h->version = le32_make(0));
	REFUSED(-EBADMSG, h->header_nbytes = le32_make(8192));
	REFUSED(-EBADMSG, h->block_shift = le32_make(11));
	REFUSED(-EBADMSG, h->block_shift = le32_make(22));
	REFUSED(-EBADMSG, h->block_shift = le32_make(UINT32_MAX));
	REFUSED(-EBADMSG, h->region_shift = le32_make(15));
	REFUSED(-EBADMSG, h->region_shift = le32_make(63));
	REFUSED(-EBADMSG, h->region_shift = le32_make(1000));
	REFUSED(-EBADMSG, memset(h->image, 0, 16));
	REFUSED(-EBADMSG, memset(h->source, 0, 16));
	REFUSED(-EBADMSG, h->since = le64_make(8));
	REFUSED(-EBADMSG, h->since = le64_make(2));
	REFUSED(-EBADMSG, h->active = le64_make(UINT64_MAX));
	REFUSED(-EBADMSG, h->flags = le32_make(2));
	REFUSED(-EBADMSG, h->reserved[0] = 1);
	REFUSED(-EBADMSG, h->reserved[sizeof(h->reserved) - 1] = 1);
	REFUSED(-EBADMSG, h->armed_sectors = le32_make(0));
	REFUSED(-EBADMSG, h->armed_sectors = le32_make(7));
	REFUSED(-EBADMSG, h->armed_sectors = le32_make(UINT32_MAX - 7));
	REFUSED(-EBADMSG, h->table_offset = le64_make(UINT64_MAX));
	REFUSED(-EBADMSG, h->table_offset = le64_make(le64_get(h->table_offset) + 64));
	REFUSED(-EBADMSG, h->nsections = le32_make(0));
	REFUSED(-EBADMSG, h->nsections = le32_make(2));
	REFUSED(-EBADMSG, h->nsections = le32_make(4));
	REFUSED(-EBADMSG, h->nsections = le32_make(UINT32_MAX));
	REFUSED(-EBADMSG, h->file_nbytes = le64_make(f.nbytes + 1));
	REFUSED(-EBADMSG, h->file_nbytes = le64_make(UINT64_MAX));
	REFUSED(-EBADMSG, (h->since = le64_make(8), h->nsections = le32_make(0)));
}
END_TEST

START_TEST(test_contradictions_in_table)
{
	REFUSED(-EBADMSG, e[0].first = le64_make(4));
	REFUSED(-EBADMSG, e[0].last = le64_make(5));
	REFUSED(-EBADMSG, e[1].first = le64_make(6));
	REFUSED(-EBADMSG, (e[1].first = le64_make(6), e[1].last = le64_make(5)));
	REFUSED(-EBADMSG, e[2].last = le64_make(UINT64_MAX));
	REFUSED(-EBADMSG, e[2].last = le64_make(8));
	REFUSED(-EBADMSG, e[1].offset = le64_make(UINT64_MAX));
	REFUSED(-EBADMSG, e[0].offset = le64_make(le64_get(e[0].offset) + 1));
	REFUSED(-EBADMSG, e[2].offset = le64_make(le64_get(e[2].offset) - 1));
	REFUSED(-EBADMSG, e[2].stored_nbytes = le64_make(UINT64_MAX));
	REFUSED(-EBADMSG, e[2].stored_nbytes = le64_make(le64_get(e[2].stored_nbytes) - 1));
	REFUSED(-EBADMSG, e[0].raw_nbytes = le64_make(15));
	REFUSED(-EBADMSG, e[0].raw_nbytes = le64_make(UINT64_MAX));
	REFUSED(-EBADMSG, e[0].encoding = le32_make(2));
	REFUSED(-EBADMSG, e[0].encoding = le32_make(BMF_ENCODING_ZSTD));
	REFUSED(-EBADMSG, e[1].encoding = le32_make(BMF_ENCODING_ZSTD));
	REFUSED(-EBADMSG, e[0].reserved = le32_make(1));
	/* the bits themselves: no such record */
	REFUSED(-EBADMSG, memset(f.buf + le64_get(e[0].offset), 0xff, 16));
	/* blocks past 2^63 bytes: chunks 0 .. 2^32 are 2^47 blocks of 64 KiB */
	REFUSED(-EBADMSG, memcpy(f.buf + le64_get(e[0].offset) + 8, "\1\0\0\0\1\0\0\0", 8));
}
END_TEST

START_TEST(test_last_possible_block)
{
	struct bmf_sidecar *sample = sidecars_sample(), *decoded;
	struct sidecars_file file = sidecars_encode(sample);

	memcpy(file.buf + le64_get(sidecars_entry(&file, 0)->offset) + 8, "\0\0\0\0\1\0\0\0", 8);
	sidecars_reseal(&file);
	decoded = decode(file.buf, file.nbytes);
	ck_assert(bmf_bits_test_all(decoded->sections[0].bits, 0, UINT64_C(1) << 47));
	ck_assert(!bmf_bits_test(decoded->sections[0].bits, UINT64_C(1) << 47));
	bmf_sidecar_free(decoded);
	bmf_sidecar_free(sample);
	free(file.buf);
}
END_TEST

/* Regions past 2^63 bytes are of no file: neither kept nor made up from damage. */
START_TEST(test_impossible_regions)
{
	struct bmf_sidecar *sample = sidecars_sample(), *decoded;
	struct sidecars_file file;

	sample->region_shift = 60;
	file = sidecars_encode(sample);
	decoded = decode(file.buf, file.nbytes);
	ck_assert(bmf_bits_test(decoded->armed, 0));
	ck_assert_uint_eq(bmf_bits_count(decoded->armed, 0, UINT64_MAX), 1);
	bmf_sidecar_free(decoded);
	memset(file.buf + BMF_ARMED_MAP_OFFSET, 0, 4096);
	decoded = decode(file.buf, file.nbytes);
	ck_assert_uint_eq(bmf_bits_count(decoded->armed, 0, UINT64_MAX), 8);
	ck_assert(decoded->in_use);
	bmf_sidecar_free(decoded);
	bmf_sidecar_free(sample);
	free(file.buf);
}
END_TEST

/* ---- bombs ---- */

/* The sample, its last section's stored bytes replaced by these. */
static struct sidecars_file with_payload(const void *stored, size_t nbytes, uint64_t raw_nbytes)
{
	struct bmf_sidecar *sample = sidecars_sample();
	struct sidecars_file file = sidecars_encode(sample);
	uint64_t offset = le64_get(sidecars_entry(&file, 2)->offset);
	struct bmf_disk_section *entry;

	file.nbytes = offset + nbytes;
	file.buf = realloc(file.buf, file.nbytes);
	ck_assert_ptr_nonnull(file.buf);
	memcpy(file.buf + offset, stored, nbytes);
	sidecars_header(&file)->file_nbytes = le64_make(file.nbytes);
	entry = sidecars_entry(&file, 2);
	entry->stored_nbytes = le64_make(nbytes);
	entry->raw_nbytes = le64_make(raw_nbytes);
	entry->encoding = le32_make(BMF_ENCODING_ZSTD);
	bmf_sidecar_free(sample);
	return file;
}

static void check_bomb(const void *stored, size_t nbytes, uint64_t raw_nbytes)
{
	struct sidecars_file file = with_payload(stored, nbytes, raw_nbytes);

	check_refused(&file, -EBADMSG);
}

START_TEST(test_bombs)
{
	size_t raw = 64 << 20, bound = ZSTD_compressBound(raw), n;
	uint8_t *zeros = calloc(1, raw), *packed = malloc(bound);
	/* the header of a frame that promises 2^62 bytes, and one raw block of 1 byte */
	static const uint8_t promise[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x40,
					   0x09, 0,    0,    'x' };
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4 };

	ck_assert_ptr_nonnull(zeros);
	ck_assert_ptr_nonnull(packed);
	n = ZSTD_compress(packed, bound, zeros, raw, 19);
	ck_assert(!ZSTD_isError(n));
	ck_assert_uint_gt(raw / n, BMF_SECTION_RATIO_MAX);
	check_bomb(packed, n, raw);
	check_bomb(packed, n, 4096);
	check_bomb(packed, n, UINT64_MAX);
	check_bomb(promise, sizeof(promise), UINT64_C(1) << 62);
	check_bomb(promise, sizeof(promise), 100);
	check_bomb(skippable, sizeof(skippable), 100);
	check_bomb("", 0, 0);

	/* good frames, but not what the table says */
	n = ZSTD_compress(packed, bound, zeros, 20000, 3);
	check_bomb(packed, n, 20001);
	check_bomb(packed, n, 19999);
	memset(packed + n, 0, 9);
	check_bomb(packed, n + 9, 20000);
	check_bomb(packed, n - 1, 20000);
	free(packed);
	free(zeros);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sidecar");
	TCase *tests = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
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
	tcase_add_test(tests, test_newer);
	tcase_add_test(tests, test_compatible_features);
	tcase_add_test(tests, test_unknown_reason);
	tcase_add_test(tests, test_contradictions_in_header);
	tcase_add_test(tests, test_contradictions_in_table);
	tcase_add_test(tests, test_last_possible_block);
	tcase_add_test(tests, test_impossible_regions);
	tcase_add_test(tests, test_bombs);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
