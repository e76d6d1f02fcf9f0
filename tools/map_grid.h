/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_grid.h - a map as rows of cells, as all drawings have it
 *
 * A cell stands for a power of two of blocks, as few as it takes for the cells to fit, and so does
 * a row; so offsets at the beginnings of rows are round.  The last cell may have fewer blocks.
 *
 * A drawing shows two things of a cell: how much of it is dirty, by size or shade, and its heat, by
 * colour: in how many generations a dirty block of it has changed, on average.
 * But for map_grid_make(), pure functions of what they are given.
 */
#ifndef TOOLS_MAP_GRID_H
#define TOOLS_MAP_GRID_H

#include "tools/map.h"

#include <stddef.h>
#include <stdint.h>

struct map_cell {
	uint64_t nblocks, dirty_nblocks;
	uint64_t generations; /* of all dirty blocks, added up */
	uint64_t last_generation;
};

struct map_grid {
	uint64_t blocks_per_cell;
	size_t columns; /* of a row; a power of two */
	size_t ncells;	/* the last row may have fewer */
	struct map_cell *cells;
};

/*
 * A grid of at most rows * columns cells, both powers of two.  0 or -ENOMEM.  An image of no
 * bytes has no cells.
 */
int map_grid_make(const struct map *map, size_t columns, size_t rows, struct map_grid *ret);
void map_grid_destroy(struct map_grid *grid);

size_t map_grid_rows(const struct map_grid *grid);

/* How much of it is dirty: 0 for nothing, 1 for up to 1/levels, ..., levels for up to all. */
unsigned int map_cell_level(const struct map_cell *cell, unsigned int levels);

/*
 * The side of a square in a square of the side `full` that has the same share of its area, as an
 * even number; at least `least`, so that it can be seen.  0 if nothing is dirty.
 */
unsigned int map_cell_side(const struct map_cell *cell, unsigned int least, unsigned int full);

/* ---- heat ---- */

#define MAP_HEATS_MAX 6

/* How many heats are told apart, of that many generations. */
unsigned int map_heats(uint64_t generations);

/* 0 for a clean cell, else 1 .. map_heats(). */
unsigned int map_cell_heat(const struct map_cell *cell, uint64_t generations);

/* The generations that a heat stands for: "3" or "5-9". */
#define MAP_HEAT_TEXT 48
char *map_heat_text(unsigned int heat, uint64_t generations, char buf[MAP_HEAT_TEXT]);

/* Where on a scale of MAP_HEATS_MAX colours a heat is, from 0: few are spread over all of it. */
unsigned int map_heat_colour(unsigned int heat, uint64_t generations);

/* ---- offsets ---- */

/* "1088 MiB": without a rest, if it is a multiple of step, a power of two. */
#define MAP_OFFSET_TEXT 32
char *map_offset_text(uint64_t offset, uint64_t step, char buf[MAP_OFFSET_TEXT]);

#endif
