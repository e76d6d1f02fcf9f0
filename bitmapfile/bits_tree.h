/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bits_tree.h - the radix tree in a set of bits, for bits.c (which explains it) and
 * bits_read.c
 */
#ifndef BITMAPFILE_BITS_TREE_H
#define BITMAPFILE_BITS_TREE_H

#include "bitmapfile/bits_internal.h"

#include <assert.h>
#include <stdatomic.h>

#define NODE_SHIFT 9
#define NODE_SLOTS (1u << NODE_SHIFT)
#define LEVEL_MAX 4u
#define LEVEL_MASK ((uintptr_t)7)

struct chunk {
	_Atomic uint64_t words[BMF_BITS_CHUNK_WORDS];
};

struct node {
	_Atomic(void *) slots[NODE_SLOTS];
};

struct bmf_bits {
	_Atomic uintptr_t root; /* struct node * + level; 0: empty */
};

static_assert(sizeof(struct chunk) == BMF_BITS_CHUNK_BYTES, "no padding in a chunk");
static_assert(BMF_BITS_CHUNK_SHIFT + LEVEL_MAX * NODE_SHIFT == 51, "the top level spans them all");

/* In a slot: every bit below is set. */
extern const char bmf_bits_full_marker;
#define FULL ((void *)&bmf_bits_full_marker)

/* log2 of the bits below one slot of a node of that level, which is 1 or more */
static inline unsigned int slot_shift(unsigned int level)
{
	return BMF_BITS_CHUNK_SHIFT + NODE_SHIFT * (level - 1);
}

/* The number of bits that a tree with a top node of that level has room for. */
static inline uint64_t level_span(unsigned int level)
{
	return UINT64_C(1) << (slot_shift(level) + NODE_SHIFT);
}

static inline struct node *root_node(uintptr_t root)
{
	return (struct node *)(root & ~LEVEL_MASK);
}

static inline unsigned int root_level(uintptr_t root)
{
	return (unsigned int)(root & LEVEL_MASK);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The bits of word number w that lie in [first, last]; some do. */
static inline uint64_t word_mask(uint64_t w, uint64_t first, uint64_t last)
{
	uint64_t mask = UINT64_MAX;

	if (first > w * 64)
		mask &= UINT64_MAX << (first % 64);
	if (last < w * 64 + 63)
		mask &= UINT64_MAX >> (63 - last % 64);
	return mask;
}

/* Cuts [first, first + n) at what the tree has room for.  False if nothing is left. */
static inline bool cut_to_root(uintptr_t root, uint64_t first, uint64_t n, uint64_t *ret_last)
{
	uint64_t span = root ? level_span(root_level(root)) : 0;

	if (n == 0 || first >= span)
		return false;
	*ret_last = first + min_u64(n, span - first) - 1;
	return true;
}

#endif
