/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stream.c - the delta stream's format: golden files, round trips, damage
 *
 * What a reader has to refuse though its checksums are right is test_stream_refused.c's,
 * what fails on the way to a disk test_stream_faults.c's.
 */
#include "config.h"

#include "tests/unit/golden.h"
#include "tests/unit/streams.h"
#include "tests/unit/streamseal.h"
#include "tests/unit/suite.h"

#include "tools/stream_format.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is read of those bytes is what was put into file. */
static void check_content(const void *bytes, size_t nbytes, const struct streams_file *file)
{
	struct bmf_error err;
	int fd = streams_fd(bytes, nbytes), r;
	char *text = streams_read(fd, file->journal, &r, &err);

	ck_assert_msg(r == 0, "%s", err.text);
	ck_assert_str_eq(text, file->text);
	free(text);
	close(fd);
}

static void check_golden(const char *name, bool journal)
{
	struct streams_file file = streams_sample(journal, STREAM_NO_ZSTD);
	size_t nbytes;
	uint8_t *golden;

	golden_check(name, file.bytes, file.nbytes);
	golden = golden_read(name, &nbytes);
	check_content(golden, nbytes, &file);
	free(golden);
	streams_file_free(&file);
}

START_TEST(test_golden)
{
	check_golden("stream-v1.hex", false);
	check_golden("stream-v1-journal.hex", true);
}
END_TEST

/* What zstd makes of it depends on its version, so this one is only read. */
START_TEST(test_golden_zstd)
{
	struct streams_file file = streams_packed_sample(0);
	uint8_t *golden;
	size_t nbytes;

	if (getenv("GOLDEN_UPDATE"))
		golden_check("stream-v1-zstd.hex", file.bytes, file.nbytes);
	ck_assert_uint_lt(file.nbytes, 2048);
	golden = golden_read("stream-v1-zstd.hex", &nbytes);
	/* but for the footer, which counts what zstd has made */
	*strstr(file.text, "footer") = '\0';
	{
		int fd = streams_fd(golden, nbytes), r;
		char *text = streams_read(fd, false, &r, NULL);

		ck_assert_int_eq(r, 0);
		*strstr(text, "footer") = '\0';
		ck_assert_str_eq(text, file.text);
		free(text);
		close(fd);
	}
	free(golden);
	streams_file_free(&file);
}
END_TEST

START_TEST(test_round_trip)
{
	struct rng rng = rng_start("test_round_trip");

	for (int i = 0; i < 60; i++) {
		struct streams_file file = streams_random(&rng);

		check_content(file.bytes, file.nbytes, &file);
		streams_file_free(&file);
	}
}
END_TEST

START_TEST(test_header)
{
	struct streams_file file = streams_sample(true, 0);
	struct stream_header want = streams_header(true), got;
	struct stream_totals totals;
	struct stream_expect expect = { .journal = true,
					.source = &want.source,
					.replica = &want.replica };
	struct bmf_uuid other = { { 1 } };
	int fd = streams_fd(file.bytes, file.nbytes);

#define VERIFY() (lseek(fd, 0, SEEK_SET), stream_verify(fd, &expect, &got, &totals, NULL))
	ck_assert_int_eq(VERIFY(), 0);
	ck_assert_uint_eq(got.from, want.from);
	ck_assert_uint_eq(got.to, want.to);
	ck_assert_int_eq(got.to_time_ns, want.to_time_ns);
	ck_assert_uint_eq(got.block_shift, want.block_shift);
	ck_assert(got.journal && bmf_uuid_equal(&got.source, &want.source) &&
		  bmf_uuid_equal(&got.replica, &want.replica) &&
		  bmf_uuid_equal(&got.from_uuid, &want.from_uuid) &&
		  bmf_uuid_equal(&got.to_uuid, &want.to_uuid));
	ck_assert_uint_eq(totals.stream_nbytes, file.nbytes);
	expect.source = &other;
	ck_assert_int_eq(VERIFY(), -ESTALE);
	expect.source = NULL;
	expect.replica = &other;
	ck_assert_int_eq(VERIFY(), -ESTALE);
	expect.replica = NULL;
	expect.journal = false;
	ck_assert_int_eq(VERIFY(), -EBADMSG);
#undef VERIFY
	close(fd);
	streams_file_free(&file);
}
END_TEST

/* Text is packed, unless the writer is told not to. */
START_TEST(test_packing_pays)
{
	struct streams_file packed = streams_packed_sample(0);
	struct streams_file plain = streams_packed_sample(STREAM_NO_ZSTD);

	ck_assert_uint_lt(packed.nbytes * 2, plain.nbytes);
	ck_assert_uint_gt(plain.nbytes, 5096);
	streams_file_free(&packed);
	streams_file_free(&plain);
}
END_TEST

/* ---- damage ---- */

START_TEST(test_truncated)
{
	struct streams_file file = streams_sample(true, 0);
	struct bmf_error err;

	for (size_t n = 0; n < file.nbytes; n++) {
		err.code = 0;
		ck_assert_msg(streams_verify(file.bytes, n, true, &err) == -EBADMSG,
			      "%zu of %zu bytes are accepted", n, file.nbytes);
		ck_assert_int_eq(err.code, -EBADMSG);
	}
	streams_file_free(&file);
}
END_TEST

START_TEST(test_flipped)
{
	struct streams_file file = _i ? streams_packed_sample(0) : streams_sample(true, 0);

	for (size_t bit = 0; bit < file.nbytes * 8; bit++) {
		file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_msg(streams_verify(file.bytes, file.nbytes, !_i, NULL) == -EBADMSG,
			      "bit %zu of %zu may be wrong", bit, file.nbytes * 8);
		file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_int_eq(streams_verify(file.bytes, file.nbytes, !_i, NULL), 0);
	streams_file_free(&file);
}
END_TEST

static size_t record_nbytes(const uint8_t *record)
{
	struct stream_disk_head head;

	memcpy(&head, record, sizeof(head));
	return STREAM_RECORD_EXTRA + le32_get(head.payload_nbytes);
}

/* Each record left out, doubled, and swapped with the next, as it is. */
START_TEST(test_records_moved)
{
	struct streams_file file = streams_sample(true, 0);
	uint8_t *copy = malloc(file.nbytes * 2);
	size_t at = sizeof(struct stream_disk_header), n, after, m;

	for (; at < file.nbytes; at += n) {
		n = record_nbytes(file.bytes + at);
		after = file.nbytes - at - n;
		memcpy(copy, file.bytes, at);
		memcpy(copy + at, file.bytes + at + n, after);
		ck_assert_int_eq(streams_verify(copy, file.nbytes - n, true, NULL), -EBADMSG);
		memcpy(copy, file.bytes, at + n);
		memcpy(copy + at + n, file.bytes + at, n + after);
		ck_assert_int_eq(streams_verify(copy, file.nbytes + n, true, NULL), -EBADMSG);
		if (after == 0)
			break;
		m = record_nbytes(file.bytes + at + n);
		memcpy(copy, file.bytes, file.nbytes);
		memcpy(copy + at, file.bytes + at + n, m);
		memcpy(copy + at + m, file.bytes + at, n);
		ck_assert_int_eq(streams_verify(copy, file.nbytes, true, NULL), -EBADMSG);
	}
	free(copy);
	streams_file_free(&file);
}
END_TEST

START_TEST(test_names_the_record)
{
	struct streams_file file = streams_sample(false, 0);
	size_t at = sizeof(struct stream_disk_header);
	struct bmf_error err;
	char want[128];

	for (int i = 0; i < 3; i++)
		at += record_nbytes(file.bytes + at);
	file.bytes[at + 20] ^= 1;
	ck_assert_int_eq(streams_verify(file.bytes, file.nbytes, false, &err), -EBADMSG);
	snprintf(want, sizeof(want),
		 "read 'x': record 3 (file at offset %zu): its checksum is wrong", at);
	ck_assert_str_eq(err.text, want);
	streams_file_free(&file);
}
END_TEST

/* Whatever is changed, and sealed again: it is read or refused, and nothing else. */
START_TEST(test_mutations)
{
	struct rng rng = rng_start("test_mutations");
	struct streams_file samples[] = { streams_sample(true, 0), streams_sample(false, 0),
					  streams_packed_sample(0) };
	unsigned long accepted = 0;

	for (int i = 0; i < 30000; i++) {
		const struct streams_file *file = &samples[rng_below(&rng, 3)];
		uint8_t *copy = malloc(file->nbytes);
		int r;

		memcpy(copy, file->bytes, file->nbytes);
		for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
			copy[rng_below(&rng, file->nbytes)] = (uint8_t)rng_next(&rng);
		streamseal(copy, file->nbytes);
		r = streams_verify(copy, file->nbytes, file->journal, NULL);
		ck_assert(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
		accepted += r == 0;
		free(copy);
	}
	/* or the seal is broken, and all of this looks at checksums only */
	ck_assert_uint_gt(accepted, 1000);
	printf("test_mutations: %lu of 30000 accepted\n", accepted);
	for (int i = 0; i < 3; i++)
		streams_file_free(&samples[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, test_golden);
	tcase_add_test(tests, test_golden_zstd);
	tcase_add_test(tests, test_round_trip);
	tcase_add_test(tests, test_header);
	tcase_add_test(tests, test_packing_pays);
	tcase_add_test(tests, test_truncated);
	tcase_add_loop_test(tests, test_flipped, 0, 2);
	tcase_add_test(tests, test_records_moved);
	tcase_add_test(tests, test_names_the_record);
	tcase_add_test(tests, test_mutations);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
