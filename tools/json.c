/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json.c - the few things that all JSON output of mirrorctl has in common */
#include "config.h"

#include "tools/json.h"
#include "tools/output.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool out_of_memory;

static void put(json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value) < 0)
		out_of_memory = true;
}

json_t *json_text(const char *text)
{
	char *utf8 = text_for_utf8(text);
	json_t *value = utf8 ? json_string(utf8) : NULL;

	free(utf8);
	return value;
}

void json_put_name(json_t *object, const char *key, const char *name)
{
	char flag[64];

	put(object, key, json_text(name));
	if (!text_is_utf8(name)) {
		snprintf(flag, sizeof(flag), "%s_escaped", key);
		put(object, flag, json_true());
	}
}

void json_put_text(json_t *object, const char *key, const char *text)
{
	put(object, key, json_text(text));
}

void json_put_number(json_t *object, const char *key, uint64_t number)
{
	put(object, key, json_integer((json_int_t)number));
}

void json_put_bool(json_t *object, const char *key, bool value)
{
	put(object, key, json_boolean(value));
}

void json_put_uuid(json_t *object, const char *key, const struct bmf_uuid *uuid)
{
	char text[BMF_UUID_TEXT];

	put(object, key,
	    bmf_uuid_is_none(uuid) ? json_null() : json_string(bmf_uuid_format(uuid, text)));
}

void json_put_time(json_t *object, const char *key, int64_t time_ns)
{
	char text[TEXT_TIME];

	put(object, key, time_ns ? json_string(text_time(time_ns, text)) : json_null());
}

void json_put_checkpoint(json_t *object, const char *key, uint64_t number,
			 const struct bmf_uuid *uuid)
{
	json_t *checkpoint = number ? json_object() : json_null();

	if (number && checkpoint) {
		json_put_number(checkpoint, "number", number);
		json_put_uuid(checkpoint, "uuid", uuid);
	}
	put(object, key, checkpoint);
}

static char *dump(json_t *document, size_t flags)
{
	char *text = out_of_memory || !document
			     ? NULL
			     : json_dumps(document, flags | JSON_REAL_PRECISION(9));

	json_decref(document);
	return text;
}

char *json_finish(json_t *document)
{
	return dump(document, JSON_INDENT(2));
}

static int print(char *text)
{
	if (!text)
		return -ENOMEM;
	puts(text);
	free(text);
	return output_finish();
}

int json_print(json_t *document)
{
	return print(dump(document, JSON_INDENT(2)));
}

int json_print_line(json_t *document)
{
	return print(dump(document, JSON_COMPACT));
}
