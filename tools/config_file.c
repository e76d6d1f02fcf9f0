/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_file.c - a file with what would else be options and arguments: mirrorfs.conf(5) */
#include "config.h"

#include "tools/config_file.h"
#include "tools/fail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nobody writes so much by hand. */
#define SIZE_MAX_NBYTES ((size_t)1 << 20)

#define SPACE " \t\r"

static int read_all(const char *path, char **ret)
{
	char *text = malloc(SIZE_MAX_NBYTES + 1);
	FILE *f = fopen(path, "re");
	size_t n = 0;
	int r = !f ? -errno : !text ? -ENOMEM : 0;

	if (r == 0) {
		n = fread(text, 1, SIZE_MAX_NBYTES + 1, f);
		r = ferror(f) ? -errno : n > SIZE_MAX_NBYTES ? -EFBIG : 0;
	}
	if (r == 0) {
		text[n] = '\0';
		r = strlen(text) == n ? 0 : -EINVAL;
	}
	if (f)
		fclose(f);
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}

/* Without the space around it, in place. */
static char *trim(char *text)
{
	size_t n;

	text += strspn(text, SPACE);
	n = strlen(text);
	while (n > 0 && strchr(SPACE, text[n - 1]))
		text[--n] = '\0';
	return text;
}

static int fail_line(struct bmf_error *err, const char *path, unsigned int line, const char *why)
{
	return fail_text(err, -EINVAL, "read", path, NULL, "line %u: %s", line, why);
}

static int add(struct config_file *file, const struct config_item *item)
{
	struct config_item *items = realloc(file->items, (file->n + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	file->items = items;
	items[file->n++] = *item;
	return 0;
}

/* One line, without its end. */
static int take_line(struct config_file *file, const char *path, char *text, unsigned int line,
		     struct bmf_error *err)
{
	char *key = trim(text), *value = strchr(key, '=');
	struct config_item item = { .line = line };

	if (!*key || *key == '#')
		return 0;
	if (!value)
		return fail_line(err, path, line, "it is not 'key = value'");
	*value = '\0';
	item.key = trim(key);
	item.value = trim(value + 1);
	if (!*item.key || !*item.value)
		return fail_line(err, path, line, "key or value is missing");
	return add(file, &item) < 0 ? fail_errno(err, -ENOMEM, "read", path, NULL) : 0;
}

int config_file_read(const char *path, struct config_file *ret, struct bmf_error *err)
{
	struct config_file file = { 0 };
	unsigned int line = 1;
	char *at, *next;
	int r = read_all(path, &file.text);

	if (r < 0)
		return fail_errno(err, r, "read", path, NULL);
	for (at = file.text; r == 0 && at; at = next, line++) {
		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		r = take_line(&file, path, at, line, err);
	}
	if (r < 0)
		config_file_destroy(&file);
	else
		*ret = file;
	return r;
}

void config_file_destroy(struct config_file *file)
{
	free(file->items);
	free(file->text);
	*file = (struct config_file){ 0 };
}
