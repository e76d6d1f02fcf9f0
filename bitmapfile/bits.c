/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bits.c - the sparse set of bits, a radix tree that only grows: what changes it
 *
 *   root ──► node, level h ──► ... ──► node, level 1 ──► chunk (32768 bits)
 *
 * A node has 512 slots.  A slot of a level-1 node stands for a chunk, a slot of
 * level 2 for a level-1 node, and so on up to level 4, which spans BMF_BITS_MAX.
 * A slot is in one of three states:
 *
 *   NULL      every bit below is clear
 *   FULL      every bit below is set; no memory, at whatever level
 *   a child   a node or a chunk: it is asked
 *
 * and changes so:
 *
 *   NULL to FULL, FULL to NULL     all below is set, or cleared, at once
 *   NULL to child, FULL to child   a part of it is set, or cleared
 *
 * A child never leaves its slot before bmf_bits_free(): a chunk that was filled or
 * emptied bit by bit stays.  So nothing is ever freed or moved under a reader,
 * and no lock is needed: a slot changes by one compare-and-exchange, and whoever loses
 * it looks at the slot again.  A new child repeats what its slot said (all clear, all
 * set), so putting it there changes no bit.
 *
 * The root holds the address of the top node and, in its low bits, the level of it;
 * 0 is an empty set.  When a higher position is set a new top node is put above,
 * with the old one as its slot 0: the old one remains what it was.
 *
 * Why bits.h may promise sequential consistency.  All loads and changes of the root,
 * of slots and of words are seq_cst, so there is one order of all of them, S.  Let
 * the value of a bit at a point of S be what one would find by walking from the
 * root to it in that instant.  Then every operation on a bit takes effect at
 * one point of S, between its begin and its end:
 *
 * - test: at its last load.  Everything that it came through (the root's old top, a
 *   node, a chunk) is still in the tree at that point, in the same place, because
 *   nothing ever leaves.  So the last load, of a word or of a slot that said NULL or
 *   FULL, gives the bit's value at that point.  If the root's level was too low for the
 *   position, the last load is that of the root, and the bit was clear then.  next,
 *   test_all and count do the same for each bit in turn.
 * - set and clear: at the change of the word or the slot, for the same reason; or, if
 *   the bit has the wanted value already, at the load (or the failed exchange) that showed
 *   it.  In particular a set that finds FULL while a clear is about to put a
 *   chunk there: if its load comes before that exchange in S it was set first and then
 *   cleared; if it comes after, it finds the chunk and sets the bit in there.
 *
 * So each bit behaves as if a single seq_cst atomic, and with several objects too, as
 * S spans them all: of "set x; test y" and "clear y; test x" at least one sees the
 * other.  A range is no unit: its bits change one word after another.
 */
#include "config.h"

#include "bitmapfile/bits_internal.h"
#include "bitmapfile/bits_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char bmf_bits_full_marker;

struct bmf_bits *bmf_bits_new(void)
{
	return calloc(1, sizeof(struct bmf_bits));
}

static void free_below(void *child, unsigned int level)
{
	if (child == NULL || child == FULL)
		return;
	for (unsigned int i = 0; level > 0 && i < NODE_SLOTS; i++)
		free_below(atomic_load(&((struct node *)child)->slots[i]), level - 1);
	free(child);
}

void bmf_bits_free(struct bmf_bits *bits)
{
	uintptr_t root;

	if (!bits)
		return;
	root = atomic_load(&bits->root);
	free_below(root_node(root), root_level(root));
	free(bits);
}

/* A child of that level (0: a chunk) whose bits are all clear or all set. */
static void *new_child(unsigned int level, bool value)
{
	struct node *node;

	if (level == 0) {
		struct chunk *chunk = calloc(1, sizeof(*chunk));

		if (chunk && value)
			memset(chunk, 0xff, sizeof(*chunk));
		return chunk;
	}
	node = calloc(1, sizeof(*node));
	for (unsigned int i = 0; node && value && i < NODE_SLOTS; i++)
		atomic_init(&node->slots[i], FULL);
	return node;
}

/*
 * Puts a child of that level into a slot that said `expected` (NULL or FULL), with
 * bits to match.  What the slot holds now is in *ret: the child, or whatever another
 * thread was faster with.
 */
static int put_child(_Atomic(void *) *slot, unsigned int level, void *expected, void **ret)
{
	void *child = new_child(level, expected == FULL);

	if (!child)
		return -ENOMEM;
	if (atomic_compare_exchange_strong(slot, &expected, child)) {
		*ret = child;
	} else {
		free(child); /* nobody has seen it */
		*ret = expected;
	}
	return 0;
}

static uintptr_t new_top(uintptr_t below, uint64_t position)
{
	unsigned int level = below ? root_level(below) + 1 : 1;
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return 0;
	if (below)
		atomic_init(&node->slots[0], root_node(below));
	else
		while (position >= level_span(level))
			level++;
	return (uintptr_t)node | level;
}

/* Gives the tree room for that position.  *ret is a root that has it. */
static int raise_root(struct bmf_bits *bits, uint64_t position, uintptr_t *ret)
{
	uintptr_t root = atomic_load(&bits->root);

	while (!root || position >= level_span(root_level(root))) {
		uintptr_t top = new_top(root, position);

		if (!top)
			return -ENOMEM;
		if (atomic_compare_exchange_strong(&bits->root, &root, top))
			root = top;
		else
			free(root_node(top)); /* only itself: nobody has seen it */
	}
	*ret = root;
	return 0;
}

static void assign_in_chunk(struct chunk *chunk, uint64_t first, uint64_t last, bool value)
{
	for (uint64_t w = first / 64; w <= last / 64; w++) {
		uint64_t mask = word_mask(w, first, last);
		uint64_t old = atomic_load(&chunk->words[w]);

		/* a load leaves the cache line shared: most bits are as wanted already */
		if (value && (old & mask) != mask)
			atomic_fetch_or(&chunk->words[w], mask);
		else if (!value && (old & mask))
			atomic_fetch_and(&chunk->words[w], ~mask);
	}
}

static int assign_in_slot(_Atomic(void *) *slot, unsigned int level, uint64_t first, uint64_t last,
			  bool whole, bool value);

/* Gives the bits [first, last] of a child that value; they count from its begin. */
static int assign_in_child(void *child, unsigned int level, uint64_t first, uint64_t last,
			   bool value)
{
	unsigned int shift;
	int r = 0;

	if (level == 0) {
		assign_in_chunk(child, first, last, value);
		return 0;
	}
	shift = slot_shift(level);
	for (uint64_t i = first >> shift; i <= last >> shift && r == 0; i++) {
		uint64_t base = i << shift, span = UINT64_C(1) << shift;
		uint64_t from = first > base ? first - base : 0;
		uint64_t to = min_u64(last - base, span - 1);

		r = assign_in_slot(&((struct node *)child)->slots[i], level - 1, from, to,
				   from == 0 && to == span - 1, value);
	}
	return r;
}

/* The same for what is in a slot, a child of that level or none; whole: all of it. */
static int assign_in_slot(_Atomic(void *) *slot, unsigned int level, uint64_t first, uint64_t last,
			  bool whole, bool value)
{
	void *const wanted = value ? FULL : NULL, *const opposite = value ? NULL : FULL;
	void *child = atomic_load(slot);

	if (child == opposite) {
		if (whole) {
			if (atomic_compare_exchange_strong(slot, &child, wanted))
				return 0;
		} else {
			int r = put_child(slot, level, opposite, &child);

			if (r < 0)
				return r;
		}
	}
	if (child == wanted)
		return 0;
	return assign_in_child(child, level, first, last, value);
}

int bmf_bits_set(struct bmf_bits *bits, uint64_t first, uint64_t n)
{
	uintptr_t root;
	int r;

	if (n == 0)
		return 0;
	if (first >= BMF_BITS_MAX || n > BMF_BITS_MAX - first)
		return -ERANGE;
	r = raise_root(bits, first + n - 1, &root);
	if (r < 0)
		return r;
	return assign_in_child(root_node(root), root_level(root), first, first + n - 1, true);
}

int bmf_bits_clear(struct bmf_bits *bits, uint64_t first, uint64_t n)
{
	uintptr_t root = atomic_load(&bits->root);
	uint64_t last;

	if (!cut_to_root(root, first, n, &last))
		return 0;
	return assign_in_child(root_node(root), root_level(root), first, last, false);
}

/* The chunk of that number, made if need be; FULL when there is no need for one. */
static int chunk_at(struct bmf_bits *bits, uint64_t number, void **ret)
{
	uint64_t position = number << BMF_BITS_CHUNK_SHIFT;
	uintptr_t root;
	void *child;
	int r;

	r = raise_root(bits, position, &root);
	if (r < 0)
		return r;
	child = root_node(root);
	for (unsigned int level = root_level(root); level > 0 && child != FULL; level--) {
		uint64_t i = (position >> slot_shift(level)) % NODE_SLOTS;
		_Atomic(void *) *slot = &((struct node *)child)->slots[i];

		child = atomic_load(slot);
		if (child == NULL)
			r = put_child(slot, level - 1, NULL, &child);
		if (r < 0)
			return r;
	}
	*ret = child;
	return 0;
}

int bmf_bits_add_piece(struct bmf_bits *bits, const struct bmf_bits_piece *piece)
{
	struct chunk *chunk = NULL;
	void *found;
	int r;

	if (piece->full)
		return bmf_bits_set(bits, piece->first << BMF_BITS_CHUNK_SHIFT,
				    piece->nchunks << BMF_BITS_CHUNK_SHIFT);
	for (unsigned int w = 0; w < BMF_BITS_CHUNK_WORDS; w++) {
		if (!piece->words[w])
			continue;
		if (!chunk) { /* only now: a piece of zeros needs no memory */
			r = chunk_at(bits, piece->first, &found);
			if (r < 0 || found == FULL)
				return r;
			chunk = found;
		}
		atomic_fetch_or(&chunk->words[w], piece->words[w]);
	}
	return 0;
}
