/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shadows.h - snapshots of imageworld's image, and copies of what they have to show
 *
 * What goes wrong is an assertion that fails.
 */
#ifndef TESTS_UNIT_SHADOWS_H
#define TESTS_UNIT_SHADOWS_H

#include "fs/image.h"
#include "fs/rollover.h"
#include "fs/snapshot_image.h"
#include "tests/unit/imageworld.h"

#define NSNAPSHOTS 4

/* A snapshot, and what it has to show. */
struct shadow {
	struct mfs_snapshot *snapshot; /* a reference; NULL: none */
	struct mfs_snapshot_image *image;
	char name[MFS_SNAPSHOT_NAME_MAX + 1];
	struct bmf_checkpoint checkpoint;
	unsigned char content[MAX_BYTES];
	size_t size;
	bool partial; /* only some blocks are needed: */
	bool needed[NBLOCKS];
};
extern struct shadow shadows[NSNAPSHOTS];
extern unsigned char shadow_got[MAX_BYTES];  /* what was read last */
extern const struct bmf_uuid shadow_replica; /* whose sync they are for */

/* Fills the first blocks of the image with anything. */
void fill_blocks(size_t nblocks);

/* Makes a checkpoint and its snapshot; from 0: of everything, else of what changed since. */
void shadow_take(struct shadow *s, uint64_t from);
void shadow_drop(struct shadow *s);
void shadows_drop(void);

/* The bytes that are preserved for it. */
uint64_t shadow_preserved(const struct shadow *s);

/* It shows what was.  All: of what is needed. */
void shadow_check_range(const struct shadow *s, size_t offset, size_t n);
void shadow_check_all(const struct shadow *s);

/* Holes read as zeros, data and holes take turns until the end. */
void shadow_check_seek(const struct shadow *s);

#endif
