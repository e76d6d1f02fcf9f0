/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status_show.h - the forms in which a status is shown
 *
 * Each writes to a stream, and leaves its errors to whoever finishes that: what is returned is 0
 * or -ENOMEM.  path is the directory as it was given.
 */
#ifndef TOOLS_STATUS_SHOW_H
#define TOOLS_STATUS_SHOW_H

#include "tools/status.h"

#include <jansson.h>
#include <stdio.h>

/* The room that a terminal has; 0: as much as it takes. */
struct status_room {
	unsigned int columns, rows;
};

/* A table, for people.  Where rows are limited, only the images with the most to be copied. */
int status_table_print(const struct status *status, const char *path, struct status_room room,
		       FILE *out);

/* The document, as mirrorctl-status(8) and schema/status.json have it; NULL: no memory. */
json_t *status_json(const struct status *status, const char *path);

/* For node_exporter's textfile collector: each metric once, with all of its series. */
int status_prometheus_print(const struct status *status, const char *path, FILE *out);

#endif
