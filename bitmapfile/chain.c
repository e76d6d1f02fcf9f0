/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain.c - merges and drops generations, and unites them into a delta
 *
 * A delta is asked for from one checkpoint that is needed up to another.  So where a
 * section begins with a generation whose checkpoint is needed, that boundary is kept; any
 * other may go, and so may all sections that end before the first needed one.
 */
#include "config.h"

#include "bitmapfile/chain.h"

#include <errno.h>
#include <string.h>

/* Lowers *first to number if that checkpoint is needed. */
static void consider(const struct bmf_state *state, uint64_t number, uint64_t *first)
{
	if (number < *first && bmf_state_needs(state, number))
		*first = number;
}

/* The smallest needed checkpoint; 0 when none is. */
static uint64_t first_needed(const struct bmf_state *state)
{
	uint64_t first = UINT64_MAX;

	consider(state, state->generation, &first);
	for (size_t i = 0; i < state->ncheckpoints; i++)
		consider(state, state->checkpoints[i].number, &first);
	for (size_t i = 0; i < state->ncursors; i++) {
		consider(state, state->cursors[i].at, &first);
		consider(state, state->cursors[i].pending, &first);
	}
	return first == UINT64_MAX ? 0 : first;
}

/*
 * Drops the sections that end before generation `first`, except the last one: a
 * sidecar has at least one.  A section that only begins before it stays whole (I1).
 */
static bool drop_before(struct bmf_sidecar *sidecar, uint64_t first)
{
	size_t n = 0;

	while (n + 1 < sidecar->nsections && sidecar->sections[n].last < first)
		bmf_bits_free(sidecar->sections[n++].bits);
	if (n == 0)
		return false;
	sidecar->nsections -= n;
	memmove(sidecar->sections, sidecar->sections + n,
		sidecar->nsections * sizeof(*sidecar->sections));
	sidecar->since = sidecar->sections[0].first;
	/*
	 * Whatever once was the reason, it isn't why a later question that reaches
	 * back further finds nothing (I4).
	 */
	sidecar->reason = BMF_REASON_DROPPED;
	if (sidecar->crash_generation < sidecar->since)
		sidecar->crash_nbytes = 0;
	return true;
}

/*
 * Merges in place.  When memory runs out in the middle of a union, the earlier section may
 * hold some of the later one's bits already: no delta between needed checkpoints
 * can tell, as it has both sections or neither.
 */
static int merge(struct bmf_sidecar *sidecar, const struct bmf_state *state, bool *ret_changed)
{
	struct bmf_section *sections = sidecar->sections;
	size_t kept = 0, next = 1;
	int r = 0;

	if (sidecar->nsections == 0)
		return 0;
	for (; next < sidecar->nsections; next++) {
		if (bmf_state_needs(state, sections[next].first)) {
			sections[++kept] = sections[next];
			continue;
		}
		r = bmf_bits_union_into(sections[kept].bits, sections[next].bits);
		if (r < 0)
			break;
		sections[kept].last = sections[next].last;
		bmf_bits_free(sections[next].bits);
		*ret_changed = true;
	}
	while (next < sidecar->nsections)
		sections[++kept] = sections[next++];
	sidecar->nsections = kept + 1;
	return r;
}

int bmf_chain_trim(struct bmf_sidecar *sidecar, const struct bmf_state *state, bool *ret_changed)
{
	bool changed = drop_before(sidecar, first_needed(state));
	int r = merge(sidecar, state, &changed);

	if (r == 0 && ret_changed)
		*ret_changed = changed;
	return r;
}

int bmf_chain_delta(const struct bmf_sidecar *sidecar, uint64_t from, uint64_t to,
		    struct bmf_bits **ret)
{
	struct bmf_bits *bits;
	int r = 0;

	if (from < sidecar->since)
		return -ENOENT;
	bits = bmf_bits_new();
	if (!bits)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && from < to && i < sidecar->nsections; i++) {
		const struct bmf_section *section = &sidecar->sections[i];

		if (section->first < to && section->last >= from)
			r = bmf_bits_union_into(bits, section->bits);
	}
	if (r < 0) {
		bmf_bits_free(bits);
		return r;
	}
	*ret = bits;
	return 0;
}

uint64_t bmf_chain_crash_nbytes(const struct bmf_sidecar *sidecar, uint64_t from)
{
	return from <= sidecar->crash_generation ? sidecar->crash_nbytes : 0;
}
