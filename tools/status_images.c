/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status_images.c - a source's images as a table, with their sum
 *
 * Names come last, however long they are.  What a terminal has no room for goes in this order: the
 * percentages of each replica; then all replicas but the one for which most has to be copied.
 * Elsewhere nothing does.
 */
#include "config.h"

#include "tools/status_images.h"
#include "tools/table.h"
#include "tools/text.h"

#include <errno.h>
#include <stdlib.h>

/* What of an image's replicas is shown. */
enum detail { DIRTY_AND_PERCENT, DIRTY_ALONE, DIRTIEST };

#define NAME_ROOM 16 /* that names have on a terminal, at least */

/* The replica for which most of an image has to be looked at; there is one. */
static size_t dirtiest_of(const uint64_t dirty[], size_t n)
{
	size_t most = 0;

	for (size_t i = 1; i < n; i++)
		if (dirty[i] > dirty[most])
			most = i;
	return most;
}

struct image_table {
	struct table *table;
	enum detail detail;
	size_t nreplicas;
	bool armed; /* is there a column for that? */
};

static void add_columns(const struct image_table *images)
{
	table_column(images->table, "SIZE", TABLE_RIGHT);
	if (images->armed)
		table_column(images->table, "ARMED", TABLE_RIGHT);
	for (size_t i = 0; i < images->nreplicas && images->detail != DIRTIEST; i++) {
		char title[32];

		snprintf(title, sizeof(title), "[%zu] DIRTY", i + 1);
		table_column(images->table, title, TABLE_RIGHT);
		if (images->detail == DIRTY_AND_PERCENT)
			table_column(images->table, "%", TABLE_RIGHT);
	}
	if (images->nreplicas > 0 && images->detail == DIRTIEST) {
		table_column(images->table, "MOST DIRTY", TABLE_RIGHT);
		table_column(images->table, "%", TABLE_RIGHT);
		table_column(images->table, "FOR", TABLE_LEFT);
	}
	table_column(images->table, "IMAGE", TABLE_LEFT);
}

/* All cells but the name. */
static void add_sizes(const struct image_table *images, uint64_t size, uint64_t armed,
		      const uint64_t dirty[])
{
	char bytes[TEXT_BYTES], percent[TEXT_PERCENT];

	table_cell(images->table, text_bytes(size, bytes));
	if (images->armed)
		table_cell(images->table, text_bytes(armed, bytes));
	for (size_t i = 0; i < images->nreplicas && images->detail != DIRTIEST; i++) {
		table_cell(images->table, text_bytes(dirty[i], bytes));
		if (images->detail == DIRTY_AND_PERCENT)
			table_cell(images->table, text_percent(dirty[i], size, percent));
	}
	if (images->nreplicas > 0 && images->detail == DIRTIEST) {
		size_t most = dirtiest_of(dirty, images->nreplicas);

		table_cell(images->table, text_bytes(dirty[most], bytes));
		table_cell(images->table, text_percent(dirty[most], size, percent));
		table_cellf(images->table, "[%zu]", most + 1);
	}
}

static void add_image(const struct image_table *images, const struct status_image *image)
{
	char name[TEXT_NAME];
	bool tracked = image->reason == BMF_REASON_NONE;

	add_sizes(images, image->size, image->armed_bytes, image->dirty);
	table_cellf(images->table, "%s%s%s%s", text_quote(image->path, name, sizeof(name)),
		    tracked ? "" : " (", tracked ? "" : bmf_reason_word(image->reason),
		    tracked ? "" : ")");
}

static int add_sum(const struct image_table *images, const struct status *status)
{
	uint64_t *dirty = calloc(images->nreplicas + 1, sizeof(*dirty)), armed = 0;

	if (!dirty)
		return -ENOMEM;
	for (size_t i = 0; i < images->nreplicas; i++)
		dirty[i] = status->replicas.items[i].dirty;
	for (size_t i = 0; i < status->nimages; i++)
		armed += status->images[i].armed_bytes;
	add_sizes(images, status_bytes(status), armed, dirty);
	table_cellf(images->table, "(%zu image%s)", status->nimages,
		    status->nimages == 1 ? "" : "s");
	free(dirty);
	return 0;
}

static uint64_t most_dirty(const struct status_image *image, size_t nreplicas)
{
	return nreplicas ? image->dirty[dirtiest_of(image->dirty, nreplicas)] : 0;
}

static int by_dirt(const void *a, const void *b, void *arg)
{
	const struct status_image *const *x = a, *const *y = b;
	uint64_t of_x = most_dirty(*x, *(size_t *)arg), of_y = most_dirty(*y, *(size_t *)arg);

	if (of_x != of_y)
		return of_x > of_y ? -1 : 1;
	return *x < *y ? -1 : *x > *y; /* as the tree has them */
}

/* The table with n of them, so detailed; NULL: no memory. */
static struct table *lay_out(const struct status *status, const struct status_image *const *chosen,
			     size_t n, bool armed, enum detail detail)
{
	struct image_table images = { .table = table_new(),
				      .detail = detail,
				      .nreplicas = status->replicas.n,
				      .armed = armed };

	add_columns(&images);
	for (size_t i = 0; i < n; i++)
		add_image(&images, chosen[i]);
	if (add_sum(&images, status) == 0)
		return images.table;
	table_free(images.table);
	return NULL;
}

static int print_chosen(const struct status *status, const struct status_image *const *chosen,
			size_t n, unsigned int columns, FILE *out)
{
	struct table *table = NULL;
	bool armed = status->mounted;
	int r;

	for (size_t i = 0; i < status->nimages; i++)
		armed = armed || status->images[i].armed_bytes > 0;
	for (enum detail detail = DIRTY_AND_PERCENT; detail <= DIRTIEST; detail++) {
		table_free(table);
		table = lay_out(status, chosen, n, armed, detail);
		if (columns == 0 || table_width(table) + NAME_ROOM <= columns)
			break;
	}
	fputc('\n', out);
	r = table_print(table, out);
	table_free(table);
	if (n < status->nimages)
		fprintf(out, "and %zu more images, none with more to be copied\n",
			status->nimages - n);
	return r;
}

int status_images_print(const struct status *status, size_t limit, unsigned int columns, FILE *out)
{
	size_t n = status->nimages, nreplicas = status->replicas.n;
	const struct status_image **chosen = calloc(n + 1, sizeof(*chosen));
	int r;

	if (!chosen)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		chosen[i] = &status->images[i];
	if (limit > 0 && n > limit) {
		qsort_r(chosen, n, sizeof(*chosen), by_dirt, &nreplicas);
		n = limit;
	}
	r = print_chosen(status, chosen, n, columns, out);
	free(chosen);
	return r;
}
