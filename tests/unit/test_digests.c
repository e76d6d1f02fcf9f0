/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_digests.c - digests.h: against an array, on damage, and with failing calls */
#include "config.h"

#include "tests/unit/faultio.h"
#include "tests/unit/golden.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"
#include "tools/digests.h"
#include "tools/digests_format.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS_MAX 2000

static const struct digests_key key = { .replica = { { 1, 2, 3, 4 } },
					.image = { { 0xaa, 0xbb, 5 } },
					.block_shift = 12 };
static const char *const file_name = "aabb0500-0000-0000-0000-000000000000";

static struct digests *open_file(const struct bmf_io *io)
{
	struct digests *digests = NULL;
	struct bmf_error err = { 0 };

	ck_assert_msg(digests_open(io, scratch_fd, &key, true, &digests, &err) == 0, "%s",
		      err.text);
	return digests;
}

static struct digests *create_file(uint64_t nblocks)
{
	struct digests *digests = NULL;

	ck_assert_int_eq(digests_create(&bmf_io_posix, scratch_fd, &key, &digests, NULL), 0);
	ck_assert_int_eq(digests_set_nblocks(digests, nblocks), 0);
	return digests;
}

static struct digest zero_digest(void)
{
	struct digest zero;

	ck_assert_int_eq(digest_of_zero_block(key.block_shift, digest_seed(&key.replica), &zero),
			 0);
	return zero;
}

/* One that says which it is, and in which write it was made. */
static struct digest make_digest(uint64_t block, uint64_t round)
{
	struct digest digest = { { 0x77 } };

	memcpy(&digest.b[1], &block, 7);
	memcpy(&digest.b[8], &round, 8);
	return digest;
}

static size_t slurp(uint8_t **ret)
{
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(
		bmf_io_read_file(&bmf_io_posix, scratch_fd, file_name, 1 << 24, &buf, &nbytes), 0);
	*ret = buf;
	return nbytes;
}

static void spill(const uint8_t *buf, size_t nbytes)
{
	int fd = openat(scratch_fd, file_name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, buf, nbytes), (ssize_t)nbytes);
	close(fd);
}

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
	struct digests *digests = create_file(0);

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
			digests = open_file(&bmf_io_posix);
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
	struct digests *digests = create_file(nblocks);
	struct digest got, mark = make_digest(7, 7), zero = zero_digest();
	struct stat st;

	ck_assert_int_eq(digests_write(digests, 100, nblocks - 101, NULL), 0);
	ck_assert_int_eq(digests_write(digests, nblocks / 2, 1, &mark), 0);
	ck_assert_int_eq(digests_flush(digests), 0);
	ck_assert_int_eq(fstatat(scratch_fd, file_name, &st, 0), 0);
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

/* --- damage */

#define SMALL 300 /* blocks: a page, and a part of one */

static void make_small(struct digest digests[SMALL])
{
	struct digests *file = create_file(SMALL);

	for (uint64_t i = 0; i < SMALL; i++)
		digests[i] = make_digest(i, 1);
	ck_assert_int_eq(digests_write(file, 0, SMALL, digests), 0);
	ck_assert_int_eq(digests_close(file), 0);
}

/* What is known must be right.  Returns how many are known; -1 when it is refused. */
static int count_known(const struct digest digests[SMALL])
{
	struct digest got[SMALL];
	struct digests *file = NULL;
	struct bmf_error err = { 0 };
	int known = 0, r = digests_open(&bmf_io_posix, scratch_fd, &key, false, &file, &err);

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
	fd = openat(scratch_fd, file_name, O_WRONLY);
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
	fd = openat(scratch_fd, file_name, O_WRONLY);
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
	file = open_file(&bmf_io_posix);
	ck_assert_int_eq(digests_set_nblocks(file, SMALL + 1000), 0);
	ck_assert_int_eq(digests_write(file, SMALL - 1, 1, &digests[SMALL - 1]), 0);
	ck_assert_int_eq(digests_close(file), 0);
	file = open_file(&bmf_io_posix);
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
	file = open_file(&bmf_io_posix);
	ck_assert_int_eq(digests_write(file, 9, 1, &mark), 0);
	ck_assert_int_eq(digests_close(file), 0);
	file = open_file(&bmf_io_posix);
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
	if (strcmp(name, file_name) != 0)
		ck_assert_int_eq(linkat(scratch_fd, file_name, scratch_fd, name, 0), 0);
	r = digests_open(&bmf_io_posix, scratch_fd, &other, true, &file, &err);
	ck_assert_int_eq(err.code, r);
	return r;
}

START_TEST(what_is_anothers_is_refused)
{
	struct digests_key other = key;
	struct digest digests[SMALL];
	struct digests_disk_header header;
	uint8_t *buf;

	make_small(digests);
	other.replica.b[15] ^= 1;
	ck_assert_int_eq(try_key(other), -EBADMSG);
	other = key;
	other.image.b[15] ^= 1;
	ck_assert_int_eq(try_key(other), -EBADMSG);
	other.image.b[15] ^= 3;
	other.block_shift = 22;
	ck_assert_int_eq(try_key(other), -EINVAL);
	other = key;
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
		ck_assert_int_eq(try_key(key), -EPROTONOSUPPORT);
	}
	free(buf);
	ck_assert_int_eq(unlinkat(scratch_fd, file_name, 0), 0);
	ck_assert_int_eq(try_key(key), -ENOENT);
	ck_assert_int_eq(symlinkat("elsewhere", scratch_fd, file_name), 0);
	ck_assert_int_eq(try_key(key), -EBADMSG);
	ck_assert_int_eq(digests_remove(&bmf_io_posix, scratch_fd, &key.image), 0);
	ck_assert_int_eq(mkfifoat(scratch_fd, file_name, 0600), 0);
	ck_assert_int_eq(try_key(key), -EBADMSG);
	ck_assert_int_eq(digests_close(create_file(1)), 0);
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

/* --- failing calls */

/* Writes the digests of one round over those of the one before; the first failure. */
static int upkeep(const struct bmf_io *io, bool create)
{
	struct digest digests[SMALL];
	struct digests *file = NULL;
	int r, closed;

	for (uint64_t i = 0; i < SMALL; i++)
		digests[i] = make_digest(i, 2);
	r = create ? digests_create(io, scratch_fd, &key, &file, NULL)
		   : digests_open(io, scratch_fd, &key, true, &file, NULL);
	if (r < 0)
		return r;
	r = digests_set_nblocks(file, 2 * SMALL);
	if (r == 0)
		r = digests_write(file, 10, SMALL - 20, digests + 10);
	if (r == 0)
		r = digests_write(file, SMALL, 200, NULL);
	if (r == 0)
		r = digests_write(file, 0, 10, digests);
	if (r == 0)
		r = digests_set_nblocks(file, SMALL);
	if (r == 0)
		r = digests_flush(file);
	closed = digests_close(file);
	return r < 0 ? r : closed;
}

/* Each is of the first round or the second, or zero, or unknown. */
static void check_rounds(bool succeeded)
{
	struct digest got[SMALL], zero = zero_digest();
	struct digests *file = NULL;
	int r = digests_open(&bmf_io_posix, scratch_fd, &key, false, &file, NULL);

	if (r < 0) {
		ck_assert(!succeeded);
		ck_assert(r == -EBADMSG || r == -ENOENT);
		return;
	}
	ck_assert_int_eq(digests_read(file, 0, SMALL, got), 0);
	for (uint64_t i = 0; i < SMALL; i++) {
		struct digest old = make_digest(i, 1), new = make_digest(i, 2);
		bool is_new = digest_equal(&got[i], &new);

		if (succeeded && i < SMALL - 10)
			ck_assert(is_new || !digest_is_known(&got[i]));
		ck_assert(is_new || digest_equal(&got[i], &old) || digest_equal(&got[i], &zero) ||
			  !digest_is_known(&got[i]));
	}
	ck_assert_int_eq(digests_close(file), 0);
}

static void fail_each(bool create, unsigned int flags, int error)
{
	struct digest digests[SMALL];
	struct faultio fault;

	faultio_init(&fault, &bmf_io_posix);
	for (unsigned long n = 1;; n++) {
		int r;

		make_small(digests);
		faultio_arm(&fault, FAULTIO_ALL, n, error, flags);
		r = upkeep(&fault.io, create);
		ck_assert_int_eq(faultio_open_fds(&fault), 0);
		check_rounds(r == 0);
		if (!faultio_fired(&fault))
			break;
		ck_assert_uint_lt(n, 1000);
		faultio_arm(&fault, FAULTIO_ALL, 0, 0, 0);
		digests_remove(&bmf_io_posix, scratch_fd, &key.image);
	}
}

START_TEST(any_call_may_fail)
{
	for (int create = 0; create < 2; create++) {
		fail_each(create, 0, -EIO);
		fail_each(create, 0, -ENOSPC);
		fail_each(create, FAULTIO_STICKY, -ENOSPC);
		fail_each(create, FAULTIO_SHORT, -ENOSPC);
		fail_each(create, FAULTIO_AFTER, -EIO);
	}
}
END_TEST

START_TEST(a_failed_fsync_is_never_made_good)
{
	struct digest digests[SMALL];
	struct digests *file;
	struct faultio fault;

	make_small(digests);
	faultio_init(&fault, &bmf_io_posix);
	file = open_file(&fault.io);
	ck_assert_int_eq(digests_write(file, 0, 1, NULL), 0);
	faultio_arm(&fault, FAULTIO_FSYNC, 1, -EIO, 0);
	ck_assert_int_eq(digests_flush(file), -EIO);
	ck_assert_int_eq(digests_flush(file), -EIO);
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

START_TEST(without_holes_zeros_are_written)
{
	struct digest digests[SMALL], got[SMALL], zero = zero_digest();
	struct digests *file;
	struct faultio fault;

	make_small(digests);
	faultio_init(&fault, &bmf_io_posix);
	file = open_file(&fault.io);
	faultio_arm(&fault, FAULTIO_FALLOCATE, 1, -EOPNOTSUPP, FAULTIO_STICKY);
	ck_assert_int_eq(digests_write(file, 0, SMALL, NULL), 0);
	ck_assert_int_eq(digests_flush(file), 0);
	ck_assert(faultio_fired(&fault));
	ck_assert_int_eq(digests_read(file, 0, SMALL, got), 0);
	for (int i = 0; i < SMALL; i++)
		ck_assert(digest_equal(&got[i], &zero));
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

/* Neither what is in memory nor what is left in the file comes back later. */
START_TEST(what_went_comes_not_back)
{
	struct digest got, mark = make_digest(260, 1), zero = zero_digest();
	struct digests *file = create_file(765);
	struct faultio fault;

	ck_assert_int_eq(digests_write(file, 260, 1, &mark), 0);
	ck_assert_int_eq(digests_write(file, 255, 510, NULL), 0);
	ck_assert_int_eq(digests_close(file), 0);
	faultio_init(&fault, &bmf_io_posix);
	file = open_file(&fault.io);
	for (int fail = 0; fail < 2; fail++) {
		ck_assert_int_eq(digests_read(file, 260, 1, &got), 0);
		ck_assert(digest_equal(&got, &zero));
		ck_assert_int_eq(digests_write(file, 260, 1, &mark), 0);
		faultio_arm(&fault, FAULTIO_FTRUNCATE, (unsigned long)fail, -EIO, 0);
		ck_assert_int_eq(digests_set_nblocks(file, 255), fail ? -EIO : 0);
		ck_assert_int_eq(digests_set_nblocks(file, 765), 0);
	}
	ck_assert_int_eq(digests_read(file, 260, 1, &got), 0);
	ck_assert(digest_equal(&got, &zero));
	ck_assert_int_eq(digests_close(file), 0);
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
	struct digests *file = create_file(300);
	uint8_t *buf;
	size_t nbytes;

	digests[0] = digest_of("mirrorfs", 8, digest_seed(&key.replica));
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
	file = open_file(&bmf_io_posix);
	ck_assert_uint_eq(digests_nblocks(file), 300);
	ck_assert_int_eq(digests_read(file, 299, 1, &digests[1]), 0);
	ck_assert(digest_equal(&digests[0], &digests[1]));
	ck_assert_int_eq(digests_close(file), 0);
}
END_TEST

static TCase *new_case(const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_set_timeout(tc, 120);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("digests");
	TCase *tc = new_case("content");

	tcase_add_test(tc, it_is_like_an_array);
	tcase_add_test(tc, a_sparse_image_has_sparse_digests);
	tcase_add_test(tc, the_format_is_as_it_was);
	suite_add_tcase(suite, tc);
	tc = new_case("damage");
	tcase_add_test(tc, every_flipped_bit_is_noticed);
	tcase_add_test(tc, what_was_cut_off_is_unknown);
	tcase_add_test(tc, what_was_cut_off_stays_unknown);
	tcase_add_test(tc, writing_into_a_damaged_page_proves_no_neighbour);
	tcase_add_test(tc, a_misplaced_page_is_noticed);
	suite_add_tcase(suite, tc);
	tc = new_case("refused");
	tcase_add_test(tc, what_is_anothers_is_refused);
	suite_add_tcase(suite, tc);
	tc = new_case("faults");
	tcase_add_test(tc, any_call_may_fail);
	tcase_add_test(tc, a_failed_fsync_is_never_made_good);
	tcase_add_test(tc, without_holes_zeros_are_written);
	tcase_add_test(tc, what_went_comes_not_back);
	suite_add_tcase(suite, tc);
	tc = new_case("removing");
	tcase_add_test(tc, others_are_removed);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
