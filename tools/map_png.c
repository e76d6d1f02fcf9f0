/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_png.c - a map as a PNG picture
 *
 * The cells of the SVG picture without the words; those are in the file, not in the picture.
 */
#include "config.h"

#include "tools/map_grid.h"
#include "tools/map_picture.h"
#include "tools/map_show.h"
#include "tools/png.h"
#include "tools/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Indexes of the palette; heats follow. */
enum { BACKGROUND, CLEAN, COLD };

static void fill_palette(struct png_colour palette[COLD + MAP_HEATS_MAX])
{
	for (unsigned int i = 0; i < COLD + MAP_HEATS_MAX; i++) {
		uint32_t rgb = i == BACKGROUND ? MAP_BACKGROUND
			       : i == CLEAN    ? MAP_CLEAN
					       : map_heat_rgb[i - COLD];

		palette[i] = (struct png_colour){ (uint8_t)(rgb >> 16), (uint8_t)(rgb >> 8),
						  (uint8_t)rgb };
	}
}

/* A square in the middle of the cell number i. */
static void fill_square(uint8_t *pixels, size_t width, size_t i, size_t columns, unsigned int side,
			uint8_t colour)
{
	size_t inset = (MAP_CELL - side) / 2;
	size_t x = i % columns * MAP_CELL + inset, y = i / columns * MAP_CELL + inset;

	for (size_t row = y; row < y + side; row++)
		memset(pixels + row * width + x, colour, side);
}

static void fill_cells(const struct map *map, const struct map_grid *grid, size_t columns,
		       uint8_t *pixels)
{
	size_t width = columns * MAP_CELL;

	for (size_t i = 0; i < grid->ncells; i++) {
		const struct map_cell *cell = &grid->cells[i];
		unsigned int heat = map_cell_heat(cell, map->generations);

		fill_square(pixels, width, i, columns, MAP_SQUARE, CLEAN);
		if (heat > 0)
			fill_square(pixels, width, i, columns,
				    map_cell_side(cell, MAP_SQUARE_LEAST, MAP_SQUARE),
				    (uint8_t)(COLD + map_heat_colour(heat, map->generations)));
	}
}

static int write_png(const struct map *map, const struct map_grid *grid, FILE *file)
{
	struct png_colour palette[COLD + MAP_HEATS_MAX];
	char title[TEXT_NAME], summary[MAP_SUMMARY], since[MAP_SINCE];
	char description[MAP_SUMMARY + MAP_SINCE + 2];
	const struct png_text texts[] = { { "Title", title },
					  { "Description", description },
					  { "Software", "mirrorctl " PACKAGE_VERSION } };
	size_t columns = grid->ncells < grid->columns ? grid->ncells : grid->columns;
	size_t rows = map_grid_rows(grid);
	struct png png = {
		.palette = palette, .ncolours = COLD + MAP_HEATS_MAX, .texts = texts, .ntexts = 3
	};
	uint8_t *pixels;
	int r;

	columns += columns == 0; /* there is no picture of no size */
	rows += rows == 0;
	pixels = calloc(columns * MAP_CELL, rows * MAP_CELL); /* BACKGROUND */
	if (!pixels)
		return -ENOMEM;
	fill_palette(palette);
	fill_cells(map, grid, columns, pixels);
	text_quote(map->path, title, sizeof(title));
	snprintf(description, sizeof(description), "%s, %s", map_summary(map, summary),
		 map_since_text(map, since));
	png.width = (uint32_t)(columns * MAP_CELL);
	png.height = (uint32_t)(rows * MAP_CELL);
	png.pixels = pixels;
	r = png_write(&png, file);
	free(pixels);
	return r;
}

int map_show_png(const struct map *map, FILE *file)
{
	struct map_grid grid;
	int r = map_grid_make(map, MAP_PICTURE_COLUMNS, MAP_PICTURE_ROWS, &grid);

	if (r < 0)
		return r;
	r = write_png(map, &grid, file);
	map_grid_destroy(&grid);
	return r;
}
