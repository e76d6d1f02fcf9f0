/* SPDX-License-Identifier: GPL-2.0-or-later */
/* random.h - what a test client chooses by: the same choices for the same rng */
#ifndef TESTS_CLIENTS_RANDOM_H
#define TESTS_CLIENTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

static uint64_t rng; /* to be set to a seed */

static inline uint64_t next_random(void)
{
	uint64_t z = rng += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline uint64_t below(uint64_t n)
{
	return n ? next_random() % n : 0;
}

static inline bool chance(unsigned int percent)
{
	return below(100) < percent;
}

#endif
