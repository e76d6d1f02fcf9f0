/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uuid.h - random UUIDs (RFC 9562, version 4)
 *
 * The all-zero UUID means "none".  All functions are thread safe.
 */
#ifndef BITMAPFILE_UUID_H
#define BITMAPFILE_UUID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct bmf_uuid {
	uint8_t b[16];
};

#define BMF_UUID_TEXT 37 /* 36 characters and the NUL */

/* 0 or the -errno of getrandom(2); *ret is untouched on failure. */
int bmf_uuid_generate(struct bmf_uuid *ret);

/* Writes the 8-4-4-4-12 lower-case form and returns text. */
char *bmf_uuid_format(const struct bmf_uuid *uuid, char text[BMF_UUID_TEXT]);

/* Exactly 36 characters of text, any case; 0 or -EINVAL. */
int bmf_uuid_parse(const char *text, struct bmf_uuid *ret);

static inline bool bmf_uuid_equal(const struct bmf_uuid *a, const struct bmf_uuid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool bmf_uuid_is_none(const struct bmf_uuid *uuid)
{
	return bmf_uuid_equal(uuid, &(struct bmf_uuid){ { 0 } });
}

#endif
