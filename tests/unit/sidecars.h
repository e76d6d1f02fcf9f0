/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sidecars.h - sidecars for tests: made, compared, and their bytes tampered with */
#ifndef TESTS_UNIT_SIDECARS_H
#define TESTS_UNIT_SIDECARS_H

#include "bitmapfile/format.h"
#include "tests/unit/rng.h"

/* A UUID of 16 consecutive bytes. */
struct bmf_uuid sidecars_uuid(uint8_t first);

/*
 * One with fixed content: generations 3-4 (blocks 0-98303), 5-6 (nothing) and 7
 * (blocks 32768-65535 and 131072-163839); regions 0, 4030, 4031 and 40000 armed; in use.
 */
struct bmf_sidecar *sidecars_sample(void);

/* The same with every third block of 5 chunks in generations 5-6, which zstd packs. */
struct bmf_sidecar *sidecars_packed_sample(void);

/* One with anything in it, in blocks below nblocks. */
struct bmf_sidecar *sidecars_random(struct rng *rng, uint64_t nblocks);

/* Fails the test unless the two say the same. */
void sidecars_check_equal(const struct bmf_sidecar *a, const struct bmf_sidecar *b);
void sidecars_check_bits_equal(const struct bmf_bits *a, const struct bmf_bits *b);

/* Is every bit of part in whole? */
bool sidecars_bits_contain(const struct bmf_bits *whole, const struct bmf_bits *part);

/* A file that a test may change: its header, and its table, made right again by reseal. */
struct sidecars_file {
	uint8_t *buf;
	size_t nbytes;
};

/* Decodes what must be good. */
struct bmf_sidecar *sidecars_decode(const void *buf, size_t nbytes);

struct sidecars_file sidecars_encode(struct bmf_sidecar *sidecar);
struct bmf_disk_header *sidecars_header(struct sidecars_file *file);
struct bmf_disk_section *sidecars_entry(struct sidecars_file *file, size_t i);
void sidecars_reseal(struct sidecars_file *file);

#endif
