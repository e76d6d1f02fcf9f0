/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map_show.c - what the pictures of a map and the terminal say alike */
#include "config.h"

#include "tools/full.h"
#include "tools/map_show.h"
#include "tools/text.h"

#include <inttypes.h>

char *map_summary(const struct map *map, char buf[MAP_SUMMARY])
{
	char dirty[TEXT_BYTES], size[TEXT_BYTES], percent[TEXT_PERCENT];

	text_bytes(map->size, size);
	if (map->reason != BMF_REASON_NONE)
		snprintf(buf, MAP_SUMMARY, "all of %s counts as dirty: %s", size,
			 full_text(map->reason));
	else if (map->dirty_nbytes == 0)
		snprintf(buf, MAP_SUMMARY, "nothing of %s is dirty", size);
	else
		snprintf(buf, MAP_SUMMARY, "%s of %s dirty (%s), in %" PRIu64 " run%s",
			 text_bytes(map->dirty_nbytes, dirty), size,
			 text_percent(map->dirty_nbytes, map->size, percent), map->dirty_runs,
			 map->dirty_runs == 1 ? "" : "s");
	return buf;
}

char *map_since_text(const struct map *map, char buf[MAP_SINCE])
{
	const struct bmf_checkpoint *since = &map->since;
	char name[MAP_SINCE / 2], when[TEXT_TIME];
	size_t used;

	if (since->number == 0) {
		snprintf(buf, MAP_SINCE, "it has no bitmaps yet");
		return buf;
	}
	used = (size_t)snprintf(buf, MAP_SINCE, "since checkpoint %" PRIu64, since->number);
	if (since->name)
		used += (size_t)snprintf(buf + used, MAP_SINCE - used, " (%s)",
					 text_quote(since->name, name, sizeof(name)));
	if (since->time_ns)
		used += (size_t)snprintf(buf + used, MAP_SINCE - used, " of %s",
					 text_time(since->time_ns, when));
	if (map->reason == BMF_REASON_NONE)
		snprintf(buf + used, MAP_SINCE - used, ", %" PRIu64 " generation%s",
			 map->generations, map->generations == 1 ? "" : "s");
	return buf;
}
