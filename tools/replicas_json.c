/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replicas_json.c - what JSON documents say of a source's replicas */
#include "config.h"

#include "tools/replicas_json.h"

static json_t *item_json(const struct replicas_item *item, int64_t now_ns)
{
	json_t *object = json_object();
	int64_t lag = replicas_lag(item, now_ns);

	json_put_uuid(object, "uuid", &item->cursor->replica);
	json_put_name(object, "label", item->cursor->label);
	json_put_number(object, "checkpoint", item->cursor->at);
	json_put_time(object, "checkpoint_time", item->at_ns);
	json_put_number(object, "pending", item->cursor->pending);
	json_put_time(object, "last_sync", item->cursor->time_ns);
	json_object_set_new(object, "lag_seconds", lag < 0 ? json_null() : json_integer(lag));
	json_put_time(object, "last_seen", item->seen_ns);
	json_put_number(object, "dirty_bytes", item->dirty);
	json_put_bool(object, "holds_oldest", item->oldest);
	json_put_number(object, "held_generations", item->held_generations);
	json_put_number(object, "held_bytes", item->held_nbytes);
	return object;
}

json_t *replicas_json(const struct replicas *replicas, int64_t now_ns)
{
	json_t *array = json_array();

	for (size_t i = 0; i < replicas->n; i++)
		json_array_append_new(array, item_json(&replicas->items[i], now_ns));
	return array;
}
