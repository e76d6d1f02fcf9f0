/* SPDX-License-Identifier: GPL-2.0-or-later */
/* png.c - a picture of few colours as a PNG file; RFC 2083, 1950 and 1951 are what it is about */
#include "config.h"

#include "tools/png.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- deflate: one block with fixed codes, and of all matches only those of a byte's repetition
 * ---- */

struct deflate {
	FILE *file;
	uint32_t bits; /* that are not written yet, the first is the lowest */
	unsigned int nbits;
	uint32_t a, b; /* Adler-32 of what went in */
};

static void put_bits(struct deflate *z, uint32_t value, unsigned int n)
{
	z->bits |= value << z->nbits;
	for (z->nbits += n; z->nbits >= 8; z->nbits -= 8) {
		putc((int)(z->bits & 0xff), z->file);
		z->bits >>= 8;
	}
}

/* Huffman codes have their highest bit first. */
static void put_code(struct deflate *z, uint32_t code, unsigned int n)
{
	while (n-- > 0)
		put_bits(z, code >> n & 1, 1);
}

static void put_symbol(struct deflate *z, unsigned int symbol)
{
	if (symbol < 144)
		put_code(z, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(z, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(z, symbol - 256, 7);
	else
		put_code(z, 0xc0 + symbol - 280, 8);
}

#define MATCH_MIN 3u
#define MATCH_MAX 258u

/* n times the byte before; n is MATCH_MIN to MATCH_MAX. */
static void put_match(struct deflate *z, unsigned int n)
{
	unsigned int symbol = 257, base = MATCH_MIN, extra = 0;

	/* four symbols for each number of extra bits, but eight that have none */
	while (n < MATCH_MAX && n >= base + (1u << extra)) {
		base += 1u << extra;
		symbol++;
		extra = symbol < 265 ? 0 : (symbol - 261) / 4;
	}
	if (n == MATCH_MAX) {
		put_symbol(z, 285);
	} else {
		put_symbol(z, symbol);
		put_bits(z, n - base, extra);
	}
	put_code(z, 0, 5); /* the distance of 1 */
}

static void put_repeated(struct deflate *z, uint8_t byte, size_t n)
{
	put_symbol(z, byte);
	for (n--; n >= MATCH_MIN;) {
		size_t part = n < MATCH_MAX ? n : MATCH_MAX;

		put_match(z, (unsigned int)part);
		n -= part;
	}
	while (n-- > 0)
		put_symbol(z, byte);
}

static void deflate_bytes(struct deflate *z, const uint8_t *bytes, size_t nbytes)
{
	size_t n;

	for (size_t i = 0; i < nbytes; i++) {
		z->a = (z->a + bytes[i]) % 65521;
		z->b = (z->b + z->a) % 65521;
	}
	for (; nbytes > 0; bytes += n, nbytes -= n) {
		for (n = 1; n < nbytes && bytes[n] == bytes[0]; n++)
			;
		put_repeated(z, bytes[0], n);
	}
}

static struct deflate deflate_begin(FILE *file)
{
	struct deflate z = { .file = file, .a = 1 };

	put_bits(&z, 0x0178, 16); /* zlib's header: a window of 32 KiB, packed fast */
	put_bits(&z, 1, 1);	  /* the last block */
	put_bits(&z, 1, 2);	  /* fixed codes */
	return z;
}

static void put_be32(FILE *file, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		putc((int)(value >> shift & 0xff), file);
}

static void deflate_end(struct deflate *z)
{
	put_symbol(z, 256);
	put_bits(z, 0, (8 - z->nbits) % 8);
	put_be32(z->file, z->b << 16 | z->a);
}

/* ---- chunks ---- */

static uint32_t crc_of(uint32_t crc, const void *bytes, size_t nbytes)
{
	const uint8_t *byte = bytes;

	for (crc = ~crc; nbytes > 0; nbytes--) {
		crc ^= *byte++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc;
}

static void put_chunk(FILE *file, const char type[4], const void *bytes, size_t nbytes)
{
	put_be32(file, (uint32_t)nbytes);
	fwrite(type, 1, 4, file);
	fwrite(bytes, 1, nbytes, file);
	put_be32(file, crc_of(crc_of(0, type, 4), bytes, nbytes));
}

/* What fill writes, as a chunk.  0 or -ENOMEM. */
static int put_filled(FILE *file, const char type[4],
		      void (*fill)(FILE *chunk, const struct png *png, size_t i),
		      const struct png *png, size_t i)
{
	char *bytes = NULL;
	size_t nbytes;
	FILE *chunk = open_memstream(&bytes, &nbytes);
	int r = -ENOMEM;

	if (!chunk)
		return r;
	fill(chunk, png, i);
	if (fclose(chunk) == 0) {
		put_chunk(file, type, bytes, nbytes);
		r = 0;
	}
	free(bytes);
	return r;
}

static void fill_header(FILE *chunk, const struct png *png, size_t i)
{
	/* 8 bits a pixel, indexes; and the one way there is to pack, to filter, not to interlace */
	static const uint8_t rest[] = { 8, 3, 0, 0, 0 };

	(void)i;
	put_be32(chunk, png->width);
	put_be32(chunk, png->height);
	fwrite(rest, 1, sizeof(rest), chunk);
}

static void fill_text(FILE *chunk, const struct png *png, size_t i)
{
	/* not packed, in no language, with no translated keyword */
	static const uint8_t between[] = { 0, 0, 0, 0, 0 };

	fputs(png->texts[i].keyword, chunk);
	fwrite(between, 1, sizeof(between), chunk);
	fputs(png->texts[i].text, chunk);
}

/* A row like the one before is its difference to that. */
static void fill_data(FILE *chunk, const struct png *png, size_t i)
{
	static const uint8_t as_it_is = 0, as_above = 2, nothing[256];
	struct deflate z = deflate_begin(chunk);

	(void)i;
	for (size_t y = 0; y < png->height; y++) {
		const uint8_t *row = png->pixels + y * png->width;

		if (y == 0 || memcmp(row, row - png->width, png->width) != 0) {
			deflate_bytes(&z, &as_it_is, 1);
			deflate_bytes(&z, row, png->width);
			continue;
		}
		deflate_bytes(&z, &as_above, 1);
		for (size_t n, left = png->width; left > 0; left -= n) {
			n = left < sizeof(nothing) ? left : sizeof(nothing);
			deflate_bytes(&z, nothing, n);
		}
	}
	deflate_end(&z);
}

int png_write(const struct png *png, FILE *file)
{
	int r;

	fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
	r = put_filled(file, "IHDR", fill_header, png, 0);
	put_chunk(file, "PLTE", png->palette, png->ncolours * sizeof(*png->palette));
	for (size_t i = 0; r == 0 && i < png->ntexts; i++)
		r = put_filled(file, "iTXt", fill_text, png, i);
	if (r == 0)
		r = put_filled(file, "IDAT", fill_data, png, 0);
	put_chunk(file, "IEND", "", 0);
	return r;
}
