/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.h - the few things that all JSON output of mirrorctl has in common
 *
 * Names are written as they are when they are valid UTF-8.  Others have every byte that isn't
 * as \xHH and a backslash doubled, and the object says so: "path_escaped": true.
 *
 * Running out of memory is noticed once, by json_print() or json_finish().
 */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include "bitmapfile/uuid.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* object[key] = name, and object[key "_escaped"] = true where needed. */
void json_put_name(json_t *object, const char *key, const char *name);
void json_put_text(json_t *object, const char *key, const char *text);
void json_put_number(json_t *object, const char *key, uint64_t number);
void json_put_bool(json_t *object, const char *key, bool value);
void json_put_uuid(json_t *object, const char *key, const struct bmf_uuid *uuid);
void json_put_time(json_t *object, const char *key, int64_t time_ns); /* 0: null */

/* {"number": n, "uuid": "..."}, or null for number 0. */
void json_put_checkpoint(json_t *object, const char *key, uint64_t number,
			 const struct bmf_uuid *uuid);

/* Text for people: what isn't UTF-8 in it is escaped.  NULL: no memory. */
json_t *json_text(const char *text);

/* The document as text, which the caller frees, and lets go of it.  NULL: no memory. */
char *json_finish(json_t *document);

/* Writes the document to stdout and lets go of it.  0 or a negative errno. */
int json_print(json_t *document);

/* The same on one line, for documents that come one after the other. */
int json_print_line(json_t *document);

#endif
