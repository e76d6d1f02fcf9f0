/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reason.h - why an image has no bitmap that reaches back far enough
 *
 * Invariant I4: nothing is copied in full without a reason given.  The numbers
 * are part of the sidecar's format.
 */
#ifndef BITMAPFILE_REASON_H
#define BITMAPFILE_REASON_H

#include <stdbool.h>

enum bmf_reason {
	BMF_REASON_NONE = 0,	   /* bitmaps reach back to where they must */
	BMF_REASON_NEW = 1,	   /* made since the checkpoint */
	BMF_REASON_COPIED = 2,	   /* a copy of another image, with its id */
	BMF_REASON_BEHIND = 3,	   /* changed while no mirrorfs was watching */
	BMF_REASON_MISSING = 4,	   /* the image has an id, but its sidecar is gone */
	BMF_REASON_DAMAGED = 5,	   /* the sidecar is damaged */
	BMF_REASON_VERSION = 6,	   /* the sidecar comes from a newer mirrorfs */
	BMF_REASON_FOREIGN = 7,	   /* the sidecar belongs to another source or state */
	BMF_REASON_IO_ERROR = 8,   /* an fsync of the image failed: its content is in doubt */
	BMF_REASON_NO_ID = 9,	   /* the image can't carry an id */
	BMF_REASON_UNTRACKED = 10, /* the sidecar couldn't be written, and was given up */
	BMF_REASON_DROPPED = 11,   /* nobody needed bitmaps that old: they were let go */
	BMF_REASON_UNWATCHED = 12, /* changed, or so it seems, after a crash of its watcher */
	BMF_REASON_LAST = BMF_REASON_UNWATCHED,
};

/*
 * A short text for messages, such as "changed behind the mount"; never NULL.  Numbers
 * past BMF_REASON_LAST, from a newer mirrorfs, have one too.
 */
const char *bmf_reason_text(enum bmf_reason reason);

/* A stable word for JSON, such as "changed-behind-mount"; never NULL. */
const char *bmf_reason_word(enum bmf_reason reason);

#endif
