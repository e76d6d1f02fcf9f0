/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_digests_damage.c - files of digests that are damaged, or somebody else's */
#include "config.h"

#include "tests/unit/digestfiles.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is known must be right.  Returns how many are known; -1 when it is refused. */
static int count_known(const struct digest digests[SMALL])
{
	struct digest got[SMALL];
	struct digests *file = NULL;
	struct bmf_error err = { 0 };
	int known = 0,
	    r = digests_open(&bmf_io_posix, scratch_fd, &digestfile_key, false, &file, &err);

	if (r < 0) {
		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_int_eq(err.code, r);
		return -1;
	}
	ck_assert_int_eq(digests_read(file, 0, SMALL, got), 0);
	for (int i = 0; i < SMALL; i++) {
		if (!digest_is_known(&got[i]))
			continue;
		ck_assert(digest_equal(&got[i], &digests[i]));
		known++;
	}
	ck_assert_int_eq(digests_close(file), 0);
	return known;
}

/* One bit of each byte, which one the seed decides. */
START_TEST(every_flipped_bit_is_noticed)
{
	struct rng rng = rng_start("every_flipped_bit_is_noticed");
	struct digest digests[SMALL];
	uint8_t *buf;
	size_t nbytes;
	int fd;

	make_small(digests);
	ck_assert_int_eq(count_known(digests), SMALL);
	nbytes = slurp(&buf);
	ck_assert_uint_eq(nbytes, 3 * DIGESTS_PAGE);
	fd = openat(scratch_fd, digestfile_name, O_WRONLY);
	for (size_t at = 0; at < nbytes; at++) {
		uint8_t flipped = buf[at] ^ (uint8_t)(1u << rng_below(&rng, 8));
		int known;

		ck_assert_int_eq(pwrite(fd, &flipped, 1, (off_t)at), 1);
		known = count_known(digests);
		ck_assert_int_eq(known, at < DIGESTS_PAGE	? -1
					: at < 2 * DIGESTS_PAGE ? SMALL - DIGESTS_PER_PAGE
								: DIGESTS_PER_PAGE);
		ck_assert_int_eq(pwrite(fd, &buf[at], 1, (off_t)at), 1);
	}
	close(fd);
	ck_assert_int_eq(count_known(digests), SMALL);
	free(buf);
}
END_TEST

START_TEST(what_was_cut_off_is_unknown)
{
	struct digest digests[SMALL];
	int fd;

	make_small(digests);
	fd = openat(scratch_fd, digestfile_name, O_WRONLY);
	for (off_t nbytes = 3 * DIGESTS_PAGE - 1; nbytes >= 0; nbytes--) {
		ck_assert_int_eq(ftruncate(fd, nbytes), 0);
		ck_assert_int_eq(count_known(digests), nbytes < DIGESTS_PAGE ? -1
						       : nbytes < 2 * DIGESTS_PAGE
							       ? 0
							       : DIGESTS_PER_PAGE);
	}
	close(fd);
}
END_TEST

/* Growing, and writing elsewhere, must not make a hole of it. */
START_TEST(what_was_cut_off_stays_unknown)
{
	struct digest digests[SMALL], got[SMALL + 1000], zero = zero_digest();
	struct digests *file;
	uint8_t *buf;

	make_small(digests);
	slurp(&buf);
	spill(buf, DIGESTS_PAGE + 100);
	free(buf);
	file = digestfile_open(&bmf_io_posix);
	ck_assert_int_eq(digests_set_nblocks(file, SMALL + 1000), 0);
	ck_assert_int_eq(digests_write(file, SMALL - 1, 1, &digests[SMALL - 1]), 0);
	ck_assert_int_eq(digests_close(file), 0);
	file = digestfile_open(&bmf_io_posix);
	ck_assert_int_eq(digests_read(file, 0, SMALL + 1000, got), 0);
	for (int i = 0; i < SMALL - 1; i++)
		ck_assert(!digest_is_known(&got[i]));
	ck_assert(digest_equal(&got[SMALL - 1], &digests[SMALL - 1]));
	for (int i = SMALL; i < SMALL + 1000; i++)
		ck_assert(digest_equal(&got[i], &zero));
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

START_TEST(writing_into_a_damaged_page_proves_no_neighbour)
{
	struct digest digests[SMALL], got[SMALL], mark = make_digest(9, 9);
	struct digests *file;
	uint8_t *buf;
	size_t nbytes;

	make_small(digests);
	nbytes = slurp(&buf);
	buf[DIGESTS_PAGE + 1234] ^= 1;
	spill(buf, nbytes);
	free(buf);
	file = digestfile_open(&bmf_io_posix);
	ck_assert_int_eq(digests_write(file, 9, 1, &mark), 0);
	ck_assert_int_eq(digests_close(file), 0);
	file = digestfile_open(&bmf_io_posix);
	ck_assert_int_eq(digests_read(file, 0, SMALL, got), 0);
	for (int i = 0; i < DIGESTS_PER_PAGE; i++)
		ck_assert(i == 9 ? digest_equal(&got[i], &mark) : !digest_is_known(&got[i]));
	for (int i = DIGESTS_PER_PAGE; i < SMALL; i++)
		ck_assert(digest_equal(&got[i], &digests[i]));
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

static int try_key(struct digests_key other)
{
	struct digests *file = NULL;
	struct bmf_error err = { 0 };
	char name[BMF_UUID_TEXT];
	int r;

	bmf_uuid_format(&other.image, name);
	if (strcmp(name, digestfile_name) != 0)
		ck_assert_int_eq(linkat(scratch_fd, digestfile_name, scratch_fd, name, 0), 0);
	r = digests_open(&bmf_io_posix, scratch_fd, &other, true, &file, &err);
	ck_assert_int_eq(err.code, r);
	return r;
}

START_TEST(what_is_anothers_is_refused)
{
	struct digests_key other = digestfile_key;
	struct digest digests[SMALL];
	struct digests_disk_header header;
	uint8_t *buf;

	make_small(digests);
	other.replica.b[15] ^= 1;
	ck_assert_int_eq(try_key(other), -EBADMSG);
	other = digestfile_key;
	other.image.b[15] ^= 1;
	ck_assert_int_eq(try_key(other), -EBADMSG);
	other.image.b[15] ^= 3;
	other.block_shift = 22;
	ck_assert_int_eq(try_key(other), -EINVAL);
	other = digestfile_key;
	other.block_shift = 16;
	ck_assert_int_eq(try_key(other), -EBADMSG);
	slurp(&buf);
	for (int i = 0; i < 2; i++) {
		memcpy(&header, buf, sizeof(header));
		if (i == 0)
			header.version = le32_make(DIGESTS_VERSION + 1);
		else
			header.incompat = le32_make(1);
		memcpy(header.digest,
		       digest_of(&header, offsetof(struct digests_disk_header, digest), 0).b, 16);
		spill((uint8_t *)&header, sizeof(header));
		ck_assert_int_eq(try_key(digestfile_key), -EPROTONOSUPPORT);
	}
	free(buf);
	ck_assert_int_eq(unlinkat(scratch_fd, digestfile_name, 0), 0);
	ck_assert_int_eq(try_key(digestfile_key), -ENOENT);
	ck_assert_int_eq(symlinkat("elsewhere", scratch_fd, digestfile_name), 0);
	ck_assert_int_eq(try_key(digestfile_key), -EBADMSG);
	ck_assert_int_eq(digests_remove(&bmf_io_posix, scratch_fd, &digestfile_key.image), 0);
	ck_assert_int_eq(mkfifoat(scratch_fd, digestfile_name, 0600), 0);
	ck_assert_int_eq(try_key(digestfile_key), -EBADMSG);
	ck_assert_int_eq(digests_close(digestfile_create(1)), 0);
}
END_TEST

/* A page that a disk put in the place of another doesn't count there. */
START_TEST(a_misplaced_page_is_noticed)
{
	struct digest digests[SMALL];
	uint8_t *buf;
	size_t nbytes;

	make_small(digests);
	nbytes = slurp(&buf);
	memcpy(buf + (size_t)2 * DIGESTS_PAGE, buf + DIGESTS_PAGE, DIGESTS_PAGE);
	spill(buf, nbytes);
	ck_assert_int_eq(count_known(digests), DIGESTS_PER_PAGE);
	free(buf);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("digests_damage");
	TCase *tc = digestfile_case("damage");

	tcase_add_test(tc, every_flipped_bit_is_noticed);
	tcase_add_test(tc, what_was_cut_off_is_unknown);
	tcase_add_test(tc, what_was_cut_off_stays_unknown);
	tcase_add_test(tc, writing_into_a_damaged_page_proves_no_neighbour);
	tcase_add_test(tc, a_misplaced_page_is_noticed);
	suite_add_tcase(suite, tc);
	tc = digestfile_case("refused");
	tcase_add_test(tc, what_is_anothers_is_refused);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
