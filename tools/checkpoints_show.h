/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoints_show.h - the older checkpoints of a replica, for people and as JSON */
#ifndef TOOLS_CHECKPOINTS_SHOW_H
#define TOOLS_CHECKPOINTS_SHOW_H

#include "tools/checkpoints.h"
#include "tools/json.h"

/* An array, the newest first. */
json_t *checkpoints_show_json(const struct checkpoints *list);

/* A line for each, to stdout; nothing if there are none. */
void checkpoints_show(const struct checkpoints *list);

#endif
