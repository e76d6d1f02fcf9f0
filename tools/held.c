/* SPDX-License-Identifier: GPL-2.0-or-later */
/* held.c - what a source keeps for one of those who need a checkpoint */
#include "config.h"

#include "tools/held.h"

uint64_t held_generations(const struct bmf_state *state, const struct bmf_state *without,
			  bool *ret_oldest)
{
	uint64_t n = 0;

	*ret_oldest = false;
	for (size_t i = 0; i < state->ncheckpoints; i++)
		if (!bmf_state_needs(without, state->checkpoints[i].number)) {
			n++;
			*ret_oldest = *ret_oldest || i == 0;
		}
	return n;
}

int held_measure(const struct bmf_sidecar *sidecar, const struct bmf_chain_room *with,
		 const struct bmf_state *without, uint64_t *nbytes)
{
	struct bmf_chain_room room;
	int r = bmf_chain_measure(sidecar, without, &room);

	if (r == 0 && with->nbytes > room.nbytes)
		*nbytes += with->nbytes - room.nbytes;
	return r;
}
