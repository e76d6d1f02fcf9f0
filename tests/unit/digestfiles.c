/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digestfiles.c - a file of digests in the scratch directory, and what the tests put into it */
#include "config.h"

#include "tests/unit/digestfiles.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const struct digests_key digestfile_key = { .replica = { { 1, 2, 3, 4 } },
					    .image = { { 0xaa, 0xbb, 5 } },
					    .block_shift = 12 };
const char *const digestfile_name = "aabb0500-0000-0000-0000-000000000000";

struct digests *digestfile_open(const struct bmf_io *io)
{
	struct digests *digests = NULL;
	struct bmf_error err = { 0 };

	ck_assert_msg(digests_open(io, scratch_fd, &digestfile_key, true, &digests, &err) == 0,
		      "%s", err.text);
	return digests;
}

struct digests *digestfile_create(uint64_t nblocks)
{
	struct digests *digests = NULL;

	ck_assert_int_eq(digests_create(&bmf_io_posix, scratch_fd, &digestfile_key, &digests, NULL),
			 0);
	ck_assert_int_eq(digests_set_nblocks(digests, nblocks), 0);
	return digests;
}

struct digest zero_digest(void)
{
	struct digest zero;

	ck_assert_int_eq(digest_of_zero_block(digestfile_key.block_shift,
					      digest_seed(&digestfile_key.replica), &zero),
			 0);
	return zero;
}

struct digest make_digest(uint64_t block, uint64_t round)
{
	struct digest digest = { { 0x77 } };

	memcpy(&digest.b[1], &block, 7);
	memcpy(&digest.b[8], &round, 8);
	return digest;
}

size_t slurp(uint8_t **ret)
{
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(bmf_io_read_file(&bmf_io_posix, scratch_fd, digestfile_name, 1 << 24, &buf,
					  &nbytes),
			 0);
	*ret = buf;
	return nbytes;
}

void spill(const uint8_t *buf, size_t nbytes)
{
	int fd = openat(scratch_fd, digestfile_name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, buf, nbytes), (ssize_t)nbytes);
	close(fd);
}

void make_small(struct digest digests[SMALL])
{
	struct digests *file = digestfile_create(SMALL);

	for (uint64_t i = 0; i < SMALL; i++)
		digests[i] = make_digest(i, 1);
	ck_assert_int_eq(digests_write(file, 0, SMALL, digests), 0);
	ck_assert_int_eq(digests_close(file), 0);
}

TCase *digestfile_case(const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_set_timeout(tc, 120);
	return tc;
}
