/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_sync.h - what the ways to sync have in common: how a result and a failure are told */
#ifndef TOOLS_CMD_SYNC_H
#define TOOLS_CMD_SYNC_H

#include "tools/command.h"
#include "tools/sync.h"

#include <jansson.h>
#include <stdio.h>

json_t *cmd_sync_json(const struct sync_result *result);

/* Two of its arrays. */
void cmd_sync_add_full_copies(json_t *array, const struct sync_result *result);
void cmd_sync_add_warnings(json_t *array, const struct sync_result *result);

/* A line for each that was copied or compared in full, and one for how many were new. */
void cmd_sync_print_full_copies(const struct sync_result *result, FILE *out);

/* A sync that failed with r: says so, and returns the exit code. */
int cmd_sync_fail(const char *dest, int r, const struct sync_result *result,
		  const struct bmf_error *err);

/* One after the other, until a signal ends it: the exit code. */
int cmd_sync_follow(char *const args[], const struct options *options,
		    const struct sync_options *sync_options, uint64_t interval_ms);

#endif
