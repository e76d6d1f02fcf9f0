/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sidecar_refused.c - files whose checksums are right, but not what they say:
 * newer ones, ones that contradict themselves, and ones that want all the memory
 */
#include "config.h"

#include "tests/unit/sidecars.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

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
#define REFUSED(error, change)                                      \
	do {                                                        \
		struct bmf_sidecar *s_ = sidecars_sample();         \
		struct sidecars_file f = sidecars_encode(s_);       \
		struct bmf_disk_header *h = sidecars_header(&f);    \
		struct bmf_disk_section *e = sidecars_entry(&f, 0); \
		(void)h;                                            \
		(void)e;                                            \
		change;                                             \
		check_refused(&f, error);                           \
		bmf_sidecar_free(s_);                               \
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
	decoded = sidecars_decode(file.buf, file.nbytes);
	sidecars_check_equal(sample, decoded);
	bmf_sidecar_free(decoded);

	/* a part that isn't known can be cut off too */
	decoded = NULL;
	ck_assert_int_eq(bmf_sidecar_decode(file.buf, file.nbytes - 1, &decoded, NULL), -EBADMSG);
	ck_assert_ptr_null(decoded);
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
	decoded = sidecars_decode(file.buf, file.nbytes);
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
	REFUSED(-EBADMSG, (e[1].last = le64_make(UINT64_MAX), e[2].first = le64_make(0)));
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

/* Puts n bytes in before offset, and makes the length right. */
static void insert(struct sidecars_file *file, uint64_t offset, size_t n)
{
	file->buf = realloc(file->buf, file->nbytes + n);
	ck_assert_ptr_nonnull(file->buf);
	memmove(file->buf + offset + n, file->buf + offset, file->nbytes - offset);
	memset(file->buf + offset, 0, n);
	file->nbytes += n;
	sidecars_header(file)->file_nbytes = le64_make(file->nbytes);
}

/* Bytes that belong to no part would be covered by no checksum. */
START_TEST(test_gaps)
{
	uint64_t last;

	REFUSED(-EBADMSG, insert(&f, f.nbytes, 1));
	REFUSED(-EBADMSG, (last = le64_get(e[2].offset), e[2].offset = le64_make(last + 3),
			   insert(&f, last, 3)));
}
END_TEST

/* Takes the armed map out of the file. */
static void remove_map(struct sidecars_file *file)
{
	uint64_t table = le64_get(sidecars_header(file)->table_offset);
	uint64_t n = table - BMF_ARMED_MAP_OFFSET;

	memmove(file->buf + BMF_ARMED_MAP_OFFSET, file->buf + table, file->nbytes - table);
	file->nbytes -= n;
	sidecars_header(file)->file_nbytes = le64_make(file->nbytes);
	sidecars_header(file)->table_offset = le64_make(BMF_ARMED_MAP_OFFSET);
	sidecars_header(file)->armed_sectors = le32_make(0);
	for (size_t i = 0; i < 3; i++) {
		struct bmf_disk_section *entry = sidecars_entry(file, i);

		entry->offset = le64_make(le64_get(entry->offset) - n);
	}
}

/* "In use" would have no place. */
START_TEST(test_no_map)
{
	REFUSED(-EBADMSG, remove_map(&f));
}
END_TEST

/* A table that is a good one, but not the one that the header speaks of. */
START_TEST(test_other_table)
{
	struct bmf_sidecar *sample = sidecars_sample(), *decoded = NULL;
	struct sidecars_file file = sidecars_encode(sample);

	sidecars_entry(&file, 0)->last = le64_make(3);
	sidecars_entry(&file, 1)->first = le64_make(4);
	ck_assert_int_eq(bmf_sidecar_decode(file.buf, file.nbytes, &decoded, NULL), -EBADMSG);
	sidecars_reseal(&file);
	ck_assert_int_eq(bmf_sidecar_decode(file.buf, file.nbytes, &decoded, NULL), 0);
	bmf_sidecar_free(decoded);
	bmf_sidecar_free(sample);
	free(file.buf);
}
END_TEST

START_TEST(test_last_possible_block)
{
	struct bmf_sidecar *sample = sidecars_sample(), *decoded;
	struct sidecars_file file = sidecars_encode(sample);

	memcpy(file.buf + le64_get(sidecars_entry(&file, 0)->offset) + 8, "\0\0\0\0\1\0\0\0", 8);
	sidecars_reseal(&file);
	decoded = sidecars_decode(file.buf, file.nbytes);
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
	decoded = sidecars_decode(file.buf, file.nbytes);
	ck_assert(bmf_bits_test(decoded->armed, 0));
	ck_assert_uint_eq(bmf_bits_count(decoded->armed, 0, UINT64_MAX), 1);
	bmf_sidecar_free(decoded);
	memset(file.buf + BMF_ARMED_MAP_OFFSET, 0, 4096);
	decoded = sidecars_decode(file.buf, file.nbytes);
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
	static const uint8_t promise[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0,  0,
					   0,	 0,    0,    0x40, 0x09, 0, 0, 'x' };
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

/* Packs with or without the content's size in the frame; returns the length. */
static size_t pack(uint8_t *packed, size_t capacity, const void *raw, size_t nbytes, int with_size)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t n;

	ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, with_size);
	n = ZSTD_compress2(context, packed, capacity, raw, nbytes);
	ck_assert(!ZSTD_isError(n));
	ZSTD_freeCCtx(context);
	return n;
}

/* Bits that are good, in frames that are not as they have to be. */
START_TEST(test_frames)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0 };
	static const uint8_t one_run[16] = { [8] = 1 };
	struct bmf_sidecar *sample = sidecars_packed_sample(), *decoded;
	struct sidecars_file file;
	uint8_t packed[4096];
	size_t raw_nbytes, n;
	void *raw;

	ck_assert_int_eq(bmf_bits_encode(sample->sections[1].bits, &raw, &raw_nbytes), 0);
	n = pack(packed, sizeof(packed), raw, raw_nbytes, 1);
	file = with_payload(packed, n, raw_nbytes);
	sidecars_reseal(&file);
	decoded = sidecars_decode(file.buf, file.nbytes);
	sidecars_check_bits_equal(decoded->sections[2].bits, sample->sections[1].bits);
	bmf_sidecar_free(decoded);
	free(file.buf);

	memcpy(packed + n, skippable, sizeof(skippable));
	check_bomb(packed, n + sizeof(skippable), raw_nbytes);
	n = pack(packed, sizeof(packed), raw, raw_nbytes, 0);
	check_bomb(packed, n, raw_nbytes);
	n = pack(packed, sizeof(packed), one_run, sizeof(one_run), 1);
	ck_assert_uint_ge(n, sizeof(one_run));
	check_bomb(packed, n, sizeof(one_run));
	free(raw);
	bmf_sidecar_free(sample);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sidecar_refused");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, test_newer);
	tcase_add_test(tests, test_compatible_features);
	tcase_add_test(tests, test_unknown_reason);
	tcase_add_test(tests, test_contradictions_in_header);
	tcase_add_test(tests, test_contradictions_in_table);
	tcase_add_test(tests, test_gaps);
	tcase_add_test(tests, test_no_map);
	tcase_add_test(tests, test_other_table);
	tcase_add_test(tests, test_last_possible_block);
	tcase_add_test(tests, test_impossible_regions);
	tcase_add_test(tests, test_bombs);
	tcase_add_test(tests, test_frames);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
