/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mounts.c - where mirrorfs is mounted, by /proc/self/mountinfo */
#include "config.h"

#include "tools/mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Turns \ooo into the character, in place: mountinfo escapes space, tab, newline, \. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		unsigned int c;
		int n = 0;

		if (*s == '\\' && sscanf(s, "\\%3o%n", &c, &n) == 1 && n == 4) {
			*out++ = (char)c;
			s += n;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

bool mounts_parse(const char *line, dev_t *ret_dev, char **ret_point)
{
	unsigned int major_number, minor_number;
	const char *type = strstr(line, " - ");
	char *point = NULL;

	if (!type || strncmp(type + 3, "fuse.mirrorfs ", 14) != 0)
		return false;
	if (sscanf(line, "%*d %*d %u:%u %*s %ms", &major_number, &minor_number, &point) != 3) {
		free(point);
		return false;
	}
	unescape(point);
	*ret_dev = makedev(major_number, minor_number);
	*ret_point = point;
	return true;
}

/* The last mount for which matches says yes: the one on top. */
static char *find(bool (*matches)(dev_t dev, const char *point, const void *arg), const void *arg)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *found = NULL;
	size_t room = 0;

	if (!file)
		return NULL;
	while (getline(&line, &room, file) > 0) {
		char *point;
		dev_t dev;

		if (!mounts_parse(line, &dev, &point))
			continue;
		if (matches(dev, point, arg)) {
			free(found);
			found = point;
		} else {
			free(point);
		}
	}
	free(line);
	fclose(file);
	return found;
}

static bool has_dev(dev_t dev, const char *point, const void *arg)
{
	(void)point;
	return dev == *(const dev_t *)arg;
}

char *mounts_of_dev(dev_t dev)
{
	return find(has_dev, &dev);
}

static bool is_named(dev_t dev, const char *point, const void *arg)
{
	const char *text = arg;
	size_t n = strlen(point);

	(void)dev;
	for (const char *at = strstr(text, point); at; at = strstr(at + 1, point)) {
		bool begins = at == text || strchr(" '\"", at[-1]);

		if (begins && (at[n] == '\0' || strchr(" '\",:)", at[n])))
			return true;
	}
	return false;
}

char *mounts_named_in(const char *text)
{
	return find(is_named, text);
}
