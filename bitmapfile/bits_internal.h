/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bits_internal.h - a set seen as chunks, for the files bits_*.c only
 */
#ifndef BITMAPFILE_BITS_INTERNAL_H
#define BITMAPFILE_BITS_INTERNAL_H

#include "bitmapfile/bits.h"

#define BMF_BITS_CHUNK_WORDS (BMF_BITS_CHUNK / 64)
#define BMF_BITS_MAX_CHUNKS (BMF_BITS_MAX / BMF_BITS_CHUNK)

/* A part of a set that is not known to be empty. */
struct bmf_bits_piece {
	uint64_t first;	  /* number of its first chunk */
	uint64_t nchunks; /* all of them full, if full; else 1 */
	bool full;
	uint64_t words[BMF_BITS_CHUNK_WORDS]; /* unless full: a copy, and it may be all zeros */
};

/*
 * Finds the first piece that begins at chunk `from` or later; a full one that
 * began earlier is cut.  Neighbouring full pieces are not joined.  False when
 * there is none.
 */
bool bmf_bits_next_piece(const struct bmf_bits *bits, uint64_t from, struct bmf_bits_piece *ret);

/* Adds the bits of one piece.  0 or -ENOMEM.  It must lie before BMF_BITS_MAX. */
int bmf_bits_add_piece(struct bmf_bits *bits, const struct bmf_bits_piece *piece);

#endif
