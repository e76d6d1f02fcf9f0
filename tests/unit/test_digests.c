/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_digests.c - digests.h: against an array, and against a file of long ago */
#include "config.h"

#include "tests/unit/digestfiles.h"
#include "tests/unit/golden.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS_MAX 2000

/* --- against an array */

struct model {
	struct digest *digests, *buf; /* BLOCKS_MAX each */
	struct digest zero;
	uint64_t nblocks, round;
};

static void change(struct rng *rng, struct digests *digests, struct model *model)
{
	uint64_t first = rng_below(rng, model->nblocks + 1),
		 n = rng_below(rng, rng_below(rng, 2) ? 20 : BLOCKS_MAX);
	bool zeros = rng_below(rng, 3) == 0;

	if (n > model->nblocks - first)
		n = model->nblocks - first;
	model->round++;
	for (uint64_t i = first; i < first + n; i++) {
		model->digests[i] = zeros ? model->zero : make_digest(i, model->round);
		if (!zeros && rng_below(rng, 9) == 0)
			digest_set_unknown(&model->digests[i], 1);
	}
	ck_assert_int_eq(digests_write(digests, first, n, zeros ? NULL : model->digests + first),
			 0);
}

static void resize(struct rng *rng, struct digests *digests, struct model *model)
{
	uint64_t nblocks = rng_below(rng, BLOCKS_MAX + 1);

	ck_assert_int_eq(digests_set_nblocks(digests, nblocks), 0);
	for (uint64_t i = model->nblocks; i < nblocks; i++)
		model->digests[i] = model->zero;
	model->nblocks = nblocks;
	ck_assert_uint_eq(digests_nblocks(digests), nblocks);
}

static void look(struct rng *rng, struct digests *digests, struct model *model)
{
	uint64_t first = rng_below(rng, BLOCKS_MAX), n = rng_below(rng, BLOCKS_MAX - first + 1);

	ck_assert_int_eq(digests_read(digests, first, n, model->buf), 0);
	for (uint64_t i = 0; i < n; i++) {
		if (first + i < model->nblocks)
			ck_assert(digest_equal(&model->buf[i], &model->digests[first + i]));
		else
			ck_assert(!digest_is_known(&model->buf[i]));
	}
}

START_TEST(it_is_like_an_array)
{
	struct rng rng = rng_start("it_is_like_an_array");
	struct model model = { .digests = calloc(BLOCKS_MAX, sizeof(struct digest)),
			       .buf = calloc(BLOCKS_MAX, sizeof(struct digest)),
			       .zero = zero_digest() };
	struct digests *digests = digestfile_create(0);

	for (int i = 0; i < 3000; i++) {
		uint64_t what = rng_below(&rng, 20);

		if (what < 9)
			change(&rng, digests, &model);
		else if (what < 11)
			resize(&rng, digests, &model);
		else if (what < 18)
			look(&rng, digests, &model);
		else if (what < 19)
			ck_assert_int_eq(digests_flush(digests), 0);
		else {
			ck_assert_int_eq(digests_close(digests), 0);
			digests = digestfile_open(&bmf_io_posix);
		}
	}
	ck_assert_int_eq(digests_close(digests), 0);
	free(model.digests);
	free(model.buf);
}
END_TEST

START_TEST(a_sparse_image_has_sparse_digests)
{
	uint64_t nblocks = UINT64_C(1) << 28; /* 1 TiB */
	struct digests *digests = digestfile_create(nblocks);
	struct digest got, mark = make_digest(7, 7), zero = zero_digest();
	struct stat st;

	ck_assert_int_eq(digests_write(digests, 100, nblocks - 101, NULL), 0);
	ck_assert_int_eq(digests_write(digests, nblocks / 2, 1, &mark), 0);
	ck_assert_int_eq(digests_flush(digests), 0);
	ck_assert_int_eq(fstatat(scratch_fd, digestfile_name, &st, 0), 0);
	ck_assert_int_le(st.st_blocks, 64);
	ck_assert_int_eq(digests_read(digests, nblocks / 2, 1, &got), 0);
	ck_assert(digest_equal(&got, &mark));
	ck_assert_int_eq(digests_write(digests, 0, nblocks, NULL), 0);
	ck_assert_int_eq(digests_read(digests, nblocks / 2, 1, &got), 0);
	ck_assert(digest_equal(&got, &zero));
	ck_assert_int_eq(digests_write(digests, 1, nblocks, NULL), -EINVAL);
	ck_assert_int_eq(digests_set_nblocks(digests, DIGESTS_BLOCKS_MAX + 1), -EFBIG);
	ck_assert_int_eq(digests_close(digests), 0);
}
END_TEST

/* --- the rest */

static bool exists(const char *name)
{
	return faccessat(scratch_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

START_TEST(others_are_removed)
{
	static const char *const names[] = {
		"00000000-0000-0000-0000-000000000001",
		"00000000-0000-0000-0000-000000000002",
		"00000000-0000-0000-0000-000000000003",
		"00000000-0000-0000-0000-000000000001.tmp",
		"00000000-0000-0000-0000-000000000009.tmp",
		"00000000-0000-0000-0000-00000000000A",
		"00000000-0000-0000-0000-000000000004.old",
		"notes",
	};
	static const bool stay[] = { true, false, true, false, false, true, true, true };
	struct bmf_uuid keep[2];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		close(openat(scratch_fd, names[i], O_WRONLY | O_CREAT, 0600));
	ck_assert_int_eq(bmf_uuid_parse(names[0], &keep[0]), 0);
	ck_assert_int_eq(bmf_uuid_parse(names[2], &keep[1]), 0);
	ck_assert_int_eq(digests_remove_others(&bmf_io_posix, scratch_fd, keep, 2), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_msg(exists(names[i]) == stay[i], "%s", names[i]);
	ck_assert_int_eq(digests_remove_others(&bmf_io_posix, scratch_fd, NULL, 0), 0);
	ck_assert(!exists(names[0]));
	ck_assert(exists("notes"));
	ck_assert_int_eq(digests_remove(&bmf_io_posix, scratch_fd, &keep[0]), 0);
}
END_TEST

START_TEST(the_format_is_as_it_was)
{
	struct digest digests[3], zero = zero_digest();
	struct digests *file = digestfile_create(300);
	uint8_t *buf;
	size_t nbytes;

	digests[0] = digest_of("mirrorfs", 8, digest_seed(&digestfile_key.replica));
	digests[1] = zero;
	digest_set_unknown(&digests[2], 1);
	ck_assert_int_eq(digests_write(file, 1, 3, digests), 0);
	ck_assert_int_eq(digests_write(file, 299, 1, digests), 0);
	ck_assert_int_eq(digests_close(file), 0);
	nbytes = slurp(&buf);
	golden_check("digests-v1.hex", buf, nbytes);
	free(buf);
	buf = golden_read("digests-v1.hex", &nbytes);
	spill(buf, nbytes);
	free(buf);
	file = digestfile_open(&bmf_io_posix);
	ck_assert_uint_eq(digests_nblocks(file), 300);
	ck_assert_int_eq(digests_read(file, 299, 1, &digests[1]), 0);
	ck_assert(digest_equal(&digests[0], &digests[1]));
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("digests");
	TCase *tc = digestfile_case("content");

	tcase_add_test(tc, it_is_like_an_array);
	tcase_add_test(tc, a_sparse_image_has_sparse_digests);
	tcase_add_test(tc, the_format_is_as_it_was);
	suite_add_tcase(suite, tc);
	tc = digestfile_case("removing");
	tcase_add_test(tc, others_are_removed);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
