/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h - what mirrorctl asks of a running mirrorfs
 *
 * An ioctl(2) on a descriptor of the mount's root directory (any other inode gives
 * ENOTTY, but for MFS_CONTROL_SUSPECT).  Only the user who runs the daemon, and root, may (EPERM
 * otherwise). Integers are in host order: both ends are on one machine, and every struct begins
 * with a version.  Sizes stay below the 16 KiB that an ioctl of a FUSE filesystem can carry.
 *
 * Bitmaps themselves do not travel here: after COMMIT or FLUSH a reader finds
 * them in the sidecars.  It gets at the source directory, which the mount may
 * cover, through /proc/PID/fd/FD as INFO gives them, and checks that device and inode agree.
 *
 * This is the one header that fs/ and tools/ share.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include "bitmapfile/uuid.h"

#include <linux/ioctl.h>
#include <stdint.h>

#define MFS_CONTROL_VERSION 1
#define MFS_CONTROL_LABEL 1024

/*
 * In flags of INFO.  The source is on a read-only filesystem and nothing is tracked: COMMIT,
 * ARRIVED and FLUSH give EROFS; source UUID, generation and block_shift are zero.
 */
#define MFS_INFO_READ_ONLY 1u

struct mfs_control_info {
	uint32_t version;     /* out */
	int32_t pid;	      /* out: as the daemon sees itself */
	int32_t source_fd;    /* out: descriptor of the source directory in that process */
	uint32_t block_shift; /* out */
	uint64_t source_dev, source_ino;   /* out */
	struct bmf_uuid source;		   /* out */
	uint64_t generation;		   /* out */
	uint64_t moves_begun, moves_ended; /* out: see struct bmf_moves */
	uint32_t flags;			   /* out: MFS_INFO_... */
	uint32_t reserved;
};

/*
 * A rollover.  When it returns, all bits before the checkpoint are in the sidecars.
 * ETIMEDOUT: a write has been in flight for too long, no checkpoint was made.
 */
struct mfs_control_commit {
	uint32_t version; /* in */
	uint32_t reserved;
	struct bmf_uuid replica;	       /* in: pending for it; none: for nobody */
	char label[MFS_CONTROL_LABEL];	       /* in: where it is, NUL-terminated */
	uint64_t number;		       /* out */
	struct bmf_uuid uuid;		       /* out */
	int64_t time_ns;		       /* out */
	uint64_t gate_ns;		       /* out: how long writes were held */
	uint64_t images, adopted, untrackable; /* out */
};

/* The replica is durable at the checkpoint (number, uuid). */
struct mfs_control_arrived {
	uint32_t version; /* in */
	uint32_t reserved;
	struct bmf_uuid replica;
	struct bmf_uuid uuid;
	uint64_t number;
	char label[MFS_CONTROL_LABEL];
};

struct mfs_control_flush {
	uint32_t version; /* in */
	uint32_t reserved;
};

#define MFS_CONTROL_INFO _IOR('m', 1, struct mfs_control_info)
#define MFS_CONTROL_COMMIT _IOWR('m', 2, struct mfs_control_commit)
#define MFS_CONTROL_ARRIVED _IOW('m', 3, struct mfs_control_arrived)
#define MFS_CONTROL_FLUSH _IOW('m', 4, struct mfs_control_flush)

/*
 * The one that is for a regular file: an fsync of it failed beside the mount.  Its content
 * is in doubt, as if its guest's own fsync had failed.
 */
#define MFS_CONTROL_SUSPECT _IO('m', 5)

#endif
