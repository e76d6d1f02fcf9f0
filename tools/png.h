/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * png.h - a picture of few colours as a PNG file
 *
 * One byte a pixel, an index into a palette.  Runs of equal pixels and equal rows are packed, as
 * pictures of squares have them; nothing else is, and no library is needed for that.
 */
#ifndef TOOLS_PNG_H
#define TOOLS_PNG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct png_colour {
	uint8_t red, green, blue;
};

struct png_text {
	const char *keyword; /* one of those that PNG has: "Title", "Description", "Software" */
	const char *text;    /* UTF-8 */
};

struct png {
	uint32_t width, height; /* at least 1 */
	const uint8_t *pixels;	/* row after row */
	const struct png_colour *palette;
	size_t ncolours; /* at most 256 */
	const struct png_text *texts;
	size_t ntexts;
};

/* 0 or -ENOMEM.  Errors of writing are the stream's. */
int png_write(const struct png *png, FILE *file);

#endif
