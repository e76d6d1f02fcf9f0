/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * imageworld.h - one image under the daemon's write path, and random changes of it
 *
 * For tests that hold something against what the image was: a bitmap, a snapshot.  The
 * image is "image" in the scratch directory (scratch.h); blocks are of 4 KiB.
 */
#ifndef TESTS_UNIT_IMAGEWORLD_H
#define TESTS_UNIT_IMAGEWORLD_H

#include "fs/fs.h"
#include "tests/unit/faultio.h"
#include "tests/unit/rng.h"

#include <stdbool.h>
#include <stddef.h>

#define BLOCK 4096u
#define NBLOCKS 512u
#define MAX_BYTES (NBLOCKS * BLOCK)
#define LENGTH_MAX (40u * BLOCK)

extern struct faultio fault; /* under image_fs */
extern struct mfs image_fs;
extern struct mfs_node *node;	  /* of the image */
extern struct mfs_handle *handle; /* open for reading and writing */
extern struct rng rng;

/* Blocks that a change may have concerned; the test clears it. */
extern bool touched[NBLOCKS];

/* Checked fixtures; options of snapshots are what imageworld_options says. */
extern struct mfs_snapshots_options imageworld_options;
void imageworld_setup(void);
void imageworld_teardown(void);

/* The image as it is: its size; buf, of MAX_BYTES, is filled up with zeros. */
size_t image_read(unsigned char *buf);
size_t image_size(void);

/* Bytes [from, to) are about to change; those between the end and from do as well. */
void image_touch(size_t from, size_t to);

void random_write(size_t offset, size_t n);
/* One change of any kind, of some blocks. */
void random_change(void);

#endif
