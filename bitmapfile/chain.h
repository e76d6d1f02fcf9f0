/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain.h - an image's generations as a chain, and what may be merged or dropped
 *
 * Pure functions over a sidecar's sections and the state's checkpoints.
 */
#ifndef BITMAPFILE_CHAIN_H
#define BITMAPFILE_CHAIN_H

#include "bitmapfile/sidecar.h"
#include "bitmapfile/state.h"

/*
 * Merges neighbours with no needed checkpoint between them, and drops what lies
 * before the first needed one: then `since` is raised and `reason` becomes
 * BMF_REASON_DROPPED.  The last section always stays.  Never loses a bit that a
 * needed checkpoint's delta includes (I1).  0, or -ENOMEM with the sections still
 * equivalent to what they were.  *ret_changed (may be NULL) tells whether anything was
 * done.
 */
int bmf_chain_trim(struct bmf_sidecar *sidecar, const struct bmf_state *state, bool *ret_changed);

struct bmf_chain_room {
	uint64_t nsections;
	uint64_t nbytes; /* in a sidecar, packed, with their entries in its table */
};

/* What the sections would take up if they were trimmed as `state` has it.  0 or -ENOMEM. */
int bmf_chain_measure(const struct bmf_sidecar *sidecar, const struct bmf_state *state,
		      struct bmf_chain_room *ret);

/*
 * The blocks that may have changed from checkpoint `from` up to checkpoint `to`
 * (generations from .. to - 1), as a new object in *ret.  A merged section that
 * only overlaps counts whole; in generations after `active` nothing changed (history.h
 * hands out none with such a gap).  0; -ENOENT when the sidecar does not reach back to
 * `from` (its reason says why); -ENOMEM.
 */
int bmf_chain_delta(const struct bmf_sidecar *sidecar, uint64_t from, uint64_t to,
		    struct bmf_bits **ret);

/*
 * How many of the bytes that may have changed since checkpoint `from` count as such only
 * because they were armed at a crash; at most, for some may have been written to since.
 */
uint64_t bmf_chain_crash_nbytes(const struct bmf_sidecar *sidecar, uint64_t from);

#endif
