/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * places.h - may this source be mounted at this mount point?
 *
 * Called once, before anything is opened for good.  On refusal one line has
 * been logged, which names the place and the way out.
 */
#ifndef FS_PLACES_H
#define FS_PLACES_H

#include "fs/options.h"

/*
 * Makes both paths absolute in *options and returns through *ret_source_fd a
 * descriptor of the source directory, for reading, that the caller closes.  It is
 * opened before the mount, so it stays what lies under a mount over the source
 * itself.  A dead mount there may still be in the way (dead_mount.h).  0 or -errno.
 */
int mfs_places_open(struct mfs_options *options, int *ret_source_fd);

/*
 * After a dead mount was removed: makes source_fd one of the source in the tree that everybody
 * sees. What was opened beneath the dead mount lies in none: it shows nothing that is mounted in
 * the source, and keeps nobody from unmounting the source's filesystem.  Not when requests are
 * served.  0 or -errno; one line has been logged.
 */
int mfs_places_reopen(const struct mfs_options *options, int source_fd);

#endif
