/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest_compare.h - holds digests that a digester makes against those that are on record
 *
 * Calling sequence: digest_compare_init; then digester_new() with digest_compare_take, and a
 * struct digest_compare as its arg.  Not thread safe.
 */
#ifndef TOOLS_DIGEST_COMPARE_H
#define TOOLS_DIGEST_COMPARE_H

#include "tools/digester.h"
#include "tools/digests.h"

enum digest_verdict {
	DIGEST_SAME,
	DIGEST_DIFFERS,
	DIGEST_NOT_KNOWN, /* there is none on record */
};

struct digest_compare {
	struct digests *record; /* borrowed */
	/* Told of every block, in ascending order; 0, or a negative errno, which ends it. */
	int (*block)(void *arg, uint64_t block, enum digest_verdict verdict);
	void *arg;
	struct digest zero; /* of a block of zeros */
};

/* Of a replica's digests with that key.  0 or -ENOMEM. */
int digest_compare_init(const struct digests_key *key, struct digest_compare *ret);

/* A digester_take, whose arg is a struct digest_compare.  -ECANCELED: a signal asked to stop. */
int digest_compare_take(void *arg, uint64_t first_block, uint64_t n, const struct digest *digests);

#endif
