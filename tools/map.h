/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map.h - which parts of an image have changed since a checkpoint, and how often
 *
 * The engine of mirrorctl map: no argv, no output.  Changes nothing.
 *
 * A block is dirty if it may have changed since the checkpoint, so that a sync from there looks at
 * it.  How often is counted in generations: as many as the image has bitmaps for since then, each
 * of which tells of a block that it changed, or not.  Without a history everything is dirty, in
 * one generation, and there is a reason (invariants I1 and I4).
 *
 * Not thread safe; walks may overlap.
 */
#ifndef TOOLS_MAP_H
#define TOOLS_MAP_H

#include "bitmapfile/error.h"
#include "bitmapfile/history.h"
#include "bitmapfile/state.h"
#include "tools/map_runs.h"

#include <stdbool.h>
#include <stdint.h>

struct map {
	char *path; /* below the source */
	struct bmf_uuid source;
	uint64_t size; /* bytes */
	unsigned int block_shift;
	uint64_t nblocks;
	enum bmf_reason reason;	     /* NONE: the bitmaps tell; else why all of it is dirty */
	struct bmf_checkpoint since; /* its number is 0: none is known */
	uint64_t generation;	     /* the current one */
	uint64_t generations;	     /* since then, of this image; at least 1 */
	uint64_t dirty_nbytes, dirty_runs;

	/* What walks go through; of map.c. */
	struct bmf_history history;
	size_t first_section;	  /* of its sidecar, if there is no reason */
	struct bmf_section whole; /* if there is one: all blocks */
	int fd;			  /* the image */
};

/*
 * The map of image: a path below the source, or if there is no such one, any path that leads
 * to it.  since: a word for since_find(); NULL: as far back as the image's bitmaps reach.  A source
 * that is mounted saves its bitmaps for it; one that isn't is locked for that long.
 * Errors have a message.
 */
int map_read(const char *source, const char *image, const char *since, struct map *ret,
	     struct bmf_error *err);
void map_destroy(struct map *map);

/* All of its blocks, dirty or not.  NULL: no memory. */
struct map_runs *map_walk(const struct map *map);

/* ---- runs, and where the image has data ---- */

struct map_extent {
	uint64_t start, nbytes;		       /* cut at the image's end */
	bool data;			       /* else a hole */
	uint64_t generations, last_generation; /* as in struct map_run */
};

struct map_extents {
	const struct map *map;
	struct map_runs *runs;
	struct map_run run;
	uint64_t at, data_first, data_end;
};

/* 0 or -ENOMEM. */
int map_extents_begin(const struct map *map, struct map_extents *ret);
/* 1, 0 at the end, or a negative errno.  A guest that writes meanwhile may make holes data. */
int map_extents_next(struct map_extents *extents, struct map_extent *ret);
void map_extents_end(struct map_extents *extents);

#endif
