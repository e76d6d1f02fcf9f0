/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * switchover.h - the last moments of a source, whose guests are to go on from a replica
 *
 * What seal.h does in memory, with the mark on disk that makes it last.  Thread safe.
 */
#ifndef FS_SWITCHOVER_H
#define FS_SWITCHOVER_H

#include "fs/control.h"

#include <sys/types.h>

struct mfs;
struct mfs_handle;

/* At the mount, before the first request: a source with the mark is sealed, and that is said. */
void mfs_switchover_begin(struct mfs *fs, const char *source);

/*
 * MFS_CONTROL_HOLD and MFS_CONTROL_SEAL, asked on owner, by a process: 0 or -errno, as control.h
 * has them.
 */
int mfs_switchover_hold(struct mfs *fs, struct mfs_handle *owner, pid_t process,
			const struct mfs_control_hold *message);
int mfs_switchover_seal(struct mfs *fs, struct mfs_handle *owner, struct mfs_control_seal *message);

#endif
