/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoints_show.c - the older checkpoints of a replica, for people and as JSON */
#include "config.h"

#include "tools/checkpoints_show.h"
#include "tools/table.h"
#include "tools/text.h"

static const char *kind_of(const struct checkpoint *checkpoint)
{
	return checkpoint->is_delta ? "delta" : "tree";
}

json_t *checkpoints_show_json(const struct checkpoints *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++) {
		const struct checkpoint *checkpoint = &list->items[i];
		json_t *object = json_object();

		json_put_number(object, "number", checkpoint->number);
		json_put_uuid(object, "uuid", &checkpoint->uuid);
		json_put_time(object, "time", checkpoint->time_ns);
		json_put_text(object, "kind", kind_of(checkpoint));
		json_put_number(object, "bytes", checkpoint->nbytes);
		json_array_append_new(array, object);
	}
	return array;
}

int checkpoints_show(const struct checkpoints *list, FILE *out)
{
	char uuid[BMF_UUID_TEXT], when[TEXT_TIME], bytes[TEXT_BYTES];
	struct table *table = table_new();
	int r;

	table_column(table, "CHECKPOINT", TABLE_RIGHT);
	table_column(table, "MADE", TABLE_LEFT);
	table_column(table, "KEPT AS", TABLE_LEFT);
	table_column(table, "SIZE", TABLE_RIGHT);
	table_column(table, "UUID", TABLE_LEFT);
	for (size_t i = 0; i < list->n; i++) {
		const struct checkpoint *checkpoint = &list->items[i];

		table_cellf(table, "%llu", (unsigned long long)checkpoint->number);
		table_cell(table, text_time(checkpoint->time_ns, when));
		table_cell(table, kind_of(checkpoint));
		table_cell(table, text_bytes(checkpoint->nbytes, bytes));
		table_cell(table, bmf_uuid_format(&checkpoint->uuid, uuid));
	}
	r = table_print(table, out);
	table_free(table);
	return r;
}
