/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h - what mirrorctl asks of a running mirrorfs
 *
 * An ioctl(2) on a descriptor of the mount's root directory, or, where said, of a regular
 * file (others give ENOTTY).  Only the user who runs the daemon, and root, may (EPERM
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

#include <assert.h>
#include <linux/ioctl.h>
#include <stdint.h>

#define MFS_CONTROL_VERSION 4
#define MFS_CONTROL_LABEL 1024
#define MFS_SNAPSHOT_NAME_MAX 63
#define MFS_CONTROL_WHOLE 256
#define MFS_CONTROL_REASON 512
#define MFS_CONTROL_IMAGES 1000

/* Where snapshots are, below the mount point; reachable, but never listed in its root. */
#define MFS_SNAPSHOT_DIR ".mirrorfs/snapshot"

/*
 * In flags of INFO.  The source is on a read-only filesystem and nothing is tracked: COMMIT,
 * ARRIVED, FORGET, CHECKPOINT_NAME and FLUSH give EROFS; source UUID, generation and block_shift
 * are zero.
 */
#define MFS_INFO_READ_ONLY 1u

/* Mounted with -o notrack: no change is recorded.  All but INFO give EOPNOTSUPP. */
#define MFS_INFO_NOTRACK 2u

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
	struct bmf_uuid instant; /* out: the token of the last COMMIT that had its instant */
};

/* The source was switched over: every change gives EROFS, see MFS_CONTROL_SEAL. */
#define MFS_INFO_SEALED 4u

/*
 * A rollover.  When it returns, all bits before the checkpoint are in the sidecars.
 * ETIMEDOUT: a write has been in flight for too long, no checkpoint was made.
 *
 * With HOLD the checkpoint is kept as a snapshot.  `from` is a checkpoint: only blocks that
 * changed between it and the new one are preserved when guests overwrite them, and all
 * blocks of the images in `whole`; 0: all blocks of all images.  With OWNED the snapshot goes when
 * the descriptor is closed that this was asked on, also by the death of its process.
 * EEXIST: there is a snapshot of that name.
 *
 * The instant is over long before it returns: most of the time goes to the sidecars.  Who has
 * frozen guests for it and wants to thaw them gives a token, and asks INFO, from another
 * thread, until `instant` is that (or until this returns: another COMMIT's may follow at once).
 */
#define MFS_COMMIT_HOLD 1u
#define MFS_COMMIT_OWNED 2u

struct mfs_control_commit {
	uint32_t version;			  /* in */
	uint32_t flags;				  /* in: MFS_COMMIT_... */
	struct bmf_uuid token;			  /* in: see below */
	struct bmf_uuid replica;		  /* in: pending for it; none: for nobody */
	char label[MFS_CONTROL_LABEL];		  /* in: where it is, NUL-terminated */
	char name[MFS_SNAPSHOT_NAME_MAX + 1];	  /* in: of the snapshot; "": out, one was chosen */
	uint64_t from;				  /* in */
	uint32_t nwhole, reserved;		  /* in */
	struct bmf_uuid whole[MFS_CONTROL_WHOLE]; /* in */
	uint64_t number;			  /* out */
	struct bmf_uuid uuid;			  /* out */
	int64_t time_ns;			  /* out */
	uint64_t gate_ns;			  /* out: how long writes were held */
	uint64_t names_ns; /* out: how long changes of names and metadata were */
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

/* The source forgets that replica; ENOENT: it knows none of that UUID. */
struct mfs_control_forget {
	uint32_t version; /* in */
	uint32_t reserved;
	struct bmf_uuid replica; /* in */
};

/*
 * Names the checkpoint (number, uuid), durably: then it is kept until a name of "" takes the name
 * away.  ENOENT: it isn't kept any more, or has no name to be taken away; EEXIST: it has a name, or
 * another has that one; EINVAL: no checkpoint can be called that.
 */
struct mfs_control_checkpoint_name {
	uint32_t version; /* in */
	uint32_t reserved;
	struct bmf_uuid uuid;		      /* in */
	uint64_t number;		      /* in */
	char name[MFS_SNAPSHOT_NAME_MAX + 1]; /* in */
};

struct mfs_control_flush {
	uint32_t version; /* in */
	uint32_t reserved;
};

struct mfs_control_snapshot_delete {
	uint32_t version; /* in */
	uint32_t reserved;
	char name[MFS_SNAPSHOT_NAME_MAX + 1]; /* in; ENOENT: there is none */
};

/*
 * Names are listed by readdir of MFS_SNAPSHOT_DIR.  broken is -E2BIG when the limit of what may be
 * preserved was reached, -ENOSPC or -EDQUOT for want of room, -ETIMEDOUT when a guest would have
 * had to wait for too long, or another error of the source's storage.
 */
struct mfs_control_snapshot_info {
	uint32_t version;		      /* in */
	uint32_t owned;			      /* out: 1: it goes with the one who made it */
	char name[MFS_SNAPSHOT_NAME_MAX + 1]; /* in; ENOENT: there is none */
	uint64_t number;		      /* out: the checkpoint */
	struct bmf_uuid uuid;		      /* out */
	int64_t time_ns;		      /* out: ns since 1970 */
	uint64_t images;		      /* out */
	uint64_t preserved;		      /* out: bytes of old blocks that are kept for it */
	int32_t broken;			      /* out: 0, or a negative errno */
	uint32_t reserved;
	char reason[MFS_CONTROL_REASON]; /* out: why, one line for people; "" */
};

#define MFS_LISTED_NO_XATTRS 1u /* listxattr(2) of the file in the snapshot gives nothing */

/*
 * Images of the snapshot `name`, as many as there is room for: whoever wants to know something of
 * all of them need not open each.  Descriptors are those of the process INFO names, open for as
 * long as the snapshot is there.
 */
struct mfs_control_listed {
	uint64_t inode;	  /* out: st_ino of the file in the snapshot */
	int32_t image_fd; /* out: O_PATH, of the image itself */
	uint32_t flags;	  /* out: MFS_LISTED_... */
};

struct mfs_control_snapshot_images {
	uint32_t version;		      /* in */
	uint32_t n;			      /* out: of listed */
	char name[MFS_SNAPSHOT_NAME_MAX + 1]; /* in; ENOENT: there is none */
	uint64_t next; /* in: 0, or what it was after the ones before; out: 0: those were all */
	struct mfs_control_listed listed[MFS_CONTROL_IMAGES]; /* out */
};

/* As much as the number of an ioctl can say. */
static_assert(sizeof(struct mfs_control_snapshot_images) < 1 << _IOC_SIZEBITS, "an ioctl's size");

/*
 * Of one block of an image in a snapshot: where its content at the instant is.
 *
 * Who reads the image itself, beside the daemon, reads the blocks first, and after that (a
 * full memory barrier in between) `broken` and their states.  If it isn't broken and the states
 * are SAME or BUSY, what was read is what was there at the instant.  Otherwise the file in the
 * snapshot directory is to be read, which knows of all the rest, and gives ENODATA for LOST.
 */
enum mfs_block_state {
	MFS_BLOCK_SAME = 0,	 /* the image still has it */
	MFS_BLOCK_BUSY = 1,	 /* it does, and somebody is preserving it */
	MFS_BLOCK_PRESERVED = 2, /* the image may have something else */
	MFS_BLOCK_ZERO = 3,	 /* likewise; it was zeros */
	MFS_BLOCK_LOST = 4,	 /* likewise, and it was not kept: not needed, or released */
};

/* Asked on a regular file in a snapshot.  Descriptors as above. */
struct mfs_control_snapshot_image {
	uint32_t version;     /* in */
	uint32_t block_shift; /* out */
	int32_t image_fd;     /* out: O_PATH, of the image itself */
	int32_t map_fd;	      /* out: the states, one byte a block */
	int32_t status_fd;    /* out: an int32_t, not 0 once the snapshot is broken */
	uint32_t reserved;
	uint64_t nblocks; /* out */
	uint64_t size;	  /* out: bytes, at the instant */
};

/* On the same: that range has been read, and need not be preserved any more. */
struct mfs_control_snapshot_release {
	uint32_t version; /* in */
	uint32_t reserved;
	uint64_t offset, nbytes; /* in */
};

/*
 * All that changes the source, writes, sizes, names and metadata, waits from when this returns, for
 * timeout_ms at most; 0 lets all go on.  So does closing the descriptor that it was asked on, and
 * the death of the process that asked.  (Where 64 asynchronous writes wait, the kernel doesn't tell
 * of the former; and of the latter the daemon hears only if it can see the process.)
 *
 * EBUSY: somebody else holds it; EROFS: it is sealed; ETIMEDOUT: a change in flight did not come
 * back.
 */
struct mfs_control_hold {
	uint32_t version;    /* in */
	uint32_t timeout_ms; /* in: MFS_HOLD_MAX_MS at most */
};

#define MFS_HOLD_MAX_MS 600000u

/*
 * On the descriptor of a HOLD: the replica is durable at the checkpoint, which was made after
 * the source was held.  When it returns, the source's mark (bitmapfile/seal_mark.h) is durable, and
 * whatever waits, and comes later, gets EROFS, also after the next mount.  On failure all go on.
 * ETIMEDOUT: the time was over before, so the replica may lack something; EUSERS: likewise, as too
 * many had to wait; ESTALE: nothing was held, or the checkpoint is older than that.
 *
 * With UNDO, which needs no hold, the mark is removed, and changes go on; EINVAL: it isn't sealed.
 */
#define MFS_SEAL_UNDO 1u

struct mfs_control_seal {
	uint32_t version;	       /* in */
	uint32_t flags;		       /* in: MFS_SEAL_... */
	struct bmf_uuid replica;       /* in */
	struct bmf_uuid uuid;	       /* in: of the checkpoint */
	uint64_t number;	       /* in */
	char label[MFS_CONTROL_LABEL]; /* in: where the replica is, NUL-terminated */
};

#define MFS_CONTROL_INFO _IOR('m', 1, struct mfs_control_info)
#define MFS_CONTROL_COMMIT _IOWR('m', 2, struct mfs_control_commit)
#define MFS_CONTROL_ARRIVED _IOW('m', 3, struct mfs_control_arrived)
#define MFS_CONTROL_FLUSH _IOW('m', 4, struct mfs_control_flush)

#define MFS_CONTROL_SNAPSHOT_DELETE _IOW('m', 6, struct mfs_control_snapshot_delete)
#define MFS_CONTROL_SNAPSHOT_INFO _IOWR('m', 7, struct mfs_control_snapshot_info)
#define MFS_CONTROL_SNAPSHOT_IMAGES _IOWR('m', 11, struct mfs_control_snapshot_images)
#define MFS_CONTROL_FORGET _IOW('m', 10, struct mfs_control_forget)
#define MFS_CONTROL_CHECKPOINT_NAME _IOW('m', 12, struct mfs_control_checkpoint_name)
#define MFS_CONTROL_HOLD _IOW('m', 13, struct mfs_control_hold)
#define MFS_CONTROL_SEAL _IOW('m', 14, struct mfs_control_seal)

/*
 * The others are for a regular file.  SUSPECT, also of one in a snapshot: an fsync of the image
 * failed beside the mount; its content is in doubt, as if its guest's own fsync had failed.
 */
#define MFS_CONTROL_SUSPECT _IO('m', 5)
#define MFS_CONTROL_SNAPSHOT_IMAGE _IOWR('m', 8, struct mfs_control_snapshot_image)
#define MFS_CONTROL_SNAPSHOT_RELEASE _IOW('m', 9, struct mfs_control_snapshot_release)

#endif
