/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map_picture.h - what the two kinds of pictures of a map have in common */
#ifndef TOOLS_MAP_PICTURE_H
#define TOOLS_MAP_PICTURE_H

#include "tools/map_grid.h"

#include <stdint.h>

#define MAP_PICTURE_COLUMNS 64
#define MAP_PICTURE_ROWS 64

/* In pixels.  Sides are even, so that a square has a middle. */
#define MAP_CELL 16
#define MAP_SQUARE 14 /* a clean cell, and one that is all dirty */
#define MAP_SQUARE_LEAST 4

/* 0xRRGGBB.  Lightness alone tells the heats apart, for those who see few colours. */
#define MAP_BACKGROUND 0xffffffu
#define MAP_CLEAN 0xe7ebf0u
extern const uint32_t map_heat_rgb[MAP_HEATS_MAX];

#endif
