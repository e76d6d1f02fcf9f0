/* SPDX-License-Identifier: GPL-2.0-or-later */
/* uuid.c - makes, prints and reads random UUIDs */
#include "config.h"

#include "bitmapfile/uuid.h"

#include <errno.h>
#include <sys/random.h>

/* The text is 8-4-4-4-12 digits: a dash stands before these bytes. */
static bool dash_before(unsigned int byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

int bmf_uuid_generate(struct bmf_uuid *ret)
{
	struct bmf_uuid uuid;
	ssize_t got;

	do
		got = getrandom(uuid.b, sizeof(uuid.b), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if (got != sizeof(uuid.b))
		return -EIO;
	uuid.b[6] = (uuid.b[6] & 0x0f) | 0x40; /* version 4 */
	uuid.b[8] = (uuid.b[8] & 0x3f) | 0x80; /* the RFC's variant */
	*ret = uuid;
	return 0;
}

char *bmf_uuid_format(const struct bmf_uuid *uuid, char text[BMF_UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *out = text;

	for (unsigned int i = 0; i < sizeof(uuid->b); i++) {
		if (dash_before(i))
			*out++ = '-';
		*out++ = digits[uuid->b[i] >> 4];
		*out++ = digits[uuid->b[i] & 15];
	}
	*out = '\0';
	return text;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int bmf_uuid_parse(const char *text, struct bmf_uuid *ret)
{
	struct bmf_uuid uuid;
	int high, low;

	for (unsigned int i = 0; i < sizeof(uuid.b); i++) {
		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		high = digit_value(*text);
		if (high < 0) /* also at the NUL: nothing behind it is read */
			return -EINVAL;
		low = digit_value(text[1]);
		if (low < 0)
			return -EINVAL;
		uuid.b[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text != '\0')
		return -EINVAL;
	*ret = uuid;
	return 0;
}
