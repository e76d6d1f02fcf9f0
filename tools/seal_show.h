/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seal_show.h - how status tells of a source that was switched over */
#ifndef TOOLS_SEAL_SHOW_H
#define TOOLS_SEAL_SHOW_H

#include "tools/status.h"

#include <jansson.h>
#include <stdio.h>

/* object["sealed"]: null, or what is known of it. */
void seal_show_json(json_t *object, const struct status *status);

/* A line, if it was. */
void seal_show_text(const struct status *status, FILE *out);

#endif
