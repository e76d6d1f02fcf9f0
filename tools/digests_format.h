/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digests_format.h - the bytes of a file of digests, version 1
 *
 * Internal to digests.c and its tests.  The authority is mirrorfs-replica(5).
 */
#ifndef TOOLS_DIGESTS_FORMAT_H
#define TOOLS_DIGESTS_FORMAT_H

#include "bitmapfile/le.h"
#include "tools/digest.h"

#include <assert.h>
#include <stddef.h>

#define DIGESTS_MAGIC "MFSDIGES"
#define DIGESTS_VERSION 1
#define DIGESTS_INCOMPAT_KNOWN UINT32_C(0)
#define DIGESTS_PAGE 4096 /* bytes; the header is as long */
#define DIGESTS_PER_PAGE 255

struct digests_disk_header {
	uint8_t magic[8];
	struct le32 version;
	struct le32 incompat, compat; /* feature flags */
	struct le32 block_shift;
	uint8_t replica[16], image[16];
	uint8_t reserved[4016]; /* zeros */
	struct le64 nblocks;	/* all that ever changes is in one sector with the digest */
	uint8_t digest[16];	/* of what comes before */
};

static_assert(offsetof(struct digests_disk_header, magic) == 0, "format");
static_assert(offsetof(struct digests_disk_header, version) == 8, "format");
static_assert(offsetof(struct digests_disk_header, incompat) == 12, "format");
static_assert(offsetof(struct digests_disk_header, compat) == 16, "format");
static_assert(offsetof(struct digests_disk_header, block_shift) == 20, "format");
static_assert(offsetof(struct digests_disk_header, replica) == 24, "format");
static_assert(offsetof(struct digests_disk_header, image) == 40, "format");
static_assert(offsetof(struct digests_disk_header, reserved) == 56, "format");
static_assert(offsetof(struct digests_disk_header, nblocks) == 4072, "format");
static_assert(offsetof(struct digests_disk_header, digest) == 4080, "format");
static_assert(sizeof(struct digests_disk_header) == DIGESTS_PAGE, "format");

/* Number p, from 0, is at (p + 1) * DIGESTS_PAGE. */
struct digests_disk_page {
	struct digest digests[DIGESTS_PER_PAGE];
	struct digest check; /* XXH3-128 of the digests, seeded: digests_page_check() */
};

static_assert(offsetof(struct digests_disk_page, digests) == 0, "format");
static_assert(offsetof(struct digests_disk_page, check) == 4080, "format");
static_assert(sizeof(struct digests_disk_page) == DIGESTS_PAGE, "format");

/* Of an image, so that a page that a disk put into another file is noticed as well. */
static inline uint64_t digests_file_seed(const struct bmf_uuid *replica,
					 const struct bmf_uuid *image)
{
	return XXH3_64bits_withSeed(image->b, sizeof(image->b), digest_seed(replica));
}

static inline struct digest digests_page_check(const struct digests_disk_page *page,
					       uint64_t file_seed, uint64_t number)
{
	return digest_of(page->digests, sizeof(page->digests), file_seed + number);
}

#endif
