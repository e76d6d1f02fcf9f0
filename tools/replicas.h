/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replicas.h - the replicas that a source knows, and what it keeps for each of them
 *
 * A source keeps the generations since the checkpoint of every replica.  What one replica holds
 * are those checkpoints, and the bitmaps between them, that would go if it were forgotten:
 * nobody else needs them.
 */
#ifndef TOOLS_REPLICAS_H
#define TOOLS_REPLICAS_H

#include "bitmapfile/error.h"
#include "bitmapfile/sidecar.h"
#include "bitmapfile/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As long as that a replica may stay away without a warning. */
#define REPLICAS_AWAY_DAYS 7

/* The least of a UUID that names a replica, in characters. */
#define REPLICAS_PREFIX_MIN 8

struct replicas_item {
	const struct bmf_cursor *cursor; /* the state's */
	uint64_t dirty;			 /* bytes that a sync would look at, of all images */
	int64_t at_ns;	 /* when the checkpoint that it is at was made; 0: it is at none */
	int64_t seen_ns; /* when a sync to it last began or was completed; 0: not known */
	bool oldest;	 /* it alone holds the oldest checkpoint that there is */
	uint64_t held_generations;
	uint64_t held_nbytes;	   /* in the sidecars that were measured */
	struct bmf_state *without; /* the state without it; NULL when it holds nothing */
};

struct replicas {
	const struct bmf_state *state; /* borrowed */
	struct replicas_item *items;   /* one for each of its cursors */
	size_t n;
	bool any_held; /* is there anything to be measured? */
};

/* What the state tells; dirty and held_nbytes are zero.  0 or -ENOMEM. */
int replicas_begin(const struct bmf_state *state, struct replicas *ret);

/* Adds what an image's sidecar, as it is on disk, keeps for each of them.  0 or -ENOMEM. */
int replicas_measure(struct replicas *replicas, const struct bmf_sidecar *sidecar);
void replicas_destroy(struct replicas *replicas);

/*
 * The seconds since the checkpoint that the replica is at: what is newer than that is lost if the
 * source is.  -1: it is at none.  Not less than 0, whatever the clock says.
 */
int64_t replicas_lag(const struct replicas_item *item, int64_t now_ns);

/*
 * For how many days a replica that holds the oldest checkpoint wasn't seen, if those are more than
 * REPLICAS_AWAY_DAYS; else 0.
 */
unsigned int replicas_days_away(const struct replicas_item *item, int64_t now_ns);

/*
 * The replica that a word means: its UUID, or the beginning of it, or its label, which may be
 * given as any path that leads there.  -ENOENT or -ENOTUNIQ, with a message.
 */
int replicas_find(const struct bmf_state *state, const char *word, struct bmf_uuid *ret,
		  struct bmf_error *err);

#endif
