/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sidecar.c - a sidecar in memory: its life, its sections, and what makes it valid */
#include "config.h"

#include "bitmapfile/format.h"

#include <errno.h>
#include <stdlib.h>

struct bmf_sidecar *bmf_sidecar_new(void)
{
	struct bmf_sidecar *sidecar = calloc(1, sizeof(*sidecar));

	if (!sidecar)
		return NULL;
	sidecar->armed = bmf_bits_new();
	if (!sidecar->armed) {
		free(sidecar);
		return NULL;
	}
	sidecar->block_shift = BMF_BLOCK_SHIFT_DEFAULT;
	sidecar->region_shift = BMF_REGION_SHIFT_DEFAULT;
	return sidecar;
}

void bmf_sidecar_free(struct bmf_sidecar *sidecar)
{
	if (!sidecar)
		return;
	for (size_t i = 0; i < sidecar->nsections; i++)
		bmf_bits_free(sidecar->sections[i].bits);
	free(sidecar->sections);
	bmf_bits_free(sidecar->armed);
	free(sidecar);
}

int bmf_sidecar_add_section(struct bmf_sidecar *sidecar, uint64_t first, uint64_t last,
			    struct bmf_bits *bits)
{
	struct bmf_section *sections;

	sections = reallocarray(sidecar->sections, sidecar->nsections + 1, sizeof(*sections));
	if (!sections)
		return -ENOMEM;
	sidecar->sections = sections;
	sections[sidecar->nsections++] =
		(struct bmf_section){ .first = first, .last = last, .bits = bits };
	return 0;
}

/* Do the sections cover since .. active, each generation once? */
static bool sections_are_whole(const struct bmf_sidecar *sidecar)
{
	uint64_t expected = sidecar->since;

	if (sidecar->nsections == 0)
		return false;
	for (size_t i = 0; i < sidecar->nsections; i++) {
		const struct bmf_section *section = &sidecar->sections[i];

		if (section->first != expected || section->last < section->first ||
		    section->last > sidecar->active)
			return false;
		expected = section->last + 1;
	}
	return expected == sidecar->active + 1;
}

bool bmf_sidecar_is_valid(const struct bmf_sidecar *sidecar)
{
	return sidecar->block_shift >= BMF_BLOCK_SHIFT_MIN &&
	       sidecar->block_shift <= BMF_BLOCK_SHIFT_MAX &&
	       sidecar->region_shift >= sidecar->block_shift &&
	       sidecar->region_shift <= BMF_REGION_SHIFT_MAX &&
	       !bmf_uuid_is_none(&sidecar->image) && !bmf_uuid_is_none(&sidecar->source) &&
	       sidecar->active < UINT64_MAX && sections_are_whole(sidecar);
}
