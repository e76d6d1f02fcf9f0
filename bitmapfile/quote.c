/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quote.c - what comes from outside, as one line of UTF-8 */
#include "config.h"

#include "bitmapfile/quote.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Does s begin with n continuation bytes, the first of them from low to high? */
static bool continues(const unsigned char *s, size_t n, unsigned char low, unsigned char high)
{
	if (s[0] < low || s[0] > high)
		return false;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return false;
	return true;
}

size_t bmf_utf8(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;

	if (u[0] < 0x80)
		return 1;
	if (u[0] >= 0xc2 && u[0] <= 0xdf)
		return continues(u + 1, 1, 0x80, 0xbf) ? 2 : 0;
	if ((u[0] & 0xf0) == 0xe0) /* neither overlong nor a surrogate */
		return continues(u + 1, 2, u[0] == 0xe0 ? 0xa0 : 0x80, u[0] == 0xed ? 0x9f : 0xbf)
			       ? 3
			       : 0;
	if (u[0] >= 0xf0 && u[0] <= 0xf4)
		return continues(u + 1, 3, u[0] == 0xf0 ? 0x90 : 0x80, u[0] == 0xf4 ? 0x8f : 0xbf)
			       ? 4
			       : 0;
	return 0;
}

/*
 * Writes what stands for the character at *s, at most 4 bytes and a NUL, and moves on.
 */
static void escape_one(const char **s, char out[5])
{
	unsigned char c = (unsigned char)**s;
	size_t n = bmf_utf8(*s);
	/* C1 controls: U+0080 to U+009F are c2 80 to c2 9f */
	bool c1 = n == 2 && c == 0xc2 && (unsigned char)(*s)[1] < 0xa0;

	if (c == '\\' || c == '\n' || c == '\t') {
		snprintf(out, 5, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : '\\');
		n = 1;
	} else if (n == 0 || c < 0x20 || c == 0x7f || c1) {
		snprintf(out, 5, "\\x%02x", c);
		n = 1;
	} else {
		memcpy(out, *s, n);
		out[n] = '\0';
	}
	*s += n;
}

char *bmf_quote(const char *text, char *buf, size_t size)
{
	size_t used = 0, cut = 0; /* where "..." still fits */

	while (*text) {
		char piece[5];
		size_t n;

		escape_one(&text, piece);
		n = strlen(piece);
		if (used + n >= size) {
			memcpy(buf + cut, "...", 3);
			used = cut + 3;
			break;
		}
		memcpy(buf + used, piece, n);
		used += n;
		if (used + 3 < size)
			cut = used;
	}
	buf[used] = '\0';
	return buf;
}
