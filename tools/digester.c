/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digester.c - makes digests of the blocks of a stream of data and holes */
#include "config.h"

#include "bitmapfile/sidecar.h"
#include "tools/digester.h"

#include <errno.h>
#include <stdlib.h>

#define ZERO_RUN 256 /* blocks: shorter runs of zero blocks go into the batch */

struct digester {
	uint64_t seed;
	unsigned int block_shift;
	digester_take *take;
	void *arg;
	struct digest zero; /* of a block of zeros */
	XXH3_state_t *hash; /* of the block that is begun */
	bool in_range;
	uint64_t next; /* byte offset; what of its block comes before is in hash */
	uint64_t first_block;
	size_t n; /* of the batch, which begins at first_block */
	struct digest batch[DIGESTER_BATCH];
};

static const uint8_t zero_bytes[4096];

static size_t block_size(const struct digester *digester)
{
	return (size_t)1 << digester->block_shift;
}

/* Bytes of the block at next that have been hashed. */
static size_t filled(const struct digester *digester)
{
	return (size_t)(digester->next & (block_size(digester) - 1));
}

static void hash_begin(struct digester *digester)
{
	XXH3_128bits_reset_withSeed(digester->hash, digester->seed);
}

static struct digest hash_end(struct digester *digester)
{
	return digest_from_hash(XXH3_128bits_digest(digester->hash));
}

static void hash_zeros(struct digester *digester, size_t nbytes)
{
	while (nbytes > 0) {
		size_t n = nbytes < sizeof(zero_bytes) ? nbytes : sizeof(zero_bytes);

		XXH3_128bits_update(digester->hash, zero_bytes, n);
		nbytes -= n;
	}
}

int digester_new(uint64_t seed, unsigned int block_shift, digester_take *take, void *arg,
		 struct digester **ret)
{
	struct digester *digester;

	if (block_shift < BMF_BLOCK_SHIFT_MIN || block_shift > BMF_BLOCK_SHIFT_MAX)
		return -EINVAL;
	digester = malloc(sizeof(*digester));
	if (!digester)
		return -ENOMEM;
	digester->hash = XXH3_createState();
	if (!digester->hash) {
		free(digester);
		return -ENOMEM;
	}
	digester->seed = seed;
	digester->block_shift = block_shift;
	digester->take = take;
	digester->arg = arg;
	digester->in_range = false;
	if (digest_of_zero_block(block_shift, seed, &digester->zero) < 0) {
		digester_free(digester);
		return -ENOMEM;
	}
	*ret = digester;
	return 0;
}

void digester_free(struct digester *digester)
{
	if (!digester)
		return;
	XXH3_freeState(digester->hash);
	free(digester);
}

int digester_begin(struct digester *digester, uint64_t offset)
{
	digester->in_range = false;
	if (offset > INT64_MAX || (offset & (block_size(digester) - 1)) != 0)
		return -EINVAL;
	digester->in_range = true;
	digester->next = offset;
	digester->first_block = offset >> digester->block_shift;
	digester->n = 0;
	return 0;
}

static int hand_over(struct digester *digester)
{
	int r = 0;

	if (digester->n > 0)
		r = digester->take(digester->arg, digester->first_block, digester->n,
				   digester->batch);
	digester->first_block += digester->n;
	digester->n = 0;
	return r;
}

static int add(struct digester *digester, struct digest digest)
{
	digester->batch[digester->n++] = digest;
	return digester->n == DIGESTER_BATCH ? hand_over(digester) : 0;
}

static int add_zero_blocks(struct digester *digester, uint64_t n)
{
	int r = 0;

	if (n >= ZERO_RUN) {
		r = hand_over(digester);
		if (r == 0)
			r = digester->take(digester->arg, digester->first_block, n, NULL);
		digester->first_block += n;
		return r;
	}
	while (r == 0 && n-- > 0)
		r = add(digester, digester->zero);
	return r;
}

/* A piece that ends in the block in which it begins; buf NULL: zeros. */
static int add_part(struct digester *digester, const uint8_t *buf, size_t nbytes)
{
	if (filled(digester) == 0)
		hash_begin(digester);
	if (buf)
		XXH3_128bits_update(digester->hash, buf, nbytes);
	else
		hash_zeros(digester, nbytes);
	digester->next += nbytes;
	return filled(digester) == 0 ? add(digester, hash_end(digester)) : 0;
}

/* What of nbytes belongs to the block at next, if that isn't whole; else 0. */
static size_t part_of(const struct digester *digester, uint64_t nbytes)
{
	size_t left = block_size(digester) - filled(digester);

	if (nbytes < left)
		return (size_t)nbytes;
	return filled(digester) == 0 ? 0 : left;
}

static int refuse(struct digester *digester, uint64_t offset, uint64_t nbytes)
{
	if (digester->in_range && offset == digester->next && nbytes <= INT64_MAX - offset)
		return 0;
	digester->in_range = false;
	return -EINVAL;
}

int digester_data(struct digester *digester, const void *buf, size_t nbytes, uint64_t offset)
{
	int r = refuse(digester, offset, nbytes);
	const uint8_t *at = buf;

	while (r == 0 && nbytes > 0) {
		size_t n = part_of(digester, nbytes);

		if (n > 0) {
			r = add_part(digester, at, n);
		} else {
			n = block_size(digester);
			r = add(digester, digest_of(at, n, digester->seed));
			digester->next += n;
		}
		at += n;
		nbytes -= n;
	}
	if (r < 0)
		digester->in_range = false;
	return r;
}

int digester_zeros(struct digester *digester, uint64_t offset, uint64_t nbytes)
{
	int r = refuse(digester, offset, nbytes);

	while (r == 0 && nbytes > 0) {
		uint64_t n = part_of(digester, nbytes);

		if (n > 0) {
			r = add_part(digester, NULL, (size_t)n);
		} else {
			n = nbytes & ~(uint64_t)(block_size(digester) - 1);
			r = add_zero_blocks(digester, n >> digester->block_shift);
			digester->next += n;
		}
		nbytes -= n;
	}
	if (r < 0)
		digester->in_range = false;
	return r;
}

int digester_finish(struct digester *digester, uint64_t image_size)
{
	size_t part = filled(digester);
	int r = 0;

	if (!digester->in_range)
		return -EINVAL;
	digester->in_range = false;
	if (part > 0 && digester->next != image_size)
		return -EINVAL;
	if (part > 0)
		r = add_part(digester, NULL, block_size(digester) - part);
	return r < 0 ? r : hand_over(digester);
}
