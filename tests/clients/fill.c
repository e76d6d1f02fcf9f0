/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fill.c - fill FILE NBYTES SEED: a file of random bytes, the same for the same seed
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t next(uint64_t *state)
{
	/* xorshift64 */
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

int main(int argc, char **argv)
{
	uint64_t words[512], state, left;
	FILE *f;

	if (argc != 4)
		return 2;
	left = strtoull(argv[2], NULL, 0);
	state = strtoull(argv[3], NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	f = fopen(argv[1], "w");
	if (!f) {
		perror(argv[1]);
		return 1;
	}
	while (left > 0) {
		size_t n = left < sizeof(words) ? left : sizeof(words);

		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			words[i] = next(&state);
		if (fwrite(words, 1, n, f) != n)
			break;
		left -= n;
	}
	if (fclose(f) != 0 || left > 0) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
