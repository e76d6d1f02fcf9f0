/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest.c - the digest of a block of zeros */
#include "config.h"

#include "tools/digest.h"

#include <errno.h>

int digest_of_zero_block(unsigned int block_shift, uint64_t seed, struct digest *ret)
{
	static const uint8_t zeros[4096];
	XXH3_state_t *hash = XXH3_createState();
	size_t left = (size_t)1 << block_shift;

	if (!hash)
		return -ENOMEM;
	XXH3_128bits_reset_withSeed(hash, seed);
	for (; left >= sizeof(zeros); left -= sizeof(zeros))
		XXH3_128bits_update(hash, zeros, sizeof(zeros));
	*ret = digest_from_hash(XXH3_128bits_digest(hash));
	XXH3_freeState(hash);
	return 0;
}
