/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * map_json.c - a map as JSON
 *
 * Extents are written one by one: there may be millions of them.
 */
#include "config.h"

#include "tools/full.h"
#include "tools/json.h"
#include "tools/map_show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static json_t *head_json(const struct map *map)
{
	json_t *head = json_object();

	json_put_name(head, "path", map->path);
	json_put_uuid(head, "source", &map->source);
	json_put_number(head, "size", map->size);
	json_put_number(head, "block_size", UINT64_C(1) << map->block_shift);
	json_put_checkpoint(head, "since", map->since.number, &map->since.uuid);
	if (map->since.name)
		json_put_name(head, "since_name", map->since.name);
	json_put_time(head, "since_time", map->since.time_ns);
	json_put_number(head, "generation", map->generation);
	json_put_number(head, "generations", map->generations);
	if (map->reason != BMF_REASON_NONE)
		json_put_text(head, "reason", full_word(map->reason));
	json_put_number(head, "dirty_bytes", map->dirty_nbytes);
	json_put_number(head, "dirty_runs", map->dirty_runs);
	return head;
}

static const char *word(bool value)
{
	return value ? "true" : "false";
}

/* First what qemu-img map has for a raw image, then what it hasn't. */
static void print_extent(const struct map_extent *extent, FILE *file)
{
	fprintf(file,
		"{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": 0, "
		"\"present\": true, \"zero\": %s, \"data\": %s, \"offset\": %" PRIu64 ", "
		"\"dirty\": %s, \"generations\": %" PRIu64 ", \"last_generation\": ",
		extent->start, extent->nbytes, word(!extent->data), word(extent->data),
		extent->start, word(extent->generations > 0), extent->generations);
	if (extent->generations > 0)
		fprintf(file, "%" PRIu64 "}", extent->last_generation);
	else
		fputs("null}", file);
}

static int print_extents(const struct map *map, FILE *file)
{
	struct map_extents extents;
	struct map_extent extent;
	const char *before = "\n    ";
	int r = map_extents_begin(map, &extents);

	if (r < 0)
		return r;
	while ((r = map_extents_next(&extents, &extent)) > 0 && !ferror(file)) {
		fputs(before, file);
		print_extent(&extent, file);
		before = ",\n    ";
	}
	map_extents_end(&extents);
	return r < 0 ? r : 0;
}

int map_show_json(const struct map *map, FILE *file)
{
	char *head = json_finish(head_json(map));
	int r;

	if (!head)
		return -ENOMEM;
	/* without the end of it, a line with a brace */
	fprintf(file, "%.*s,\n  \"extents\": [", (int)(strrchr(head, '\n') - head), head);
	free(head);
	r = print_extents(map, file);
	fputs("\n  ]\n}\n", file);
	return r;
}
