/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_runs.h - the blocks of an image in runs that changed in the same generations
 *
 * One walk over all bitmaps at once, in the order of the blocks: nothing is stored, so memory
 * doesn't grow with what changed, and each step costs a look at each bitmap.  Touches no disk.
 */
#ifndef TOOLS_MAP_RUNS_H
#define TOOLS_MAP_RUNS_H

#include "bitmapfile/sidecar.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_run {
	uint64_t first_block, nblocks;
	uint64_t generations; /* in how many of the bitmaps it may have changed; 0: it is clean */
	uint64_t last_generation; /* the last of them; 0 if it is clean */
};

struct map_runs; /* a walk */

/*
 * A walk over blocks 0 .. nblocks - 1.  Sections ascend; they are borrowed, and must not change
 * meanwhile.  NULL: no memory.
 */
struct map_runs *map_runs_new(const struct bmf_section *sections, size_t nsections,
			      uint64_t nblocks);

/* The next run, as long as can be: neighbours differ.  False at the end. */
bool map_runs_next(struct map_runs *runs, struct map_run *ret);
void map_runs_free(struct map_runs *runs);

#endif
