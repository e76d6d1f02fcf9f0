/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map_grid.c - a map as rows of cells, as all drawings have it */
#include "config.h"

#include "tools/map_grid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void add_run(struct map_grid *grid, const struct map_run *run)
{
	uint64_t at = run->first_block, end = at + run->nblocks;

	while (at < end) {
		uint64_t i = at / grid->blocks_per_cell;
		uint64_t stop = (i + 1) * grid->blocks_per_cell;
		uint64_t n = (stop < end ? stop : end) - at;
		struct map_cell *cell = &grid->cells[i];

		cell->nblocks += n;
		if (run->generations > 0) {
			cell->dirty_nblocks += n;
			cell->generations += n * run->generations;
		}
		if (run->last_generation > cell->last_generation)
			cell->last_generation = run->last_generation;
		at += n;
	}
}

int map_grid_make(const struct map *map, size_t columns, size_t rows, struct map_grid *ret)
{
	struct map_grid grid = { .blocks_per_cell = 1, .columns = columns };
	struct map_runs *runs = map_walk(map);
	struct map_run run;

	while (map->nblocks > grid.blocks_per_cell * columns * rows)
		grid.blocks_per_cell *= 2;
	grid.ncells = (size_t)((map->nblocks + grid.blocks_per_cell - 1) / grid.blocks_per_cell);
	grid.cells = calloc(grid.ncells + 1, sizeof(*grid.cells));
	if (!runs || !grid.cells) {
		map_runs_free(runs);
		free(grid.cells);
		return -ENOMEM;
	}
	while (map_runs_next(runs, &run))
		add_run(&grid, &run);
	map_runs_free(runs);
	*ret = grid;
	return 0;
}

void map_grid_destroy(struct map_grid *grid)
{
	free(grid->cells);
	*grid = (struct map_grid){ 0 };
}

size_t map_grid_rows(const struct map_grid *grid)
{
	return (grid->ncells + grid->columns - 1) / grid->columns;
}

/* Is part / whole at most n / of?  With up to BMF_BITS_MAX blocks there is room for the products.
 */
static bool is_at_most(uint64_t part, uint64_t whole, unsigned int n, unsigned int of)
{
	return part * of <= whole * n;
}

unsigned int map_cell_level(const struct map_cell *cell, unsigned int levels)
{
	unsigned int level = cell->dirty_nblocks > 0;

	while (level > 0 && level < levels &&
	       !is_at_most(cell->dirty_nblocks, cell->nblocks, level, levels))
		level++;
	return level;
}

unsigned int map_cell_side(const struct map_cell *cell, unsigned int least, unsigned int full)
{
	unsigned int side = least;

	if (cell->dirty_nblocks == 0)
		return 0;
	while (side < full &&
	       !is_at_most(cell->dirty_nblocks, cell->nblocks, side * side, full * full))
		side += 2;
	return side;
}

/* ---- heat ---- */

unsigned int map_heats(uint64_t generations)
{
	return generations < MAP_HEATS_MAX ? (unsigned int)generations : MAP_HEATS_MAX;
}

/* The most generations that it stands for. */
static uint64_t heat_end(unsigned int heat, uint64_t generations)
{
	return generations <= MAP_HEATS_MAX ? heat : generations * heat / MAP_HEATS_MAX;
}

unsigned int map_cell_heat(const struct map_cell *cell, uint64_t generations)
{
	unsigned int heat = 1;
	uint64_t n;

	if (cell->dirty_nblocks == 0)
		return 0;
	n = (cell->generations + cell->dirty_nblocks / 2) / cell->dirty_nblocks;
	while (heat < map_heats(generations) && heat_end(heat, generations) < n)
		heat++;
	return heat;
}

char *map_heat_text(unsigned int heat, uint64_t generations, char buf[MAP_HEAT_TEXT])
{
	uint64_t first = heat_end(heat - 1, generations) + 1, last = heat_end(heat, generations);

	if (first == last)
		snprintf(buf, MAP_HEAT_TEXT, "%" PRIu64, last);
	else
		snprintf(buf, MAP_HEAT_TEXT, "%" PRIu64 "-%" PRIu64, first, last);
	return buf;
}

unsigned int map_heat_colour(unsigned int heat, uint64_t generations)
{
	unsigned int heats = map_heats(generations);

	return heats == 1 ? MAP_HEATS_MAX / 2 : (heat - 1) * (MAP_HEATS_MAX - 1) / (heats - 1);
}

/* ---- offsets ---- */

char *map_offset_text(uint64_t offset, uint64_t step, char buf[MAP_OFFSET_TEXT])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int unit = 0;

	while (unit < 6 && step % 1024 == 0) {
		step /= 1024;
		offset /= 1024;
		unit++;
	}
	snprintf(buf, MAP_OFFSET_TEXT, "%" PRIu64 " %s", offset, units[unit]);
	return buf;
}
