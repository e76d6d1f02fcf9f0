/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_svg.c - a map as an SVG picture, which needs nothing else: no script, no font, no other file
 *
 * Colour is heat, size is how much of a cell is dirty; what a cell is comes up under the pointer.
 * It is light or dark as the reader's other pages are.
 */
#include "config.h"

#include "tools/map_grid.h"
#include "tools/map_picture.h"
#include "tools/map_show.h"
#include "tools/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LEFT 96 /* of the cells */
#define TOP 112
#define MARGIN 24
#define LINE 20
#define WIDTH (LEFT + MAP_PICTURE_COLUMNS * MAP_CELL + MARGIN)
#define LEGEND_HEIGHT 100
#define FEW_ROWS 16 /* up to so many each row has its offset, else each fourth one */
#define TICKS 4

/* In bright colours on dark, hot is bright. */
static const uint32_t dark_rgb[MAP_HEATS_MAX] = { 0x7d4cb0, 0xb04596, 0xde4f74,
						  0xf4794f, 0xfcab45, 0xfde777 };

const uint32_t map_heat_rgb[MAP_HEATS_MAX] = { 0xfdbb4a, 0xf99638, 0xf26b2d,
					       0xdd3f2b, 0xb41f34, 0x78103a };

/* Text between tags.  What XML can't have is escaped by text_quote() but for U+FFFE and U+FFFF. */
static void put_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", file);
		else if (*text == '<')
			fputs("&lt;", file);
		else if (*text == '>')
			fputs("&gt;", file);
		else if (strncmp(text, "\xef\xbf\xbe", 3) == 0 ||
			 strncmp(text, "\xef\xbf\xbf", 3) == 0)
			fputs("&#xfffd;", file), text += 2;
		else
			putc(*text, file);
	}
}

/* ---- head ---- */

static void put_heat_styles(FILE *file, const uint32_t rgb[MAP_HEATS_MAX])
{
	for (unsigned int i = 0; i < MAP_HEATS_MAX; i++)
		fprintf(file, " .h%u { fill: #%06x }", i, rgb[i]);
	putc('\n', file);
}

static void put_style(FILE *file)
{
	fprintf(file,
		"<style>\n"
		"text { font: 12px system-ui, \"DejaVu Sans\", sans-serif; fill: #1f2933 }\n"
		".title { font-size: 20px; font-weight: 600 } .sum { font-size: 14px }\n"
		".dim { fill: #64707d } .back { fill: #%06x } .clean { fill: #%06x }\n",
		MAP_BACKGROUND, MAP_CLEAN);
	put_heat_styles(file, map_heat_rgb);
	fputs("@media (prefers-color-scheme: dark) {\n"
	      "text { fill: #e3e8ee } .dim { fill: #93a0ad } .back { fill: #12161c } "
	      ".clean { fill: #232a33 }\n",
	      file);
	put_heat_styles(file, dark_rgb);
	fputs("}\n</style>\n", file);
}

static void put_line(FILE *file, const char *class, unsigned int y, const char *text)
{
	fprintf(file, "<text x=\"%d\" y=\"%u\" class=\"%s\">", MARGIN, y, class);
	put_text(file, text);
	fputs("</text>\n", file);
}

static void put_head(const struct map *map, unsigned int height, FILE *file)
{
	char name[TEXT_NAME], summary[MAP_SUMMARY], since[MAP_SINCE];

	fprintf(file,
		MAP_SVG_BEGIN "xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
			      "viewBox=\"0 0 %d %u\">\n<title>",
		WIDTH, height, WIDTH, height);
	put_text(file, text_quote(map->path, name, sizeof(name)));
	fputs("</title>\n<desc>", file);
	put_text(file, map_summary(map, summary));
	fputs(", ", file);
	put_text(file, map_since_text(map, since));
	fputs("</desc>\n", file);
	put_style(file);
	fprintf(file,
		"<defs><pattern id=\"cells\" width=\"%d\" height=\"%d\" "
		"patternUnits=\"userSpaceOnUse\"><rect x=\"1\" y=\"1\" width=\"%d\" height=\"%d\" "
		"rx=\"2\" class=\"clean\"/></pattern></defs>\n"
		"<rect width=\"100%%\" height=\"100%%\" class=\"back\"/>\n",
		MAP_CELL, MAP_CELL, MAP_SQUARE, MAP_SQUARE);
	put_line(file, "title", 40, name);
	put_line(file, "sum", 64, summary);
	put_line(file, "dim", 82, since);
}

/* ---- the cells ---- */

/* How far into a row, above it; and the offsets of rows, left of them. */
static void put_axes(const struct map *map, const struct map_grid *grid, FILE *file)
{
	uint64_t per_cell = grid->blocks_per_cell << map->block_shift;
	uint64_t per_row = per_cell * grid->columns;
	size_t rows = map_grid_rows(grid), every = rows <= FEW_ROWS ? 1 : 4;
	char text[MAP_OFFSET_TEXT];

	for (size_t i = 1; i < TICKS && grid->columns / TICKS * i < grid->ncells; i++)
		fprintf(file, "<text x=\"%zu\" y=\"-6\" class=\"dim\">+%s</text>\n",
			grid->columns / TICKS * i * MAP_CELL,
			map_offset_text(per_row / TICKS * i, per_row / TICKS, text));
	for (size_t row = 0; row < rows; row += every)
		fprintf(file,
			"<text x=\"-8\" y=\"%zu\" class=\"dim\" text-anchor=\"end\">%s</text>\n",
			row * MAP_CELL + 12, map_offset_text(row * per_row, per_row, text));
}

static void put_clean(const struct map_grid *grid, FILE *file)
{
	size_t full = grid->ncells / grid->columns, rest = grid->ncells % grid->columns;

	if (full > 0)
		fprintf(file, "<rect width=\"%zu\" height=\"%zu\" fill=\"url(#cells)\"/>\n",
			grid->columns * MAP_CELL, full * MAP_CELL);
	if (rest > 0)
		fprintf(file,
			"<rect y=\"%zu\" width=\"%zu\" height=\"%d\" fill=\"url(#cells)\"/>\n",
			full * MAP_CELL, rest * MAP_CELL, MAP_CELL);
}

static void put_square(FILE *file, size_t x, size_t y, unsigned int side)
{
	size_t inset = (MAP_CELL - side) / 2;

	fprintf(file, "<rect x=\"%zu\" y=\"%zu\" width=\"%u\" height=\"%u\" rx=\"%d\"", x + inset,
		y + inset, side, side, side > MAP_CELL / 2 ? 2 : 1);
}

static void put_cell(const struct map *map, const struct map_grid *grid, size_t i, FILE *file)
{
	const struct map_cell *cell = &grid->cells[i];
	uint64_t per_cell = grid->blocks_per_cell << map->block_shift;
	char offset[MAP_OFFSET_TEXT];

	put_square(file, i % grid->columns * MAP_CELL, i / grid->columns * MAP_CELL,
		   map_cell_side(cell, MAP_SQUARE_LEAST, MAP_SQUARE));
	fprintf(file,
		"><title>%s: %" PRIu64 " of %" PRIu64 " block%s, last in generation %" PRIu64
		"</title></rect>\n",
		map_offset_text(i * per_cell, per_cell, offset), cell->dirty_nblocks, cell->nblocks,
		cell->nblocks == 1 ? "" : "s", cell->last_generation);
}

/* Those of one heat are a group. */
static void put_heat(const struct map *map, const struct map_grid *grid, unsigned int heat,
		     FILE *file)
{
	bool any = false;

	for (size_t i = 0; i < grid->ncells; i++) {
		if (map_cell_heat(&grid->cells[i], map->generations) != heat)
			continue;
		if (!any)
			fprintf(file, "<g class=\"h%u\">\n",
				map_heat_colour(heat, map->generations));
		any = true;
		put_cell(map, grid, i, file);
	}
	if (any)
		fputs("</g>\n", file);
}

/* ---- the legend ---- */

static unsigned int put_sample(FILE *file, unsigned int x, unsigned int y, const char *class,
			       unsigned int side, const char *text)
{
	put_square(file, x, y - 12, MAP_SQUARE);
	fputs(" class=\"clean\"/>", file);
	if (class) {
		put_square(file, x, y - 12, side);
		fprintf(file, " class=\"%s\"/>", class);
	}
	fprintf(file, "<text x=\"%u\" y=\"%u\">", x + MAP_CELL + 4, y);
	put_text(file, text);
	fputs("</text>\n", file);
	return x + MAP_CELL + 28 + 7 * (unsigned int)strlen(text);
}

static void put_size_legend(const struct map *map, const struct map_grid *grid, unsigned int y,
			    FILE *file)
{
	bool one = grid->blocks_per_cell == 1;
	unsigned int x = LEFT, middle = (map_heats(map->generations) + 1) / 2;
	char text[128], bytes[TEXT_BYTES], class[16];

	snprintf(class, sizeof(class), "h%u", map_heat_colour(middle, map->generations));
	snprintf(text, sizeof(text), "one cell: %" PRIu64 " block%s, %s", grid->blocks_per_cell,
		 one ? "" : "s", text_bytes(grid->blocks_per_cell << map->block_shift, bytes));
	fprintf(file, "<text x=\"%u\" y=\"%u\">%s</text>\n", x, y, text);
	x += 20 + 7 * (unsigned int)strlen(text);
	x = put_sample(file, x, y, NULL, 0, "clean");
	if (!one) {
		x = put_sample(file, x, y, class, MAP_SQUARE_LEAST, "a little of it dirty");
		x = put_sample(file, x, y, class, 10, "half");
	}
	put_sample(file, x, y, class, MAP_SQUARE, one ? "dirty" : "all");
}

static void put_heat_legend(const struct map *map, unsigned int y, FILE *file)
{
	static const char lead[] = "changed in";
	unsigned int x = LEFT + 20 + 7 * (unsigned int)strlen(lead);
	char text[MAP_HEAT_TEXT], class[16];

	if (map->generations == 1)
		return;
	fprintf(file, "<text x=\"%d\" y=\"%u\">%s</text>\n", LEFT, y, lead);
	for (unsigned int heat = 1; heat <= map_heats(map->generations); heat++) {
		snprintf(class, sizeof(class), "h%u", map_heat_colour(heat, map->generations));
		x = put_sample(file, x, y, class, MAP_SQUARE,
			       map_heat_text(heat, map->generations, text));
	}
	fprintf(file, "<text x=\"%u\" y=\"%u\">of %" PRIu64 " generations</text>\n", x, y,
		map->generations);
}

static void put_foot(const struct map *map, unsigned int y, FILE *file)
{
	char uuid[BMF_UUID_TEXT], block[TEXT_BYTES];

	fprintf(file,
		"<text x=\"%d\" y=\"%u\" class=\"dim\">source %s, generation %" PRIu64
		", block size %s</text>\n</svg>\n",
		LEFT, y, bmf_uuid_format(&map->source, uuid), map->generation,
		text_bytes(UINT64_C(1) << map->block_shift, block));
}

int map_show_svg(const struct map *map, FILE *file)
{
	struct map_grid grid;
	unsigned int bottom;
	int r = map_grid_make(map, MAP_PICTURE_COLUMNS, MAP_PICTURE_ROWS, &grid);

	if (r < 0)
		return r;
	bottom = TOP + (unsigned int)map_grid_rows(&grid) * MAP_CELL;
	put_head(map, bottom + LEGEND_HEIGHT, file);
	fprintf(file, "<g transform=\"translate(%d %d)\">\n", LEFT, TOP);
	put_axes(map, &grid, file);
	put_clean(&grid, file);
	for (unsigned int heat = 1; heat <= map_heats(map->generations); heat++)
		put_heat(map, &grid, heat, file);
	fputs("</g>\n", file);
	put_size_legend(map, &grid, bottom + 2 * LINE - 8, file);
	put_heat_legend(map, bottom + 3 * LINE - 6, file);
	put_foot(map, bottom + 4 * LINE, file);
	map_grid_destroy(&grid);
	return 0;
}
