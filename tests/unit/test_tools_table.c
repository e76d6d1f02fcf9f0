/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_table.c - table.h: columns as wide as what is in them */
#include "config.h"

#include "tests/unit/suite.h"
#include "tools/table.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct table *table;

static void setup(void)
{
	table = table_new();
	table_column(table, "N", TABLE_RIGHT);
	table_column(table, "SIDE", TABLE_LEFT);
	table_column(table, "NAME", TABLE_LEFT);
}

static void teardown(void)
{
	table_free(table);
}

static void row(const char *a, const char *b, const char *c)
{
	table_cell(table, a);
	table_cell(table, b);
	table_cell(table, c);
}

static void prints(const char *wanted)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_int_eq(table_print(table, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(text, wanted);
	free(text);
}

START_TEST(empty)
{
	prints("");
	ck_assert_uint_eq(table_width(table), strlen("N  SIDE  NAME"));
}
END_TEST

START_TEST(narrow_and_wide)
{
	row("1", "left", "a");
	prints("N  SIDE  NAME\n"
	       "1  left  a\n");
	row("1000", "l", "a name that is longer than its title");
	prints("   N  SIDE  NAME\n"
	       "   1  left  a\n"
	       "1000  l     a name that is longer than its title\n");
	ck_assert_uint_eq(table_width(table), strlen("1000  SIDE  NAME"));
	row("2", "wider than SIDE", "b");
	prints("   N  SIDE             NAME\n"
	       "   1  left             a\n"
	       "1000  l                a name that is longer than its title\n"
	       "   2  wider than SIDE  b\n");
}
END_TEST

START_TEST(characters_not_bytes)
{
	row("1", "tr\xc3\xb6t", "a");
	row("2", "trot", "b");
	prints("N  SIDE  NAME\n"
	       "1  tr\xc3\xb6t  a\n"
	       "2  trot  b\n");
}
END_TEST

/* No line ends with spaces, and what follows an empty cell stays in its column. */
START_TEST(empty_cells)
{
	row("", "", "a");
	row("1", "", "");
	row("", "left", "");
	row("", "", "");
	prints("N  SIDE  NAME\n"
	       "         a\n"
	       "1\n"
	       "   left\n"
	       "\n");
}
END_TEST

START_TEST(many_rows)
{
	char *text = NULL;
	size_t size, lines = 0;
	FILE *out = open_memstream(&text, &size);

	for (int i = 0; i < 1000; i++) {
		table_cellf(table, "%d", i);
		table_cellf(table, "%s", "side");
		table_cell(table, "name");
	}
	ck_assert_int_eq(table_print(table, out), 0);
	fclose(out);
	for (const char *at = text; *at; at = strchr(at, '\n') + 1, lines++)
		ck_assert_uint_eq(strcspn(at, "\n"), strlen("123  SIDE  NAME"));
	ck_assert_uint_eq(lines, 1001);
	free(text);
}
END_TEST

START_TEST(without_memory)
{
	table_column(NULL, "N", TABLE_LEFT);
	table_cell(NULL, "1");
	table_cellf(NULL, "%d", 1);
	ck_assert_int_eq(table_print(NULL, stdout), -ENOMEM);
	ck_assert_uint_eq(table_width(NULL), 0);
	table_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table");
	TCase *tcase = tcase_create("table");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, narrow_and_wide);
	tcase_add_test(tcase, characters_not_bytes);
	tcase_add_test(tcase, empty_cells);
	tcase_add_test(tcase, many_rows);
	tcase_add_test(tcase, without_memory);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
