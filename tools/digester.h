/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digester.h - makes digests of the blocks of a stream of data and holes
 *
 * Calling sequence: new; then for each range of an image begin, data and zeros in
 * ascending order, finish; then free.  A digester serves one image after the other.
 *
 * Data is hashed as it comes and not kept: a digester takes some 66 KiB, whatever the
 * size of a block.  Not thread safe.
 */
#ifndef TOOLS_DIGESTER_H
#define TOOLS_DIGESTER_H

#include "tools/digest.h"

#include <stddef.h>
#include <stdint.h>

#define DIGESTER_BATCH 4096 /* digests that take is given at once, at most */

struct digester;

/*
 * Takes the digests of the blocks first_block .. first_block + n - 1, n > 0, in ascending
 * order.  digests is NULL when all of them are zero blocks: then n has no bound.  0 or a
 * negative errno, which ends the range.
 */
typedef int digester_take(void *arg, uint64_t first_block, uint64_t n,
			  const struct digest *digests);

/* block_shift: 12 to 21.  0, -EINVAL or -ENOMEM. */
int digester_new(uint64_t seed, unsigned int block_shift, digester_take *take, void *arg,
		 struct digester **ret);
/* What wasn't finished is forgotten.  NULL is allowed. */
void digester_free(struct digester *digester);

/* Begins a range at offset (bytes), a multiple of the size of a block, or -EINVAL. */
int digester_begin(struct digester *digester, uint64_t offset);

/*
 * The next piece of the range, of any size.  offset says where it is, and must be where the
 * last one ended (-EINVAL): what is between two ranges isn't known, so it takes a finish
 * and a begin.  Zeros cost nothing for whole blocks of them, and no more than hashing at
 * the ends.  0, -EINVAL, or what take returned; after a failure only begin and free.
 */
int digester_data(struct digester *digester, const void *buf, size_t nbytes, uint64_t offset);
int digester_zeros(struct digester *digester, uint64_t offset, uint64_t nbytes);

/*
 * Ends the range, and gives take what it hasn't had.  The range must end at a multiple
 * of the size of a block, or at image_size (bytes), where the last block is padded with
 * zeros; -EINVAL otherwise.  Errors as those of data.
 */
int digester_finish(struct digester *digester, uint64_t image_size);

#endif
