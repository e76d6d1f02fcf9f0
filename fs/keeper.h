/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keeper.h - the threads that look after sidecars and snapshots every few seconds
 */
#ifndef FS_KEEPER_H
#define FS_KEEPER_H

struct mfs;
struct mfs_keeper;

/*
 * Calls bmf_source_keep() every interval seconds, and mfs_snapshots_keep() and
 * bmf_source_renew() as often as the latter needs to be.  0 or -errno.
 */
int mfs_keeper_start(struct mfs *fs, unsigned int interval, struct mfs_keeper **ret);

/* Waits for a pass that is running, and frees the keeper.  NULL is allowed. */
void mfs_keeper_stop(struct mfs_keeper *keeper);

#endif
