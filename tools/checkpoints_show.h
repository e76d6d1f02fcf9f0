/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoints_show.h - the older checkpoints of a replica, for people and as JSON */
#ifndef TOOLS_CHECKPOINTS_SHOW_H
#define TOOLS_CHECKPOINTS_SHOW_H

#include "tools/checkpoints.h"
#include "tools/json.h"

#include <stdio.h>

/* An array, the newest first. */
json_t *checkpoints_show_json(const struct checkpoints *list);

/* A table; nothing if there are none.  0 or -ENOMEM. */
int checkpoints_show(const struct checkpoints *list, FILE *out);

#endif
