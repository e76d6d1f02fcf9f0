/* SPDX-License-Identifier: GPL-2.0-or-later */
/* golden.c - reads, compares and (for a new format) writes golden files */
#include "config.h"

#include "tests/unit/golden.h"

#include <check.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN_NBYTES_MAX (1u << 20)

static FILE *golden_open(const char *name, const char *mode)
{
	const char *top = getenv("TOP");
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/golden/%s", top ? top : ".", name);
	file = fopen(path, mode);
	ck_assert_msg(file, "open '%s': %m; run it by tests/run, or from the top directory", path);
	return file;
}

/* One line: "OFFSET: HEX HEX ...  text"; returns the end of its bytes, or 0 for a "*". */
static size_t parse_line(const char *line, uint8_t *buf)
{
	char *at;
	size_t offset = strtoul(line, &at, 16);
	unsigned int byte;

	if (*line == '*')
		return 0;
	ck_assert_msg(*at == ':', "not a line of xxd: %s", line);
	at++;
	while (at[0] == ' ' && at[1] != ' ') {
		at++;
		for (; sscanf(at, "%2x", &byte) == 1 && at[0] != ' '; at += 2) {
			ck_assert_uint_lt(offset, GOLDEN_NBYTES_MAX);
			buf[offset++] = (uint8_t)byte;
		}
	}
	return offset;
}

uint8_t *golden_read(const char *name, size_t *ret_nbytes)
{
	uint8_t *buf = calloc(1, GOLDEN_NBYTES_MAX);
	FILE *file = golden_open(name, "r");
	char line[256];
	size_t nbytes = 0;

	ck_assert_ptr_nonnull(buf);
	while (fgets(line, sizeof(line), file)) {
		size_t end = parse_line(line, buf);

		if (end > nbytes)
			nbytes = end;
	}
	fclose(file);
	*ret_nbytes = nbytes;
	return buf;
}

static void write_line(FILE *file, const uint8_t *buf, size_t offset, size_t n)
{
	fprintf(file, "%08zx:", offset);
	for (size_t i = 0; i < 16; i++) {
		if (i % 2 == 0)
			fputc(' ', file);
		if (i < n)
			fprintf(file, "%02x", buf[offset + i]);
		else
			fputs("  ", file);
	}
	fputs("  ", file);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = buf[offset + i];

		fputc(c >= ' ' && c < 0x7f ? c : '.', file);
	}
	fputc('\n', file);
}

static void golden_write(const char *name, const uint8_t *buf, size_t nbytes)
{
	static const uint8_t zeros[16];
	FILE *file = golden_open(name, "w");
	bool skipping = false;

	for (size_t offset = 0; offset < nbytes; offset += 16) {
		size_t n = nbytes - offset < 16 ? nbytes - offset : 16;
		bool skip = offset + 16 < nbytes && memcmp(buf + offset, zeros, n) == 0;

		if (!skip)
			write_line(file, buf, offset, n);
		else if (!skipping)
			fputs("*\n", file);
		skipping = skip;
	}
	ck_assert_int_eq(fclose(file), 0);
}

void golden_check(const char *name, const void *buf, size_t nbytes)
{
	const uint8_t *got = buf;
	uint8_t *expected;
	size_t n;

	if (getenv("GOLDEN_UPDATE")) {
		golden_write(name, buf, nbytes);
		return;
	}
	expected = golden_read(name, &n);
	for (size_t i = 0; i < n && i < nbytes; i++)
		ck_assert_msg(expected[i] == got[i], "%s: byte %zu is %02x and must be %02x", name,
			      i, got[i], expected[i]);
	ck_assert_msg(n == nbytes, "%s: %zu bytes, must be %zu", name, nbytes, n);
	free(expected);
}
