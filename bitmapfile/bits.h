/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bits.h - a sparse set of 64-bit positions, made for concurrent writers
 *
 * One is used for the blocks that changed in a generation, one for the armed
 * regions of an image.  Memory grows with the number of distinct 32768-bit
 * chunks in which a bit was set, not with the highest position; chunks that are
 * set as a whole cost none, however many.
 *
 * Threads: set, clear, test, test_all, next and count may run concurrently on
 * one object without a lock of the caller's.  Every access to a bit is
 * sequentially consistent: a thread that sets a bit of one object and then
 * tests a bit of another, against one that clears the latter and then reads
 * the former, can't both miss the other (tracker.c relies on it).
 * new, free, union_into (its destination) and convert need exclusive use.
 *
 * Positions are valid up to BMF_BITS_MAX - 1; ranges are half open.
 */
#ifndef BITMAPFILE_BITS_H
#define BITMAPFILE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bmf_bits;

#define BMF_BITS_CHUNK_SHIFT 15
#define BMF_BITS_CHUNK (UINT64_C(1) << BMF_BITS_CHUNK_SHIFT) /* bits in a chunk */
#define BMF_BITS_CHUNK_BYTES (BMF_BITS_CHUNK / 8)
#define BMF_BITS_MAX (UINT64_C(1) << 51) /* 2^63 bytes in blocks of 4 KiB */

/* An empty set, or NULL when there is no memory. */
struct bmf_bits *bmf_bits_new(void);
void bmf_bits_free(struct bmf_bits *bits);

/*
 * Sets [first, first + n).  0; -ENOMEM, when any part of the range may have been
 * set; -ERANGE when the range passes BMF_BITS_MAX (nothing was set).
 */
int bmf_bits_set(struct bmf_bits *bits, uint64_t first, uint64_t n);

/* Clears [first, first + n).  0 or -ENOMEM, when nothing of it may be relied on. */
int bmf_bits_clear(struct bmf_bits *bits, uint64_t first, uint64_t n);

bool bmf_bits_test(const struct bmf_bits *bits, uint64_t position);

/* Is every bit of [first, first + n) set? */
bool bmf_bits_test_all(const struct bmf_bits *bits, uint64_t first, uint64_t n);

/*
 * Finds the next run of set bits that begins at or after from and lies before
 * end (it is cut at end).  False when there is none.
 */
bool bmf_bits_next(const struct bmf_bits *bits, uint64_t from, uint64_t end, uint64_t *ret_first,
		   uint64_t *ret_n);

/* The number of set bits in [first, first + n); n may reach past BMF_BITS_MAX. */
uint64_t bmf_bits_count(const struct bmf_bits *bits, uint64_t first, uint64_t n);

bool bmf_bits_is_empty(const struct bmf_bits *bits);

/* Adds every bit of src to dst.  0 or -ENOMEM, when dst may hold a part of them. */
int bmf_bits_union_into(struct bmf_bits *dst, const struct bmf_bits *src);

/*
 * The same bytes in blocks of another size, always outward: a target block is set
 * when any part of it was.  Sizes are given as log2.  Returns a new object
 * through *ret; 0 or -ENOMEM.
 */
int bmf_bits_convert(const struct bmf_bits *src, unsigned int src_shift, unsigned int dst_shift,
		     struct bmf_bits **ret);

/*
 * The serialised form, before compression: see mirrorfs-sidecar(5), "Bits".
 * encode: a buffer that the caller frees.  decode: -EBADMSG for anything that
 * encode can't have made.
 */
int bmf_bits_encode(const struct bmf_bits *bits, void **ret_buf, size_t *ret_nbytes);
int bmf_bits_decode(const void *buf, size_t nbytes, struct bmf_bits **ret);

#endif
