/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_png.c - a PNG file is what another reader takes it for */
#include "config.h"

#include "tests/unit/suite.h"
#include "tools/png.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct bits {
	const uint8_t *bytes;
	size_t at; /* bits */
};

static unsigned int take(struct bits *bits, unsigned int n)
{
	unsigned int value = 0;

	for (unsigned int i = 0; i < n; i++, bits->at++)
		value |= (bits->bytes[bits->at / 8] >> bits->at % 8 & 1u) << i;
	return value;
}

/* Fixed codes, as the table in 3.2.6 of RFC 1951 has them. */
static unsigned int take_symbol(struct bits *bits)
{
	unsigned int code = 0;

	for (unsigned int n = 1; n <= 9; n++) {
		code = code << 1 | take(bits, 1);
		if (n == 7 && code <= 0x17)
			return 256 + code;
		if (n == 8 && code >= 0x30 && code <= 0xbf)
			return code - 0x30;
		if (n == 8 && code >= 0xc0 && code <= 0xc7)
			return 280 + code - 0xc0;
		if (n == 9 && code >= 0x190)
			return 144 + code - 0x190;
	}
	ck_abort_msg("no such code");
}

/* 3.2.5, for matches of the byte before only.  Returns the number of bytes. */
static size_t inflate(struct bits *bits, uint8_t *out, size_t room)
{
	static const unsigned int base[] = { 3,	 4,  5,	 6,   7,   8,	9,   10,  11, 13,
					     15, 17, 19, 23,  27,  31,	35,  43,  51, 59,
					     67, 83, 99, 115, 131, 163, 195, 227, 258 };
	static const unsigned int extra[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
					      2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
	size_t n = 0;
	unsigned int symbol;

	ck_assert_uint_eq(take(bits, 3), 3); /* the last block, fixed codes */
	while ((symbol = take_symbol(bits)) != 256) {
		unsigned int length = 1;

		if (symbol > 256) {
			length = base[symbol - 257] + take(bits, extra[symbol - 257]);
			ck_assert_uint_eq(take(bits, 5), 0); /* a distance of 1 */
			ck_assert_uint_gt(n, 0);
			symbol = out[n - 1];
		}
		ck_assert_uint_le(n + length, room);
		memset(out + n, (int)symbol, length);
		n += length;
	}
	return n;
}

static uint32_t be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

/* The chunk of that type; *ret_n: its length. */
static const uint8_t *find_chunk(const uint8_t *file, size_t nbytes, const char *type,
				 uint32_t *ret_n)
{
	size_t at = 8;

	while (at < nbytes && memcmp(file + at + 4, type, 4) != 0)
		at += 12 + be32(file + at);
	ck_assert_uint_lt(at, nbytes);
	*ret_n = be32(file + at);
	return file + at + 8;
}

/* Decodes it, and compares its pixels. */
static void check_pixels(const uint8_t *file, size_t nbytes, const struct png *png)
{
	size_t room = png->height * (png->width + 1), n;
	uint8_t *rows = malloc(room), *row;
	uint32_t length, a = 1, b = 0;
	const uint8_t *data = find_chunk(file, nbytes, "IDAT", &length);
	struct bits bits = { data, 16 };

	ck_assert_uint_eq((data[0] * 256u + data[1]) % 31, 0);
	n = inflate(&bits, rows, room);
	ck_assert_uint_eq(n, room);
	for (size_t i = 0; i < n; i++) {
		a = (a + rows[i]) % 65521;
		b = (b + a) % 65521;
	}
	ck_assert_uint_eq(be32(data + length - 4), b << 16 | a);
	for (size_t y = 0; y < png->height; y++) {
		row = rows + y * (png->width + 1);
		ck_assert(row[0] == 0 || (row[0] == 2 && y > 0));
		for (size_t x = 1; row[0] == 2 && x <= png->width; x++)
			row[x] = (uint8_t)(row[x] + rows[(y - 1) * (png->width + 1) + x]);
		ck_assert_mem_eq(row + 1, png->pixels + y * png->width, png->width);
	}
	free(rows);
}

static char *write_png(const struct png *png, size_t *ret_nbytes)
{
	char *bytes = NULL;
	FILE *file = open_memstream(&bytes, ret_nbytes);

	ck_assert_int_eq(png_write(png, file), 0);
	ck_assert_int_eq(fclose(file), 0);
	return bytes;
}

/* Runs of each length that there can be, of bytes with short codes and with long ones. */
START_TEST(png_is_read_back)
{
	static const struct png_colour palette[256];
	uint32_t width = 700, height = 3 * 266;
	uint8_t *pixels = malloc((size_t)width * height);
	struct png png = { .width = width,
			   .height = height,
			   .pixels = pixels,
			   .palette = palette,
			   .ncolours = 256 };
	size_t nbytes;
	char *file;

	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++)
			pixels[y * width + x] = (uint8_t)(x / (y / 3 + 1) % 2 ? 200 : y / 3);
	file = write_png(&png, &nbytes);
	check_pixels((const uint8_t *)file, nbytes, &png);
	free(file);
	free(pixels);
}
END_TEST

/* Byte for byte; what zlib made of it was right when this was written. */
START_TEST(png_golden)
{
	static const struct png_colour palette[] = { { 255, 255, 255 }, { 1, 2, 3 } };
	static const struct png_text text = { "Title", "a" };
	static const uint8_t pixels[] = { 0, 1, 1, 1, 1, 0, 1, 1, 1, 1 };
	static const char wanted[] = "89504e470d0a1a0a"
				     "0000000d4948445200000005000000020803000000a7b4e66f"
				     "00000006504c5445ffffff010203ff3f8a71"
				     "0000000b695458745469746c650000000000618558dfc7"
				     "0000001049444154780163606004022606100000003a00079a4cf942"
				     "0000000049454e44ae426082";
	struct png png = { .width = 5,
			   .height = 2,
			   .pixels = pixels,
			   .palette = palette,
			   .ncolours = 2,
			   .texts = &text,
			   .ntexts = 1 };
	size_t nbytes;
	char *file = write_png(&png, &nbytes), hex[sizeof(wanted) + 2] = "";

	for (size_t i = 0; i < nbytes && 2 * i + 1 < sizeof(wanted); i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned int)(uint8_t)file[i]);
	ck_assert_str_eq(hex, wanted);
	free(file);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_png");
	TCase *tc = tcase_create("png");

	tcase_add_test(tc, png_is_read_back);
	tcase_add_test(tc, png_golden);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
