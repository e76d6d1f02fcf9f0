/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text.c - bytes, names and times as people read them */
#include "config.h"

#include "tools/text.h"

#include "bitmapfile/quote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *text_bytes(uint64_t nbytes, char buf[TEXT_BYTES])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)nbytes;
	int unit = -1;

	if (nbytes < 1024) {
		snprintf(buf, TEXT_BYTES, "%u B", (unsigned int)nbytes);
		return buf;
	}
	/* 1023.95 would be printed as 1024.0 */
	while (unit < 0 || (value >= 1023.95 && unit < 5)) {
		value /= 1024;
		unit++;
	}
	snprintf(buf, TEXT_BYTES, "%.1f %s", value, units[unit]);
	return buf;
}

int text_parse_bytes(const char *text, uint64_t *ret)
{
	static const char units[] = "KkMmGgTt";
	size_t n = strspn(text, "0123456789.");
	const char *unit = text[n] ? strchr(units, text[n]) : NULL;
	double value;
	char *end;

	if (n == 0 || (text[n] && (!unit || text[n + 1])))
		return -EINVAL;
	value = strtod(text, &end);
	if (end != text + n)
		return -EINVAL;
	if (unit)
		value *= (double)(UINT64_C(1) << (10 * ((unit - units) / 2 + 1)));
	if (value > (double)(UINT64_C(1) << 60))
		return -EINVAL;
	*ret = (uint64_t)value;
	return 0;
}

char *text_percent(uint64_t part, uint64_t whole, char buf[TEXT_PERCENT])
{
	double percent = whole ? 100.0 * (double)part / (double)whole : 0;

	if (part > 0 && percent < 0.01)
		snprintf(buf, TEXT_PERCENT, "<0.01%%");
	else if (part < whole && percent > 99.99)
		snprintf(buf, TEXT_PERCENT, ">99.99%%");
	else
		snprintf(buf, TEXT_PERCENT, "%.2f%%", percent);
	return buf;
}

char *text_duration(double seconds, char buf[TEXT_DURATION])
{
	unsigned long whole;

	if (seconds < 59.95) {
		snprintf(buf, TEXT_DURATION, "%.1f s", seconds < 0 ? 0 : seconds);
		return buf;
	}
	whole = seconds < 1e9 ? (unsigned long)(seconds + 0.5) : 1000000000;
	if (whole < 3600)
		snprintf(buf, TEXT_DURATION, "%lu:%02lu", whole / 60, whole % 60);
	else
		snprintf(buf, TEXT_DURATION, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60,
			 whole % 60);
	return buf;
}

char *text_age(uint64_t seconds, char buf[TEXT_AGE])
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;
	uint64_t rest;

	while (i < 3 && seconds < units[i].seconds)
		i++;
	rest = i < 3 ? seconds % units[i].seconds / units[i + 1].seconds : 0;
	if (rest > 0)
		snprintf(buf, TEXT_AGE, "%" PRIu64 " %s %" PRIu64 " %s", seconds / units[i].seconds,
			 units[i].name, rest, units[i + 1].name);
	else
		snprintf(buf, TEXT_AGE, "%" PRIu64 " %s", seconds / units[i].seconds,
			 units[i].name);
	return buf;
}

char *text_time(int64_t time_ns, char buf[TEXT_TIME])
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm tm;

	if (time_ns % 1000000000 < 0)
		seconds--;
	if (!gmtime_r(&seconds, &tm) || strftime(buf, TEXT_TIME, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, TEXT_TIME, "%lld", (long long)seconds);
	return buf;
}

size_t text_utf8(const char *s)
{
	return bmf_utf8(s);
}

bool text_is_utf8(const char *s)
{
	while (*s) {
		size_t n = text_utf8(s);

		if (n == 0)
			return false;
		s += n;
	}
	return true;
}

size_t text_width(const char *text)
{
	size_t width = 0, n;

	for (; *text; text += n ? n : 1, width++)
		n = text_utf8(text);
	return width;
}

char *text_quote(const char *name, char *buf, size_t size)
{
	return bmf_quote(name, buf, size);
}

char *text_escape(const char *name)
{
	size_t size = strlen(name) * 4 + 4;
	char *buf = malloc(size);

	return buf ? text_quote(name, buf, size) : NULL;
}

char *text_for_utf8(const char *name)
{
	return text_is_utf8(name) ? strdup(name) : text_escape(name);
}

void text_note(uint64_t *n, char **first, const char *path)
{
	if ((*n)++ == 0)
		*first = strdup(path);
}

char *text_files(const char *what, uint64_t n, const char *example, char buf[TEXT_FILES])
{
	char quoted[TEXT_NAME];

	snprintf(buf, TEXT_FILES, "%s: %" PRIu64 " file(s), such as '%s'", what, n,
		 text_quote(example ? example : "?", quoted, sizeof(quoted)));
	return buf;
}
