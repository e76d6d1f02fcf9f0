/* SPDX-License-Identifier: GPL-2.0-or-later */
/* map_runs.c - the blocks of an image in runs that changed in the same generations */
#include "config.h"

#include "tools/map_runs.h"

#include <stdlib.h>

/* The run of a section's bits that is the first to end after where the walk is. */
struct cursor {
	uint64_t first, end;
};

struct map_runs {
	const struct bmf_section *sections;
	size_t nsections;
	uint64_t at, nblocks;
	struct cursor cursors[]; /* one a section */
};

static void move_cursor(struct map_runs *runs, size_t i)
{
	struct cursor *cursor = &runs->cursors[i];
	uint64_t n;

	if (bmf_bits_next(runs->sections[i].bits, runs->at, runs->nblocks, &cursor->first, &n))
		cursor->end = cursor->first + n;
	else
		cursor->first = cursor->end = UINT64_MAX;
}

struct map_runs *map_runs_new(const struct bmf_section *sections, size_t nsections,
			      uint64_t nblocks)
{
	struct map_runs *runs = calloc(1, sizeof(*runs) + nsections * sizeof(*runs->cursors));

	if (!runs)
		return NULL;
	runs->sections = sections;
	runs->nsections = nsections;
	runs->nblocks = nblocks;
	for (size_t i = 0; i < nsections; i++)
		move_cursor(runs, i);
	return runs;
}

/* What the blocks are up to the next place where any bitmap's bits begin or end. */
static struct map_run look(const struct map_runs *runs)
{
	struct map_run run = { .first_block = runs->at };
	uint64_t end = runs->nblocks;

	for (size_t i = 0; i < runs->nsections; i++) {
		const struct cursor *cursor = &runs->cursors[i];
		bool set = cursor->first <= runs->at;
		uint64_t edge = set ? cursor->end : cursor->first;

		if (set) {
			run.generations++;
			run.last_generation = runs->sections[i].last;
		}
		if (edge < end)
			end = edge;
	}
	run.nblocks = end - runs->at;
	return run;
}

static void move_on(struct map_runs *runs, uint64_t nblocks)
{
	runs->at += nblocks;
	for (size_t i = 0; i < runs->nsections; i++)
		if (runs->cursors[i].end <= runs->at)
			move_cursor(runs, i);
}

static bool are_alike(const struct map_run *a, const struct map_run *b)
{
	return a->generations == b->generations && a->last_generation == b->last_generation;
}

bool map_runs_next(struct map_runs *runs, struct map_run *ret)
{
	struct map_run run, next;

	if (runs->at >= runs->nblocks)
		return false;
	run = look(runs);
	move_on(runs, run.nblocks);
	/* one bitmap's bits may begin where another's end */
	while (runs->at < runs->nblocks) {
		next = look(runs);
		if (!are_alike(&run, &next))
			break;
		run.nblocks += next.nblocks;
		move_on(runs, next.nblocks);
	}
	*ret = run;
	return true;
}

void map_runs_free(struct map_runs *runs)
{
	free(runs);
}
