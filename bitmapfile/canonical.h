/* SPDX-License-Identifier: GPL-2.0-or-later */
/* canonical.h - XXH3-128 in its canonical (big-endian) form, as every digest on disk is */
#ifndef BITMAPFILE_CANONICAL_H
#define BITMAPFILE_CANONICAL_H

#include <stdint.h>
#include <string.h>
#include <xxhash.h>

static inline void bmf_canonical(XXH128_hash_t hash, uint8_t ret[16])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(ret, canonical.digest, sizeof(canonical.digest));
}

#endif
