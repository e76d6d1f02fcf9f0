/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * held.h - what a source keeps for one of those who need a checkpoint
 *
 * Who needs one is a replica, or a name.  What it alone holds is what there would be less of
 * without it: the difference between a state and the same state without that replica or name.
 */
#ifndef TOOLS_HELD_H
#define TOOLS_HELD_H

#include "bitmapfile/chain.h"
#include "bitmapfile/sidecar.h"
#include "bitmapfile/state.h"

#include <stdbool.h>
#include <stdint.h>

/* How many of state's checkpoints nobody needs in `without`; *ret_oldest: also the oldest. */
uint64_t held_generations(const struct bmf_state *state, const struct bmf_state *without,
			  bool *ret_oldest);

/*
 * Adds to *nbytes how much smaller that sidecar would be, which takes up `with` as it is.  0 or
 * -ENOMEM.
 */
int held_measure(const struct bmf_sidecar *sidecar, const struct bmf_chain_room *with,
		 const struct bmf_state *without, uint64_t *nbytes);

#endif
