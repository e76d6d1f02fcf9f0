/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * armed_codec.c - the armed map of a sidecar, as bytes and back
 *
 * The map is the one part of a sidecar that is overwritten in place, so each
 * of its sectors has a check of its own.  A sector that was torn, lost or
 * damaged can only be read as "everything here is armed" (I1).
 */
#include "config.h"

#include "bitmapfile/format.h"

#include <errno.h>

/* The regions that an image can have at most. */
uint64_t bmf_armed_regions_max(unsigned int region_shift)
{
	uint64_t by_size = UINT64_C(1) << (BMF_OFFSET_BITS - region_shift);

	return by_size < BMF_REGIONS_MAX ? by_size : BMF_REGIONS_MAX;
}

static uint64_t sector_check(const struct bmf_disk_armed *sector, uint64_t nonce, uint64_t index)
{
	return XXH3_64bits_withSeed(sector->words, sizeof(sector->words), nonce + index);
}

/* The regions of a sector: the half-open range [*ret_begin, return value). */
static uint64_t sector_regions(uint64_t index, uint64_t *ret_begin)
{
	uint64_t position = index * BMF_ARMED_SECTOR_BITS;

	/* position 0 is "in use" */
	*ret_begin = position ? position - bmf_armed_position(0) : 0;
	return position + BMF_ARMED_SECTOR_BITS - bmf_armed_position(0);
}

void bmf_armed_sector_encode(const struct bmf_bits *armed, bool in_use, uint64_t nonce,
			     uint64_t index, uint8_t ret_sector[BMF_ARMED_SECTOR])
{
	uint64_t words[BMF_ARMED_SECTOR_BITS / 64] = { 0 };
	struct bmf_disk_armed sector;
	uint64_t begin, end, first, n;

	if (in_use && index == 0)
		words[0] = 1;
	end = sector_regions(index, &begin);
	for (; bmf_bits_next(armed, begin, end, &first, &n); begin = first + n) {
		uint64_t position = bmf_armed_position(first) - index * BMF_ARMED_SECTOR_BITS;

		for (uint64_t i = position; i < position + n; i++)
			words[i / 64] |= UINT64_C(1) << (i % 64);
	}
	for (size_t i = 0; i < BMF_ARMED_SECTOR_BITS / 64; i++)
		sector.words[i] = le64_make(words[i]);
	sector.check = le64_make(sector_check(&sector, nonce, index));
	memcpy(ret_sector, &sector, sizeof(sector));
}

uint64_t bmf_armed_capacity(const struct bmf_bits *armed, uint64_t min_sectors)
{
	const uint64_t page = BMF_SIDECAR_PAGE / BMF_ARMED_SECTOR;
	uint64_t first, n, nregions = 0, sectors;

	while (bmf_bits_next(armed, nregions, BMF_BITS_MAX, &first, &n))
		nregions = first + n;
	sectors = bmf_armed_sectors(nregions);
	if (sectors < min_sectors)
		sectors = min_sectors;
	return (sectors + page - 1) / page * page;
}

void bmf_armed_encode(const struct bmf_bits *armed, bool in_use, uint64_t nonce, uint64_t nsectors,
		      uint8_t *ret_map)
{
	for (uint64_t i = 0; i < nsectors; i++)
		bmf_armed_sector_encode(armed, in_use, nonce, i, ret_map + i * BMF_ARMED_SECTOR);
}

/* Adds [begin, end) as far as an image can reach.  0 or -ENOMEM. */
static int add_regions(struct bmf_bits *armed, uint64_t begin, uint64_t end, uint64_t regions_max)
{
	if (end > regions_max)
		end = regions_max;
	return begin < end ? bmf_bits_set(armed, begin, end - begin) : 0;
}

/* Adds the runs of set bits in a sector whose check is right. */
static int add_words(struct bmf_bits *armed, const struct bmf_disk_armed *sector, uint64_t index,
		     uint64_t regions_max)
{
	for (uint64_t i = 0; i < BMF_ARMED_SECTOR_BITS / 64; i++) {
		uint64_t word = le64_get(sector->words[i]);
		uint64_t position = index * BMF_ARMED_SECTOR_BITS + i * 64;

		if (position == 0)
			word &= ~UINT64_C(1);
		while (word) {
			unsigned int bit = (unsigned int)__builtin_ctzll(word);
			uint64_t rest = ~(word >> bit);
			unsigned int n = rest ? (unsigned int)__builtin_ctzll(rest) : 64;
			uint64_t region = position + bit - bmf_armed_position(0);
			int r = add_regions(armed, region, region + n, regions_max);

			if (r < 0)
				return r;
			word &= n < 64 ? ~(((UINT64_C(1) << n) - 1) << bit) : 0;
		}
	}
	return 0;
}

int bmf_armed_decode(const uint8_t *map, uint64_t nsectors, uint64_t nonce, uint64_t regions_max,
		     struct bmf_bits *armed, bool *ret_in_use)
{
	bool in_use = false;

	for (uint64_t index = 0; index < nsectors; index++) {
		struct bmf_disk_armed sector;
		int r;

		memcpy(&sector, map + index * BMF_ARMED_SECTOR, sizeof(sector));
		if (le64_get(sector.check) == sector_check(&sector, nonce, index)) {
			if (index == 0 && (le64_get(sector.words[0]) & 1))
				in_use = true;
			r = add_words(armed, &sector, index, regions_max);
		} else {
			/* I1: whoever damaged it, the image may have been written to there */
			uint64_t begin, end = sector_regions(index, &begin);

			in_use = true;
			r = add_regions(armed, begin, end, regions_max);
		}
		if (r < 0)
			return r;
	}
	*ret_in_use = in_use;
	return 0;
}
