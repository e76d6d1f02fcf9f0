/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_text.c - a map in the terminal
 *
 * How much of a cell is dirty is the shade of its character, its heat the colour.
 */
#include "config.h"

#include "tools/map_grid.h"
#include "tools/map_show.h"
#include "tools/text.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS 16 /* a power of two; with head and legend they fit a terminal of 24 lines */
#define COLUMNS_MIN 16
#define COLUMNS_MAX 256
#define LABEL 10 /* the width of an offset */

/* ---- what can be shown ---- */

static unsigned int find_width(void)
{
	struct winsize window = { 0 };
	const char *columns = getenv("COLUMNS");
	long width = columns ? strtol(columns, NULL, 10) : 0;

	if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0)
		width = window.ws_col;
	return width > 0 && width < 10000 ? (unsigned int)width : 80;
}

static bool has_utf8(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool utf8;

	if (!locale)
		return false;
	utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
	freelocale(locale);
	return utf8;
}

struct map_screen map_screen_find(void)
{
	struct map_screen screen = { .width = find_width() };
	const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

	if (!isatty(STDOUT_FILENO) || !term || strcmp(term, "dumb") == 0)
		return screen;
	screen.utf8 = has_utf8();
	screen.colour = !no_colour || !*no_colour;
	return screen;
}

/* ---- the grid ---- */

/* A clean cell, and what is dirty by up to a quarter, a half, three quarters, or more. */
#define LEVELS 4
static const char *const ascii[LEVELS + 1] = { ".", "-", "+", "*", "#" };
static const char *const shades[LEVELS + 1] = { "·", "░", "▒", "▓", "█" };

/* From cold to hot, of the 256 colours that terminals have; they can be seen on black and white. */
static const unsigned int colours[MAP_HEATS_MAX] = { 142, 214, 208, 202, 196, 162 };
#define FAINT 244

static const char *const *glyphs(const struct map_screen *screen)
{
	return screen->utf8 ? shades : ascii;
}

/* Changes from one colour to another, 0 being none. */
static void change_colour(const struct map_screen *screen, unsigned int *colour, unsigned int to,
			  FILE *file)
{
	if (!screen->colour || *colour == to)
		return;
	if (to == 0)
		fputs("\033[0m", file);
	else
		fprintf(file, "\033[38;5;%um", to);
	*colour = to;
}

static unsigned int colour_of(unsigned int heat, uint64_t generations)
{
	return heat == 0 ? FAINT : colours[map_heat_colour(heat, generations)];
}

static void print_row(const struct map *map, const struct map_grid *grid, size_t first,
		      const struct map_screen *screen, FILE *file)
{
	uint64_t per_cell = grid->blocks_per_cell << map->block_shift;
	char offset[MAP_OFFSET_TEXT];
	unsigned int colour = 0;

	fprintf(file, "%*s  ", LABEL,
		map_offset_text(first * per_cell, per_cell * grid->columns, offset));
	for (size_t i = first; i < first + grid->columns && i < grid->ncells; i++) {
		const struct map_cell *cell = &grid->cells[i];
		unsigned int heat = map_cell_heat(cell, map->generations);

		change_colour(screen, &colour, colour_of(heat, map->generations), file);
		fputs(glyphs(screen)[map_cell_level(cell, LEVELS)], file);
	}
	change_colour(screen, &colour, 0, file);
	putc('\n', file);
}

/* ---- the legend ---- */

static void print_cell_legend(const struct map *map, const struct map_grid *grid,
			      const struct map_screen *screen, FILE *file)
{
	const char *const *g = glyphs(screen);
	char bytes[TEXT_BYTES];

	fprintf(file, "  %" PRIu64 " block%s each, %s;  %s clean", grid->blocks_per_cell,
		grid->blocks_per_cell == 1 ? "" : "s",
		text_bytes(grid->blocks_per_cell << map->block_shift, bytes), g[0]);
	if (grid->blocks_per_cell == 1)
		fprintf(file, "  %s dirty\n", g[LEVELS]);
	else
		fprintf(file, ", dirty up to  %s 1/4  %s 1/2  %s 3/4  %s all\n", g[1], g[2], g[3],
			g[4]);
}

static void print_heat_legend(const struct map *map, const struct map_screen *screen, FILE *file)
{
	char text[MAP_HEAT_TEXT];
	unsigned int colour = 0;

	if (!screen->colour || map->generations == 1)
		return;
	fputs("  changed in", file);
	for (unsigned int heat = 1; heat <= map_heats(map->generations); heat++) {
		fputs("  ", file);
		change_colour(screen, &colour, colour_of(heat, map->generations), file);
		fputs(glyphs(screen)[LEVELS], file);
		change_colour(screen, &colour, 0, file);
		fprintf(file, " %s", map_heat_text(heat, map->generations, text));
	}
	fprintf(file, "  of %" PRIu64 " generations\n", map->generations);
}

static size_t find_columns(const struct map_screen *screen)
{
	size_t columns = COLUMNS_MIN;

	while (columns < COLUMNS_MAX && LABEL + 2 + columns * 2 <= screen->width)
		columns *= 2;
	return columns;
}

int map_show_text(const struct map *map, const struct map_screen *screen, FILE *file)
{
	char name[TEXT_NAME], summary[MAP_SUMMARY], since[MAP_SINCE];
	struct map_grid grid;
	int r = map_grid_make(map, find_columns(screen), ROWS, &grid);

	if (r < 0)
		return r;
	fprintf(file, "%s: %s\n%s\n", text_quote(map->path, name, sizeof(name)),
		map_summary(map, summary), map_since_text(map, since));
	if (grid.ncells > 0) {
		putc('\n', file);
		for (size_t i = 0; i < grid.ncells; i += grid.columns)
			print_row(map, &grid, i, screen, file);
		putc('\n', file);
		print_cell_legend(map, &grid, screen, file);
		print_heat_legend(map, screen, file);
	}
	map_grid_destroy(&grid);
	return 0;
}
