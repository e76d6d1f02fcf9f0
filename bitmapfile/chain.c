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
#include "bitmapfile/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Lowers *first to number if that checkpoint is needed, and not before `from`. */
static void consider(const struct bmf_state *state, uint64_t number, uint64_t from, uint64_t *first)
{
	if (number >= from && number < *first && bmf_state_needs(state, number))
		*first = number;
}

/* The smallest needed checkpoint that is not before `from`; UINT64_MAX when none is. */
static uint64_t needed_from(const struct bmf_state *state, uint64_t from)
{
	uint64_t first = UINT64_MAX;

	consider(state, state->generation, from, &first);
	for (size_t i = 0; i < state->ncheckpoints; i++)
		consider(state, state->checkpoints[i].number, from, &first);
	for (size_t i = 0; i < state->ncursors; i++) {
		consider(state, state->cursors[i].at, from, &first);
		consider(state, state->cursors[i].pending, from, &first);
	}
	return first;
}

/* The smallest needed checkpoint; 0 when none is. */
static uint64_t first_needed(const struct bmf_state *state)
{
	uint64_t first = needed_from(state, 0);

	return first == UINT64_MAX ? 0 : first;
}

/*
 * The needed checkpoint with which a section begins, or may as well begin; 0: with none.  One
 * without bits can give generations away: an image that rested while checkpoints were made has a
 * single empty section for all of them, and if that were merged into what is before, a replica
 * inside of it would get all that changed before once more.
 */
static uint64_t boundary_of(const struct bmf_section *section, const struct bmf_state *state)
{
	uint64_t number, first, n;

	if (bmf_state_needs(state, section->first))
		return section->first;
	if (bmf_bits_next(section->bits, 0, BMF_BITS_MAX, &first, &n))
		return 0;
	number = needed_from(state, section->first);
	return number <= section->last ? number : 0;
}

/*
 * How many sections end before generation `first`, not counting the last one: a
 * sidecar has at least one.  A section that only begins before it stays whole (I1).
 */
static size_t count_before(const struct bmf_sidecar *sidecar, uint64_t first)
{
	size_t n = 0;

	while (n + 1 < sidecar->nsections && sidecar->sections[n].last < first)
		n++;
	return n;
}

static bool drop_before(struct bmf_sidecar *sidecar, uint64_t first)
{
	size_t n = count_before(sidecar, first);

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		bmf_bits_free(sidecar->sections[i].bits);
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
		uint64_t boundary = boundary_of(&sections[next], state);

		if (boundary != 0) {
			*ret_changed = *ret_changed || boundary != sections[next].first;
			sections[kept].last = boundary - 1;
			sections[++kept] = sections[next];
			sections[kept].first = boundary;
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

static int add_room(const struct bmf_bits *bits, struct bmf_chain_room *room)
{
	struct bmf_payload payload;
	int r = bmf_payload_pack(bits, &payload);

	if (r < 0)
		return r;
	room->nsections++;
	room->nbytes += payload.nbytes + sizeof(struct bmf_disk_section);
	free(payload.buf);
	return 0;
}

/* The room that one section takes which n of them, at least one, are merged into. */
static int add_merged_room(const struct bmf_section *sections, size_t n,
			   struct bmf_chain_room *room)
{
	struct bmf_bits *merged;
	int r = 0;

	if (n == 1)
		return add_room(sections[0].bits, room);
	merged = bmf_bits_new();
	if (!merged)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = bmf_bits_union_into(merged, sections[i].bits);
	if (r == 0)
		r = add_room(merged, room);
	bmf_bits_free(merged);
	return r;
}

int bmf_chain_measure(const struct bmf_sidecar *sidecar, const struct bmf_state *state,
		      struct bmf_chain_room *ret)
{
	size_t begin = count_before(sidecar, first_needed(state)), end;
	struct bmf_chain_room room = { 0 };
	int r = 0;

	for (; r == 0 && begin < sidecar->nsections; begin = end) {
		end = begin + 1;
		while (end < sidecar->nsections && boundary_of(&sidecar->sections[end], state) == 0)
			end++;
		r = add_merged_room(sidecar->sections + begin, end - begin, &room);
	}
	if (r == 0)
		*ret = room;
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
