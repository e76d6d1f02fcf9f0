/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h - a table for people: columns as wide as what is in them
 *
 * Calling sequence: table_new; table_column for each column; table_cell for each cell, row by row;
 * table_print; table_free.  Titles and cells are copied.  The last column is never padded, so that
 * names of any length go there.
 *
 * Running out of memory is noticed once, by table_print().  Not thread safe.
 */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table;

enum table_side { TABLE_LEFT, TABLE_RIGHT };

struct table *table_new(void); /* NULL: no memory, which all of the others can stand */
void table_free(struct table *table);

/* All columns come before the first cell. */
void table_column(struct table *table, const char *title, enum table_side side);

/* The next cell of the row, or the first of the next one; "" leaves it empty. */
void table_cell(struct table *table, const char *text);

/* The same, formatted. */
void table_cellf(struct table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* How many characters its longest line has, but for the last column, and the title of that. */
size_t table_width(const struct table *table);

/* The titles and a line for each row; nothing if there are no rows.  0 or -ENOMEM. */
int table_print(const struct table *table, FILE *out);

#endif
