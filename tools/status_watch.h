/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status_watch.h - a status again and again, until a signal
 *
 * On a terminal each takes the place of the one before, cut to its size.  Elsewhere they follow
 * each other, with a blank line between them; as JSON one document a line.
 *
 * Only the first look must succeed: a later one that fails is told of, and tried again.
 */
#ifndef TOOLS_STATUS_WATCH_H
#define TOOLS_STATUS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* Returns the exit code; what failed has been said. */
int status_watch(const char *path, uint64_t interval_ms, bool as_json);

#endif
