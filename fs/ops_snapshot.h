/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ops_snapshot.h - the requests on what is in snapshots, and on the way to them
 *
 * MOUNT/.mirrorfs and MOUNT/.mirrorfs/snapshot are directories of no filesystem; below are
 * the snapshots' top directories, by name.  To the kernel all of these are inodes like others.
 * Its number of one is the address of a struct mfs_snapshot_node with bit 0 set, which no node of
 * the live tree has.  (Nor has the root: FUSE_ROOT_ID is no address.)
 *
 * A node lives as long as its snapshot, and that as long as there are references to it: one
 * for each lookup that the kernel counts.
 *
 * Inside a snapshot nothing ever changes, so the kernel may keep attributes and content for as
 * long as it likes.  Once the snapshot is deleted, every request gives ESTALE but those that give
 * something back.
 */
#ifndef FS_OPS_SNAPSHOT_H
#define FS_OPS_SNAPSHOT_H

#include "fs/ops.h"
#include "fs/snapshot.h"

#include <fuse_lowlevel.h>

/* What has no function here is a change, and gets EROFS: see dispatch.c. */
extern const struct fuse_lowlevel_ops mfs_snapshot_ops;

static inline bool mfs_is_snapshot(fuse_ino_t ino)
{
	return ino != FUSE_ROOT_ID && (ino & 1);
}

static inline struct mfs_snapshot_node *mfs_snapshot_node_of(fuse_ino_t ino)
{
	return (struct mfs_snapshot_node *)((uintptr_t)ino & ~(uintptr_t)1);
}

static inline fuse_ino_t mfs_snapshot_number(const struct mfs_snapshot_node *node)
{
	return (uintptr_t)node | 1;
}

/* MOUNT/.mirrorfs and MOUNT/.mirrorfs/snapshot: nodes of no snapshot. */
extern struct mfs_snapshot_node mfs_state_dir, mfs_snapshot_dir;

/* Answers a lookup of MOUNT/.mirrorfs. */
void mfs_snapshot_reply_state_dir(fuse_req_t req);

/* The kernel gives nlookup lookups back. */
void mfs_snapshot_forget(fuse_ino_t ino, uint64_t nlookup);

/* --- what the ops_snapshot files share */

/*
 * Around what a request does: false when the snapshot is deleted, and then ESTALE was
 * answered.  Always true for the directories that belong to none.
 */
bool mfs_snapshot_begin(fuse_req_t req, const struct mfs_snapshot_node *node);
void mfs_snapshot_end(const struct mfs_snapshot_node *node);

/*
 * Attributes as seen through the mount: st_ino is another one than that of the live file, whose
 * st_dev it has; by these two programs tell whether they have one file before them.
 */
struct stat mfs_snapshot_attributes(const struct mfs *fs, const struct mfs_snapshot_node *node);

/* What the kernel is to know of a node. */
struct fuse_entry_param mfs_snapshot_entry(const struct mfs *fs,
					   const struct mfs_snapshot_node *node);

/* ops_snapshot_dir.c */
void mfs_snapshot_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mfs_snapshot_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			     struct fuse_file_info *fi);
void mfs_snapshot_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
				 struct fuse_file_info *fi);

/* ops_snapshot_file.c */
void mfs_snapshot_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void mfs_snapshot_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			  struct fuse_file_info *fi);
void mfs_snapshot_op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
			   struct fuse_file_info *fi);
void mfs_snapshot_op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
			   struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
			   size_t in_nbytes, size_t out_nbytes);

#endif
