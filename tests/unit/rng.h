/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rng.h - random numbers that can be had again: the seed is printed
 *
 * SEED=n in the environment repeats a run.
 */
#ifndef TESTS_UNIT_RNG_H
#define TESTS_UNIT_RNG_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct rng {
	uint64_t state;
};

/* what: the test's name, for the line that tells the seed. */
static inline struct rng rng_start(const char *what)
{
	const char *given = getenv("SEED");
	struct rng rng = { (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid() };

	if (given)
		rng.state = strtoull(given, NULL, 0);
	printf("%s: SEED=%llu\n", what, (unsigned long long)rng.state);
	fflush(stdout);
	return rng;
}

/* splitmix64: any state is a good one */
static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 .. n - 1; n > 0 */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return rng_next(rng) % n;
}

#endif
