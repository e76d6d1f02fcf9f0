/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dispatch.h - the table of requests that libfuse is given */
#ifndef FS_DISPATCH_H
#define FS_DISPATCH_H

#include <fuse_lowlevel.h>

/* Passes each on to the live tree (ops.h) or to the snapshots (ops_snapshot.h). */
extern const struct fuse_lowlevel_ops mfs_dispatch_ops;

#endif
