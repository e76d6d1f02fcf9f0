/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_show.h - a map in the terminal, as JSON, as a picture
 *
 * Each returns 0 or a negative errno; errors of writing are the stream's.
 */
#ifndef TOOLS_MAP_SHOW_H
#define TOOLS_MAP_SHOW_H

#include "tools/map.h"

#include <stdbool.h>
#include <stdio.h>

/* What a terminal can show. */
struct map_screen {
	unsigned int width; /* characters */
	bool utf8, colour;
};

/* The terminal that stdout is; or what a pipe gets: ASCII. */
struct map_screen map_screen_find(void);

int map_show_text(const struct map *map, const struct map_screen *screen, FILE *file);
int map_show_json(const struct map *map, FILE *file);
int map_show_svg(const struct map *map, FILE *file);
int map_show_png(const struct map *map, FILE *file);

/* What those begin with, by which they are known again. */
#define MAP_SVG_BEGIN "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "
#define MAP_PNG_BEGIN "\x89PNG"

/* ---- what the pictures and the terminal say alike ---- */

/* "2.0 MiB of 1.0 GiB dirty (0.20%), in 3 runs"; without a history also why. */
#define MAP_SUMMARY 256
char *map_summary(const struct map *map, char buf[MAP_SUMMARY]);

/* "since checkpoint 7 (nightly) of 2026-11-26T01:00:00Z, 3 generations" */
#define MAP_SINCE 384
char *map_since_text(const struct map *map, char buf[MAP_SINCE]);

#endif
