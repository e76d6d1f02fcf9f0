/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_seal_mark.c - seal_mark.h: a mark comes back, and a damaged one is still one */
#include "config.h"

#include "bitmapfile/seal_mark.h"
#include "bitmapfile/store.h"
#include "tests/unit/faultio.h"
#include "tests/unit/golden.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH BMF_STATE_DIR "/" BMF_SEAL_NAME

static char label[] = "/backup/images\n2";
static const struct bmf_seal sample = {
	.replica = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } },
	.number = 17,
	.checkpoint = { { 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 } },
	.time_ns = 1700000000123456789,
	.label = label,
};

static void make(void)
{
	scratch_make();
	ck_assert_int_eq(mkdirat(scratch_fd, BMF_STATE_DIR, 0700), 0);
}

static void must_be_sample(void)
{
	struct bmf_seal seal;

	ck_assert_int_eq(bmf_seal_load(&bmf_io_posix, scratch_fd, &seal, NULL), 0);
	ck_assert(bmf_uuid_equal(&seal.replica, &sample.replica));
	ck_assert(bmf_uuid_equal(&seal.checkpoint, &sample.checkpoint));
	ck_assert_uint_eq(seal.number, sample.number);
	ck_assert_int_eq(seal.time_ns, sample.time_ns);
	ck_assert_str_eq(seal.label, sample.label);
	bmf_seal_destroy(&seal);
}

static int load(struct bmf_error *err)
{
	struct bmf_seal seal;
	int r = bmf_seal_load(&bmf_io_posix, scratch_fd, &seal, err);

	if (r == 0)
		bmf_seal_destroy(&seal);
	return r;
}

START_TEST(it_comes_back)
{
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(load(NULL), -ENOENT);
	ck_assert_int_eq(bmf_seal_remove(&bmf_io_posix, scratch_fd), -ENOENT);
	ck_assert_int_eq(bmf_seal_save(&bmf_io_posix, scratch_fd, &sample), 0);
	must_be_sample();
	ck_assert_int_eq(bmf_io_read_file(&bmf_io_posix, scratch_fd, PATH, 4096, &buf, &nbytes), 0);
	golden_check("seal-v1.hex", buf, nbytes);
	free(buf);
	ck_assert_int_eq(bmf_seal_save(&bmf_io_posix, scratch_fd, &sample), 0);
	must_be_sample();
	ck_assert_int_eq(bmf_seal_remove(&bmf_io_posix, scratch_fd), 0);
	ck_assert_int_eq(load(NULL), -ENOENT);
}
END_TEST

/* Whatever is wrong with it, nobody may take it for none. */
START_TEST(damaged_it_is_still_one)
{
	struct bmf_error err;
	size_t nbytes;
	uint8_t *good;
	void *buf;

	ck_assert_int_eq(bmf_seal_save(&bmf_io_posix, scratch_fd, &sample), 0);
	ck_assert_int_eq(bmf_io_read_file(&bmf_io_posix, scratch_fd, PATH, 4096, &buf, &nbytes), 0);
	good = buf;
	for (size_t i = 0; i < nbytes; i++) {
		int fd = openat(scratch_fd, PATH, O_WRONLY | O_TRUNC);

		good[i] ^= 0x10;
		ck_assert_int_eq(write(fd, good, nbytes), (ssize_t)nbytes);
		good[i] ^= 0x10;
		close(fd);
		ck_assert_int_eq(load(&err), -EBADMSG);
		ck_assert_str_ne(err.text, "");
	}
	for (size_t n = 0; n < nbytes; n++) {
		int fd = openat(scratch_fd, PATH, O_WRONLY | O_TRUNC);

		ck_assert_int_eq(write(fd, good, n), (ssize_t)n);
		close(fd);
		ck_assert_int_eq(load(&err), -EBADMSG);
	}
	free(buf);
	ck_assert_int_eq(unlinkat(scratch_fd, PATH, 0), 0);
	ck_assert_int_eq(mkdirat(scratch_fd, PATH, 0700), 0);
	ck_assert_int_eq(load(&err), -EISDIR);
}
END_TEST

/* One that isn't known to be durable is none; and one that is, is there. */
START_TEST(any_call_fails)
{
	struct faultio fault;
	unsigned long n, nfailed_fsyncs = 0;

	faultio_init(&fault, &bmf_io_posix);
	for (n = 1;; n++) {
		faultio_arm(&fault, FAULTIO_ALL & ~FAULTIO_UNLINKAT, n, -EIO, 0);
		if (bmf_seal_save(&fault.io, scratch_fd, &sample) == 0) {
			must_be_sample();
			break;
		}
		ck_assert_int_eq(load(NULL), -ENOENT);
	}
	ck_assert_uint_gt(n, 5);
	for (n = 1;; n++) {
		faultio_arm(&fault, FAULTIO_FSYNC, n, -EIO, 0);
		if (bmf_seal_save(&fault.io, scratch_fd, &sample) == 0)
			break;
		nfailed_fsyncs++;
	}
	ck_assert_uint_eq(nfailed_fsyncs, 2); /* of the file, and of its name */
	faultio_arm(&fault, FAULTIO_FSYNC, 1, -EIO, 0);
	ck_assert_int_eq(bmf_seal_remove(&fault.io, scratch_fd), -EIO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seal mark");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, make, scratch_remove);
	tcase_add_test(tests, it_comes_back);
	tcase_add_test(tests, damaged_it_is_still_one);
	tcase_add_test(tests, any_call_fails);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
