/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest.h - the digest of a block of a replica
 *
 * It is the XXH3-128 of the block's content, padded with zeros to the size of a block,
 * so that an image may end anywhere in its last block; seeded by the replica's UUID, so
 * that digests of one replica say nothing about another.  It finds damage, not
 * forgery.  All functions are thread safe.
 */
#ifndef TOOLS_DIGEST_H
#define TOOLS_DIGEST_H

#include "bitmapfile/canonical.h"
#include "bitmapfile/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

struct digest {
	uint8_t b[16]; /* canonical: big-endian, as every digest on disk */
};

/* All ones, which stands for "nobody knows"; a block that has it is never proved. */
#define DIGEST_UNKNOWN_BYTE 0xff

static inline void digest_set_unknown(struct digest *ret, size_t n)
{
	memset(ret, DIGEST_UNKNOWN_BYTE, n * sizeof(*ret));
}

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool digest_is_known(const struct digest *digest)
{
	struct digest unknown;

	digest_set_unknown(&unknown, 1);
	return !digest_equal(digest, &unknown);
}

/* XXH3 takes a seed of 64 bits. */
static inline uint64_t digest_seed(const struct bmf_uuid *replica)
{
	return XXH3_64bits(replica->b, sizeof(replica->b));
}

static inline struct digest digest_from_hash(XXH128_hash_t hash)
{
	struct digest digest;

	bmf_canonical(hash, digest.b);
	return digest;
}

/* Of a whole block, padding and all. */
static inline struct digest digest_of(const void *block, size_t nbytes, uint64_t seed)
{
	return digest_from_hash(XXH3_128bits_withSeed(block, nbytes, seed));
}

/* Of a block of zeros; block_shift: 12 to 21.  0 or -ENOMEM. */
int digest_of_zero_block(unsigned int block_shift, uint64_t seed, struct digest *ret);

#endif
