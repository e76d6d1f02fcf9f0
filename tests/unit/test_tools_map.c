/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_map.c - the runs of a map, and its cells, against a look at each bit */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/suite.h"
#include "tools/map_grid.h"
#include "tools/map_runs.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* ---- runs ---- */

#define NSECTIONS 5
#define NBLOCKS 300

static struct bmf_section sections[NSECTIONS];

/* Section i is of generation 10 * (i + 1), or of those up to it. */
static void setup(void)
{
	for (size_t i = 0; i < NSECTIONS; i++) {
		sections[i] = (struct bmf_section){ .first = 10 * i + 1, .last = 10 * (i + 1) };
		sections[i].bits = bmf_bits_new();
		ck_assert_ptr_nonnull(sections[i].bits);
	}
}

static void teardown(void)
{
	for (size_t i = 0; i < NSECTIONS; i++)
		bmf_bits_free(sections[i].bits);
}

static void set(size_t i, uint64_t first, uint64_t n)
{
	ck_assert_int_eq(bmf_bits_set(sections[i].bits, first, n), 0);
}

/* What the blocks of a run have to be, by a look at each bit. */
static struct map_run look(uint64_t block)
{
	struct map_run run = { 0 };

	for (size_t i = 0; i < NSECTIONS; i++)
		if (bmf_bits_test(sections[i].bits, block)) {
			run.generations++;
			run.last_generation = sections[i].last;
		}
	return run;
}

static void check_runs(uint64_t nblocks)
{
	struct map_runs *runs = map_runs_new(sections, NSECTIONS, nblocks);
	struct map_run run, before = { .generations = UINT64_MAX };
	uint64_t at = 0;

	ck_assert_ptr_nonnull(runs);
	while (map_runs_next(runs, &run)) {
		ck_assert_uint_eq(run.first_block, at);
		ck_assert_uint_gt(run.nblocks, 0);
		ck_assert(run.generations != before.generations ||
			  run.last_generation != before.last_generation);
		for (; at < run.first_block + run.nblocks; at++) {
			struct map_run wanted = look(at);

			ck_assert_uint_eq(run.generations, wanted.generations);
			ck_assert_uint_eq(run.last_generation, wanted.last_generation);
		}
		before = run;
	}
	ck_assert_uint_eq(at, nblocks);
	ck_assert(!map_runs_next(runs, &run));
	map_runs_free(runs);
}

START_TEST(runs_are_what_the_bits_are)
{
	struct rng rng = rng_start("runs_are_what_the_bits_are");

	for (int round = 0; round < 200; round++) {
		for (uint64_t n = rng_below(&rng, 12); n > 0; n--)
			set(rng_below(&rng, NSECTIONS), rng_below(&rng, NBLOCKS),
			    1 + rng_below(&rng, 40));
		check_runs(1 + rng_below(&rng, NBLOCKS));
		if (round % 8 == 7) {
			teardown();
			setup();
		}
	}
	check_runs(0);
}
END_TEST

/* {1, 3} and then {2, 3} is the same to whoever looks: two generations, the last is the third. */
START_TEST(runs_alike_are_one)
{
	struct map_runs *runs;
	struct map_run run;

	set(0, 0, 10);
	set(1, 10, 10);
	set(2, 0, 20);
	runs = map_runs_new(sections, NSECTIONS, 20);
	ck_assert(map_runs_next(runs, &run));
	ck_assert_uint_eq(run.nblocks, 20);
	ck_assert_uint_eq(run.generations, 2);
	ck_assert_uint_eq(run.last_generation, 30);
	map_runs_free(runs);
}
END_TEST

START_TEST(runs_of_a_huge_image)
{
	struct map_runs *runs;
	struct map_run run;

	set(0, 0, BMF_BITS_MAX);
	set(1, BMF_BITS_MAX - 1, 1);
	runs = map_runs_new(sections, NSECTIONS, BMF_BITS_MAX);
	ck_assert(map_runs_next(runs, &run));
	ck_assert_uint_eq(run.nblocks, BMF_BITS_MAX - 1);
	ck_assert(map_runs_next(runs, &run));
	ck_assert_uint_eq(run.generations, 2);
	ck_assert(!map_runs_next(runs, &run));
	map_runs_free(runs);
}
END_TEST

/* ---- the grid ---- */

/* A map of those sections. */
static struct map map_of(struct bmf_sidecar *sidecar, uint64_t nblocks)
{
	*sidecar = (struct bmf_sidecar){ .sections = sections, .nsections = NSECTIONS };
	return (struct map){ .nblocks = nblocks,
			     .block_shift = 16,
			     .size = nblocks << 16,
			     .generations = NSECTIONS,
			     .history = { .sidecar = sidecar } };
}

START_TEST(cells_are_what_the_bits_are)
{
	struct rng rng = rng_start("cells_are_what_the_bits_are");

	for (int round = 0; round < 100; round++) {
		uint64_t nblocks = rng_below(&rng, NBLOCKS), at = 0;
		struct bmf_sidecar sidecar;
		struct map map = map_of(&sidecar, nblocks);
		struct map_grid grid;

		set(rng_below(&rng, NSECTIONS), rng_below(&rng, NBLOCKS), 1 + rng_below(&rng, 20));
		ck_assert_int_eq(map_grid_make(&map, 8, 4, &grid), 0);
		ck_assert_uint_le(map_grid_rows(&grid), 4);
		ck_assert(grid.blocks_per_cell == 1 || nblocks > grid.blocks_per_cell / 2 * 32);
		for (size_t i = 0; i < grid.ncells; i++) {
			struct map_cell wanted = { 0 };

			for (; at < nblocks && at < (i + 1) * grid.blocks_per_cell; at++) {
				struct map_run run = look(at);

				wanted.nblocks++;
				wanted.dirty_nblocks += run.generations > 0;
				wanted.generations += run.generations;
				if (run.last_generation > wanted.last_generation)
					wanted.last_generation = run.last_generation;
			}
			ck_assert_mem_eq(&grid.cells[i], &wanted, sizeof(wanted));
		}
		ck_assert_uint_eq(at, nblocks);
		map_grid_destroy(&grid);
	}
}
END_TEST

static struct map_cell cell_of(uint64_t nblocks, uint64_t dirty, uint64_t generations)
{
	return (struct map_cell){ .nblocks = nblocks,
				  .dirty_nblocks = dirty,
				  .generations = generations };
}

START_TEST(levels_and_sides)
{
	static const struct {
		uint64_t nblocks, dirty;
		unsigned int level, side; /* of 4; from 4 to 14 */
	} cases[] = {
		{ 100, 0, 0, 0 },
		{ 100, 1, 1, 4 },
		{ 100, 25, 1, 8 },
		{ 100, 26, 2, 8 },
		{ 100, 50, 2, 10 },
		{ 100, 75, 3, 14 },
		{ 100, 76, 4, 14 },
		{ 100, 100, 4, 14 },
		{ 1, 1, 4, 14 },
		{ UINT64_C(1) << 51, 1, 1, 4 },
		{ UINT64_C(1) << 51, (UINT64_C(1) << 51) - 1, 4, 14 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct map_cell cell = cell_of(cases[i].nblocks, cases[i].dirty, cases[i].dirty);

		ck_assert_uint_eq(map_cell_level(&cell, 4), cases[i].level);
		ck_assert_uint_eq(map_cell_side(&cell, 4, 14), cases[i].side);
	}
}
END_TEST

START_TEST(heats)
{
	struct map_cell cell = cell_of(8, 0, 0);
	char text[MAP_HEAT_TEXT];

	ck_assert_uint_eq(map_cell_heat(&cell, 5), 0);
	cell = cell_of(8, 4, 4);
	ck_assert_uint_eq(map_cell_heat(&cell, 1), 1);
	cell = cell_of(8, 4, 13); /* 3.25 on average */
	ck_assert_uint_eq(map_cell_heat(&cell, 5), 3);
	cell = cell_of(8, 4, 14);
	ck_assert_uint_eq(map_cell_heat(&cell, 5), 4);
	ck_assert_uint_eq(map_heats(5), 5);
	ck_assert_str_eq(map_heat_text(4, 5, text), "4");

	/* of many, in six parts that leave none out */
	ck_assert_uint_eq(map_heats(100), 6);
	ck_assert_str_eq(map_heat_text(1, 100, text), "1-16");
	ck_assert_str_eq(map_heat_text(2, 100, text), "17-33");
	ck_assert_str_eq(map_heat_text(6, 100, text), "84-100");
	for (uint64_t n = 1; n <= 100; n++) {
		cell = cell_of(1, 1, n);
		ck_assert_uint_eq(map_cell_heat(&cell, 100),
				  1 + (n > 16) + (n > 33) + (n > 50) + (n > 66) + (n > 83));
	}

	/* the coldest and the hottest have the ends of the scale */
	for (uint64_t n = 2; n < 20; n++) {
		ck_assert_uint_eq(map_heat_colour(1, n), 0);
		ck_assert_uint_eq(map_heat_colour(map_heats(n), n), MAP_HEATS_MAX - 1);
		for (unsigned int heat = 2; heat <= map_heats(n); heat++)
			ck_assert_uint_gt(map_heat_colour(heat, n), map_heat_colour(heat - 1, n));
	}
	ck_assert_uint_lt(map_heat_colour(1, 1), MAP_HEATS_MAX);
}
END_TEST

START_TEST(offsets)
{
	char text[MAP_OFFSET_TEXT];

	ck_assert_str_eq(map_offset_text(0, 64 << 20, text), "0 MiB");
	ck_assert_str_eq(map_offset_text(UINT64_C(1088) << 20, 64 << 20, text), "1088 MiB");
	ck_assert_str_eq(map_offset_text(3 << 19, 1 << 19, text), "1536 KiB");
	ck_assert_str_eq(map_offset_text(UINT64_C(7) << 60, UINT64_C(1) << 60, text), "7 EiB");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tools_map");
	TCase *tc = tcase_create("map");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, runs_are_what_the_bits_are);
	tcase_add_test(tc, runs_alike_are_one);
	tcase_add_test(tc, runs_of_a_huge_image);
	tcase_add_test(tc, cells_are_what_the_bits_are);
	tcase_add_test(tc, levels_and_sides);
	tcase_add_test(tc, heats);
	tcase_add_test(tc, offsets);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
