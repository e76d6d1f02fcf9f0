/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest_compare.c - holds digests that a digester makes against those that are on record */
#include "config.h"

#include "tools/digest_compare.h"
#include "tools/stop.h"

#include <errno.h>

#define BATCH 256

int digest_compare_init(const struct digests_key *key, struct digest_compare *ret)
{
	return digest_of_zero_block(key->block_shift, digest_seed(&key->replica), &ret->zero);
}

static int compare_batch(struct digest_compare *compare, uint64_t first_block, size_t n,
			 const struct digest *digests)
{
	struct digest expected[BATCH];
	int r = digests_read(compare->record, first_block, n, expected);

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct digest *is = digests ? &digests[i] : &compare->zero;
		enum digest_verdict verdict = DIGEST_SAME;

		if (!digest_is_known(&expected[i]))
			verdict = DIGEST_NOT_KNOWN;
		else if (!digest_equal(&expected[i], is))
			verdict = DIGEST_DIFFERS;
		r = compare->block(compare->arg, first_block + i, verdict);
	}
	return r;
}

int digest_compare_take(void *arg, uint64_t first_block, uint64_t n, const struct digest *digests)
{
	int r = 0;

	for (uint64_t done = 0; r == 0 && done < n;) {
		size_t batch = n - done < BATCH ? (size_t)(n - done) : BATCH;

		if (stop_signal())
			return -ECANCELED;
		r = compare_batch(arg, first_block + done, batch, digests ? digests + done : NULL);
		done += batch;
	}
	return r;
}
