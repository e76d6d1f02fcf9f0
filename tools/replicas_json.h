/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replicas_json.h - what JSON documents say of a source's replicas */
#ifndef TOOLS_REPLICAS_JSON_H
#define TOOLS_REPLICAS_JSON_H

#include "tools/json.h"
#include "tools/replicas.h"

json_t *replicas_json(const struct replicas *replicas, int64_t now_ns);

#endif
