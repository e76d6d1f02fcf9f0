/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bits_read.c - what looks at a set of bits without changing it
 *
 * Nothing here locks or writes; see bits.c for why that is enough.
 */
#include "config.h"

#include "bitmapfile/bits_internal.h"
#include "bitmapfile/bits_tree.h"

bool bmf_bits_test(const struct bmf_bits *bits, uint64_t position)
{
	uintptr_t root = atomic_load(&bits->root);
	void *child = root_node(root);
	uint64_t last, bit;

	if (!cut_to_root(root, position, 1, &last))
		return false;
	for (unsigned int level = root_level(root); level > 0; level--) {
		uint64_t i = (position >> slot_shift(level)) % NODE_SLOTS;

		child = atomic_load(&((struct node *)child)->slots[i]);
		if (child == NULL || child == FULL)
			return child == FULL;
	}
	bit = position % BMF_BITS_CHUNK;
	return atomic_load(&((struct chunk *)child)->words[bit / 64]) >> (bit % 64) & 1;
}

static uint64_t find_in_chunk(struct chunk *chunk, uint64_t first, uint64_t last, bool value)
{
	for (uint64_t w = first / 64; w <= last / 64; w++) {
		uint64_t word = atomic_load(&chunk->words[w]);

		word = (value ? word : ~word) & word_mask(w, first, last);
		if (word)
			return w * 64 + (unsigned int)__builtin_ctzll(word);
	}
	return last + 1;
}

/* The first bit of [first, last] of a child that has that value; last + 1 if none has. */
static uint64_t find_below(void *child, unsigned int level, uint64_t first, uint64_t last,
			   bool value)
{
	unsigned int shift;

	if (child == NULL || child == FULL)
		return (child == FULL) == value ? first : last + 1;
	if (level == 0)
		return find_in_chunk(child, first, last, value);
	shift = slot_shift(level);
	for (uint64_t i = first >> shift; i <= last >> shift; i++) {
		uint64_t base = i << shift, span = UINT64_C(1) << shift;
		uint64_t from = first > base ? first - base : 0;
		uint64_t to = min_u64(last - base, span - 1);
		uint64_t found = find_below(atomic_load(&((struct node *)child)->slots[i]),
					    level - 1, from, to, value);

		if (found <= to)
			return base + found;
	}
	return last + 1;
}

/* The first bit of [from, end) that has that value; end if none has. */
static uint64_t find(const struct bmf_bits *bits, uint64_t from, uint64_t end, bool value)
{
	uintptr_t root = atomic_load(&bits->root);
	uint64_t last, found;

	if (from >= end)
		return end;
	if (cut_to_root(root, from, end - from, &last)) {
		found = find_below(root_node(root), root_level(root), from, last, value);
		if (found <= last)
			return found;
		from = last + 1;
	}
	return value ? end : from; /* the rest is clear */
}

bool bmf_bits_test_all(const struct bmf_bits *bits, uint64_t first, uint64_t n)
{
	if (n == 1)
		return bmf_bits_test(bits, first);
	if (n > UINT64_MAX - first)
		return false;
	return find(bits, first, first + n, false) == first + n;
}

bool bmf_bits_next(const struct bmf_bits *bits, uint64_t from, uint64_t end, uint64_t *ret_first,
		   uint64_t *ret_n)
{
	uint64_t first = from, stop;

	do {
		first = find(bits, first, end, true);
		if (first >= end)
			return false;
		stop = find(bits, first, end, false);
	} while (stop == first); /* cleared meanwhile */
	*ret_first = first;
	*ret_n = stop - first;
	return true;
}

bool bmf_bits_is_empty(const struct bmf_bits *bits)
{
	return find(bits, 0, BMF_BITS_MAX, true) == BMF_BITS_MAX;
}

static uint64_t count_below(void *child, unsigned int level, uint64_t first, uint64_t last)
{
	uint64_t count = 0;
	unsigned int shift;

	if (child == NULL || child == FULL)
		return child == FULL ? last - first + 1 : 0;
	if (level == 0) {
		for (uint64_t w = first / 64; w <= last / 64; w++)
			count += (unsigned int)__builtin_popcountll(
				atomic_load(&((struct chunk *)child)->words[w]) &
				word_mask(w, first, last));
		return count;
	}
	shift = slot_shift(level);
	for (uint64_t i = first >> shift; i <= last >> shift; i++) {
		uint64_t base = i << shift, span = UINT64_C(1) << shift;

		count += count_below(atomic_load(&((struct node *)child)->slots[i]), level - 1,
				     first > base ? first - base : 0,
				     min_u64(last - base, span - 1));
	}
	return count;
}

uint64_t bmf_bits_count(const struct bmf_bits *bits, uint64_t first, uint64_t n)
{
	uintptr_t root = atomic_load(&bits->root);
	uint64_t last;

	if (!cut_to_root(root, first, n, &last))
		return 0;
	return count_below(root_node(root), root_level(root), first, last);
}

/* bmf_bits_next_piece() of a child: chunk numbers count from its begin */
static bool piece_below(void *child, unsigned int level, uint64_t from, struct bmf_bits_piece *ret)
{
	unsigned int shift = NODE_SHIFT * level;

	if (child == NULL)
		return false;
	ret->first = from;
	ret->full = child == FULL;
	ret->nchunks = (UINT64_C(1) << shift) - from;
	if (child == FULL)
		return true;
	if (level == 0) {
		for (unsigned int w = 0; w < BMF_BITS_CHUNK_WORDS; w++)
			ret->words[w] = atomic_load(&((struct chunk *)child)->words[w]);
		return true;
	}
	shift -= NODE_SHIFT;
	for (uint64_t i = from >> shift; i < NODE_SLOTS; i++) {
		uint64_t base = i << shift;

		if (piece_below(atomic_load(&((struct node *)child)->slots[i]), level - 1,
				from > base ? from - base : 0, ret)) {
			ret->first += base;
			return true;
		}
	}
	return false;
}

bool bmf_bits_next_piece(const struct bmf_bits *bits, uint64_t from, struct bmf_bits_piece *ret)
{
	uintptr_t root = atomic_load(&bits->root);

	if (!root || from >= level_span(root_level(root)) >> BMF_BITS_CHUNK_SHIFT)
		return false;
	return piece_below(root_node(root), root_level(root), from, ret);
}
