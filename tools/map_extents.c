/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map_extents.c - the runs of a map, and where the image has data */
#include "config.h"

#include "tools/holes.h"
#include "tools/map.h"

#include <errno.h>

int map_extents_begin(const struct map *map, struct map_extents *ret)
{
	struct map_extents extents = { .map = map, .runs = map_walk(map) };

	if (!extents.runs)
		return -ENOMEM;
	*ret = extents;
	return 0;
}

/* May be past the image's end; where its data ends isn't. */
static uint64_t run_end(const struct map_extents *extents)
{
	return (extents->run.first_block + extents->run.nblocks) << extents->map->block_shift;
}

/* The data at or after where the walk is.  0 or a negative errno. */
static int find_data(struct map_extents *extents)
{
	uint64_t size = extents->map->size;
	int r;

	r = holes_next_data(extents->map->fd, extents->at, size, &extents->data_first,
			    &extents->data_end);
	if (r == 0)
		extents->data_first = extents->data_end = size;
	return r < 0 ? r : 0;
}

int map_extents_next(struct map_extents *extents, struct map_extent *ret)
{
	uint64_t start = extents->at, end, edge;
	bool data;
	int r = 0;

	if (start >= extents->map->size)
		return 0;
	if (start >= run_end(extents))
		map_runs_next(extents->runs, &extents->run);
	if (start >= extents->data_end)
		r = find_data(extents);
	if (r < 0)
		return r;
	data = start >= extents->data_first;
	edge = data ? extents->data_end : extents->data_first;
	end = run_end(extents);
	if (edge < end)
		end = edge;
	*ret = (struct map_extent){
		.start = start,
		.nbytes = end - start,
		.data = data,
		.generations = extents->run.generations,
		.last_generation = extents->run.last_generation,
	};
	extents->at = end;
	return 1;
}

void map_extents_end(struct map_extents *extents)
{
	map_runs_free(extents->runs);
	extents->runs = NULL;
}
