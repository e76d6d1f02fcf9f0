/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * points.h - the checkpoints that a source keeps: who needs them, and what is kept for names
 *
 * A replica's own account is in replicas.h.
 */
#ifndef TOOLS_POINTS_H
#define TOOLS_POINTS_H

#include "bitmapfile/sidecar.h"
#include "bitmapfile/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct points_item {
	const struct bmf_checkpoint *checkpoint; /* the state's */
	uint64_t dirty;	   /* bytes that have changed since, of all images, as far as is known */
	uint64_t replicas; /* that are at it, or bound for it */
	/* Of a named one, what would go with its name. */
	uint64_t held_generations;
	uint64_t held_nbytes;	   /* in the sidecars that were measured */
	struct bmf_state *without; /* the state without the name; NULL when nothing would go */
};

struct points {
	const struct bmf_state *state; /* borrowed */
	struct points_item *items;     /* one for each of its checkpoints */
	size_t n;
	bool any_held; /* is there anything to be measured? */
};

/* What the state tells; dirty and held_nbytes are zero.  0 or -ENOMEM. */
int points_begin(const struct bmf_state *state, struct points *ret);

/* Adds what an image's sidecar, as it is on disk, keeps for each of them.  0 or -ENOMEM. */
int points_measure(struct points *points, const struct bmf_sidecar *sidecar);
void points_destroy(struct points *points);

#endif
