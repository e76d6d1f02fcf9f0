/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_file.h - a file with what would else be options and arguments: mirrorfs.conf(5)
 */
#ifndef TOOLS_CONFIG_FILE_H
#define TOOLS_CONFIG_FILE_H

#include "bitmapfile/error.h"

#include <stddef.h>

struct config_item {
	const char *key, *value; /* neither is empty */
	unsigned int line;	 /* from 1 */
};

struct config_file {
	char *text;		   /* owned; the items point into it */
	struct config_item *items; /* as they come: a key may be there several times */
	size_t n;
};

/* 0; or a negative errno (-EINVAL: a line makes no sense), with a message, and nothing to destroy.
 */
int config_file_read(const char *path, struct config_file *ret, struct bmf_error *err);
void config_file_destroy(struct config_file *file);

#endif
