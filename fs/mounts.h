/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mounts.h - which mirrorfs mounts there are, by /proc/self/mountinfo
 *
 * Of this mount namespace, alive or dead.  False also where it can't be read.  Thread safe.
 */
#ifndef FS_MOUNTS_H
#define FS_MOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

/* The absolute path of a source, which a mount is named after. */
bool mfs_mounts_has_fsname(const char *fsname);

bool mfs_mounts_has_dev(dev_t dev);

/* Is it what is seen at that absolute path, and no other mount over it? */
bool mfs_mounts_is_seen_at(const char *path);

#endif
