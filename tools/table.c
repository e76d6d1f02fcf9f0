/* SPDX-License-Identifier: GPL-2.0-or-later */
/* table.c - a table for people: columns as wide as what is in them */
#include "config.h"

#include "tools/table.h"
#include "tools/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2 /* between columns */

struct column {
	enum table_side side;
	size_t width; /* in characters */
};

struct table {
	struct column *columns;
	char **cells; /* row by row; the titles are the first row */
	size_t ncolumns, ncells, room;
	bool out_of_memory;
};

struct table *table_new(void)
{
	return calloc(1, sizeof(struct table));
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->ncells; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->columns);
	free(table);
}

/* Takes text, which is owned; NULL: there was no memory for it. */
static void add(struct table *table, char *text)
{
	struct column *column;
	size_t width;

	if (text && table->ncells == table->room) {
		size_t room = table->room ? table->room * 2 : 64;
		char **bigger = reallocarray(table->cells, room, sizeof(*bigger));

		if (bigger) {
			table->cells = bigger;
			table->room = room;
		}
	}
	if (!text || table->ncells == table->room || table->out_of_memory) {
		table->out_of_memory = true;
		free(text);
		return;
	}
	column = &table->columns[table->ncells % table->ncolumns];
	width = text_width(text);
	if (width > column->width)
		column->width = width;
	table->cells[table->ncells++] = text;
}

void table_column(struct table *table, const char *title, enum table_side side)
{
	struct column *bigger;

	if (!table)
		return;
	bigger = reallocarray(table->columns, table->ncolumns + 1, sizeof(*bigger));
	if (!bigger) {
		table->out_of_memory = true;
		return;
	}
	table->columns = bigger;
	bigger[table->ncolumns++] = (struct column){ .side = side };
	add(table, strdup(title));
}

void table_cell(struct table *table, const char *text)
{
	if (table && table->ncolumns > 0)
		add(table, strdup(text));
}

void table_cellf(struct table *table, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	if (!table || table->ncolumns == 0)
		return;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	add(table, text);
}

size_t table_width(const struct table *table)
{
	size_t width = 0;

	if (!table || table->ncolumns == 0 || table->out_of_memory)
		return 0;
	for (size_t i = 0; i + 1 < table->ncolumns; i++)
		width += table->columns[i].width + GAP;
	return width + text_width(table->cells[table->ncolumns - 1]);
}

static void print_row(const struct table *table, char *const cells[], FILE *out)
{
	size_t owed = 0; /* spaces, if anything follows: a line doesn't end with them */

	for (size_t i = 0; i < table->ncolumns; i++) {
		const struct column *column = &table->columns[i];
		size_t pad = column->width - text_width(cells[i]);

		if (column->side == TABLE_RIGHT)
			owed += pad;
		if (*cells[i]) {
			fprintf(out, "%*s%s", (int)owed, "", cells[i]);
			owed = 0;
		}
		owed += (column->side == TABLE_LEFT ? pad : 0) + GAP;
	}
	fputc('\n', out);
}

int table_print(const struct table *table, FILE *out)
{
	if (!table || table->out_of_memory)
		return -ENOMEM;
	if (table->ncells <= table->ncolumns)
		return 0;
	for (size_t at = 0; at + table->ncolumns <= table->ncells; at += table->ncolumns)
		print_row(table, table->cells + at, out);
	return 0;
}
