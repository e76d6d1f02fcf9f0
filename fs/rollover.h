/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollover.h - a new checkpoint of a source while it is in use, and the snapshot of it
 *
 * Thread safe; one at a time, others wait.
 */
#ifndef FS_ROLLOVER_H
#define FS_ROLLOVER_H

#include "fs/control.h"

struct mfs;
struct mfs_handle;

/*
 * Carries out MFS_CONTROL_COMMIT, whose strings have been found to end; owner is the handle that
 * it was asked on.  0 or -errno, which has been logged where control.h doesn't explain it.
 */
int mfs_rollover(struct mfs *fs, struct mfs_handle *owner, struct mfs_control_commit *message);

#endif
