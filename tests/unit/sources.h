/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sources.h - a source in the scratch directory, for tests of what is done to its images
 *
 * Blocks are of 4 KiB, regions of 32 KiB.  What fails makes the test fail, save where said.
 */
#ifndef TESTS_UNIT_SOURCES_H
#define TESTS_UNIT_SOURCES_H

#include "bitmapfile/history.h"
#include "bitmapfile/source.h"
#include "tests/unit/faultio.h"

#define BLOCK 4096
#define BLOCKS 256 /* of an image, where it doesn't matter */

extern struct faultio source_fault; /* under every source that is opened here */
extern char source_notices[4096];   /* what sources had to say, a line each */

/* Checked fixtures: the scratch directory, no fault armed, no notices. */
void source_setup(void);
void source_teardown(void);

struct bmf_source *source_open(unsigned int block_shift);

/* A sparse file of that many blocks; a descriptor that the caller closes. */
int source_image(const char *name, uint64_t nblocks);

/* A rollover for nobody: the number of the checkpoint. */
uint64_t source_roll(struct bmf_source *s);

/* Changes a block as the daemon does: 0, or what its tracker says. */
int source_change(struct bmf_source *s, int fd, uint64_t block);

/* The history as the next mirrorfs finds it, with nothing mounted; ret may be NULL. */
enum bmf_reason source_reason(int fd, struct bmf_history *ret);

/* Does things to a source in a process that is then killed. */
void source_crash_after(void (*act)(struct bmf_source *s, int fd), int fd);

#endif
