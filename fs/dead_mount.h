/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dead_mount.h - what a mirrorfs that was killed has left at its mount point
 *
 * Whoever goes there gets ENOTCONN, and that is good: over the source itself, it keeps everybody
 * from writing past mirrorfs.  So it stays until the next one can take its place.  That takes the
 * rights of root.
 */
#ifndef FS_DEAD_MOUNT_H
#define FS_DEAD_MOUNT_H

#include <stdbool.h>

/* Is a mirrorfs seen at that absolute path, which nobody serves any more? */
bool mfs_dead_mount_is_at(const char *path);

/*
 * Calls look, on a thread of its own to which the mount at path isn't there: what it opens below
 * path is what lies beneath.  Nobody else sees a difference.  What it leaves open is in no tree any
 * more afterwards: nothing that is mounted below is seen by way of it.  0 or a negative errno.
 */
int mfs_dead_mount_look_beneath(const char *path, void (*look)(void *arg), void *arg);

/*
 * Unmounts what is dead at path, if anything is, a moment later: a daemon that is ending does so
 * itself.  0 or a negative errno.
 */
int mfs_dead_mount_remove(const char *path);

#endif
