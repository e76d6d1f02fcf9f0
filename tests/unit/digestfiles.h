/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digestfiles.h - a file of digests in the scratch directory, and what the tests put into it */
#ifndef TESTS_UNIT_DIGESTFILES_H
#define TESTS_UNIT_DIGESTFILES_H

#include "tools/digests.h"
#include "tools/digests_format.h"

#include <check.h>

extern const struct digests_key digestfile_key;
extern const char *const digestfile_name;

struct digests *digestfile_open(const struct bmf_io *io);
struct digests *digestfile_create(uint64_t nblocks);

struct digest zero_digest(void);
/* One that says which it is, and in which write it was made. */
struct digest make_digest(uint64_t block, uint64_t round);

#define SMALL 300 /* blocks: a page, and a part of one */
/* A file of that many, of round 1. */
void make_small(struct digest digests[SMALL]);

/* The file's bytes; *ret is owned by the caller. */
size_t slurp(uint8_t **ret);
void spill(const uint8_t *buf, size_t nbytes);

/* A case in a scratch directory. */
TCase *digestfile_case(const char *name);

#endif
