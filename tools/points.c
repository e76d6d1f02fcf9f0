/* SPDX-License-Identifier: GPL-2.0-or-later */
/* points.c - the checkpoints that a source keeps: who needs them, and what is kept for names */
#include "config.h"

#include "tools/held.h"
#include "tools/points.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t count_replicas(const struct bmf_state *state, uint64_t number)
{
	uint64_t n = 0;

	for (size_t i = 0; i < state->ncursors; i++)
		n += state->cursors[i].at == number || state->cursors[i].pending == number;
	return n;
}

static int note_held(const struct bmf_state *state, struct points_item *item)
{
	bool oldest;
	int r;

	if (!item->checkpoint->name)
		return 0;
	r = bmf_state_copy(state, &item->without);
	if (r == 0)
		r = bmf_state_name(item->without, item->checkpoint, NULL);
	if (r < 0)
		return r;
	item->held_generations = held_generations(state, item->without, &oldest);
	if (item->held_generations == 0) {
		bmf_state_free(item->without);
		item->without = NULL;
	}
	return 0;
}

int points_begin(const struct bmf_state *state, struct points *ret)
{
	struct points points = { .state = state };
	int r = 0;

	points.items = calloc(state->ncheckpoints + 1, sizeof(*points.items));
	if (!points.items)
		return -ENOMEM;
	for (; r == 0 && points.n < state->ncheckpoints; points.n++) {
		struct points_item *item = &points.items[points.n];

		item->checkpoint = &state->checkpoints[points.n];
		item->replicas = count_replicas(state, item->checkpoint->number);
		r = note_held(state, item);
		points.any_held = points.any_held || item->without;
	}
	if (r < 0)
		points_destroy(&points);
	else
		*ret = points;
	return r;
}

int points_measure(struct points *points, const struct bmf_sidecar *sidecar)
{
	struct bmf_chain_room with;
	int r = 0;

	if (!points->any_held)
		return 0;
	r = bmf_chain_measure(sidecar, points->state, &with);
	for (size_t i = 0; r == 0 && i < points->n; i++) {
		struct points_item *item = &points->items[i];

		if (item->without)
			r = held_measure(sidecar, &with, item->without, &item->held_nbytes);
	}
	return r;
}

void points_destroy(struct points *points)
{
	for (size_t i = 0; i < points->n; i++)
		bmf_state_free(points->items[i].without);
	free(points->items);
	*points = (struct points){ 0 };
}
