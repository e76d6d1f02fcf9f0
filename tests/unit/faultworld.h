/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faultworld.h - a daemon without FUSE, its images and one replica, for tests of faults
 *
 * It has three images: IMAGE and IDLE, which the replica has, and NEW, made since its
 * checkpoint; IMAGE and NEW are open for writing.  Faults can be put under all that the
 * tracking does (world_tracking), and under what is done to images for guests
 * (world_guest).  What the images were when the replica was at its checkpoint is kept, so
 * that world_check() can say of any moment whether a change was missed (I1).
 *
 * Nothing is flushed to the disk: what is simulated are kills and errors, no power cuts.
 * What fails that no fault can excuse makes the test fail.
 */
#ifndef TESTS_UNIT_FAULTWORLD_H
#define TESTS_UNIT_FAULTWORLD_H

#include "fs/fs.h"
#include "tests/unit/faultio.h"

enum world_image { IMAGE, IDLE, NEW, WORLD_IMAGES };

#define WORLD_BLOCK 4096u
#define WORLD_BLOCKS 96u       /* that an image has at most */
#define WORLD_REGION_BLOCKS 8u /* of 32 KiB */

extern struct faultio world_tracking, world_guest;
extern struct mfs world_fs;
extern char world_notices[4096];

/* What guests were refused since world_make(), and what else reported an error. */
extern unsigned int world_refused, world_errors;

/* No guest's change may fail: world_refuse() ends the test. */
extern bool world_goes_on;

/* In a directory of its own below the scratch directory; serving, unless killed. */
void world_make(void (*prepare)(void), bool killed);
void world_remove(void);

/* Mount and unmount.  0 or what the source says. */
int world_start(void);
int world_stop(void);
bool world_runs(void);

/* While it doesn't run: nobody can tell any more what the replica is at. */
void world_damage_state(void);
bool world_is_lost(void);

/* Opens IMAGE and NEW as a guest does, as far as they aren't open. */
void world_open(void);
void world_open_one(enum world_image image);
void world_close(enum world_image image);

/* What guests do.  The result is counted; offsets and sizes are in blocks. */
int world_write(enum world_image image, unsigned int block, unsigned int n);
int world_write_durable(enum world_image image, unsigned int block, unsigned int n);
int world_truncate(enum world_image image, unsigned int size);
int world_fallocate(enum world_image image, int mode, unsigned int block, unsigned int n);
int world_copy(enum world_image image, unsigned int from, unsigned int to, unsigned int n);
int world_fsync(enum world_image image);
void world_unlink(enum world_image image);
void world_touch(enum world_image image); /* a chmod */

/* A sync by the daemon's part in it: 0, and the replica is as the source was then; or -errno. */
int world_sync(void);
int world_sync_quietly(void); /* with no guest that writes meanwhile */

/*
 * Is every change since the replica's checkpoint in what a mirrorfs would believe that
 * starts now?  when is for the message.
 */
void world_check(const char *when);

/* Would its next sync be incremental?  The number of its bits that are set, or -1. */
long world_history(enum world_image image);

bool world_has_sidecar(enum world_image image);

#endif
