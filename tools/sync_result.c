/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_result.c - what a sync has to tell */
#include "config.h"

#include "tools/full.h"
#include "tools/sync_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sync_warn(struct sync_result *result, const char *format, ...)
{
	char **bigger = reallocarray(result->warnings, result->nwarnings + 1, sizeof(char *));
	va_list args;
	int r;

	if (!bigger)
		return -ENOMEM;
	result->warnings = bigger;
	va_start(args, format);
	r = vasprintf(&bigger[result->nwarnings], format, args);
	va_end(args);
	if (r < 0)
		return -ENOMEM;
	result->nwarnings++;
	return 0;
}

bool sync_has_warned(const struct sync_result *result, const char *text)
{
	for (size_t i = 0; i < result->nwarnings; i++)
		if (strcmp(result->warnings[i], text) == 0)
			return true;
	return false;
}

int sync_note_full(struct sync_result *result, const char *path, unsigned int reason,
		   bool by_digest)
{
	struct sync_full_copy *added;

	if (result->nfull == result->full_room) {
		size_t room = result->full_room ? result->full_room * 2 : 16;
		struct sync_full_copy *bigger = reallocarray(result->full, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		result->full = bigger;
		result->full_room = room;
	}
	added = &result->full[result->nfull];
	*added = (struct sync_full_copy){ .path = strdup(path),
					  .reason = reason,
					  .by_digest = by_digest };
	if (!added->path)
		return -ENOMEM;
	result->nfull++;
	return 0;
}

void sync_result_destroy(struct sync_result *result)
{
	for (size_t i = 0; i < result->nfull; i++)
		free(result->full[i].path);
	for (size_t i = 0; i < result->nwarnings; i++)
		free(result->warnings[i]);
	free(result->first_removed);
	free(result->full);
	free(result->warnings);
	*result = (struct sync_result){ 0 };
}

bool sync_result_is_full(const struct sync_result *result)
{
	for (size_t i = 0; i < result->nfull; i++)
		if (!full_expected(result->full[i].reason))
			return true;
	return false;
}
