/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracker.h - the changes of one image, while it is in use
 *
 * Whoever changes an image calls, for each change, and keeps the gate open meanwhile:
 *
 *   bmf_tracker_change(t, offset, nbytes)   before: when it returns 0, the change
 *                                           can't be missed any more, whatever crashes
 *   ... the change itself ...
 *   bmf_tracker_grown(t, end)               after, if it may have made the image longer
 *
 * All functions are thread safe and may block for a write to the sidecar.  A
 * tracker is in a struct bmf_source's table; references are counted.
 */
#ifndef BITMAPFILE_TRACKER_H
#define BITMAPFILE_TRACKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bmf_bits;
struct bmf_tracker;

struct bmf_tracker *bmf_tracker_get(struct bmf_tracker *tracker); /* one more reference */
void bmf_tracker_put(struct bmf_tracker *tracker);		  /* NULL is allowed */

/*
 * The image has been opened such that it may be changed, and closed again: calls
 * pair up.  Between them the image's stamp is not trusted.
 */
void bmf_tracker_opened(struct bmf_tracker *tracker);
void bmf_tracker_closed(struct bmf_tracker *tracker);

/*
 * [offset, offset + nbytes) is about to change.  Offsets past the end of the
 * image count from its end (the gap becomes zeros).  0, or -EIO when it can't be
 * tracked: then the change must not be made (I1).
 */
int bmf_tracker_change(struct bmf_tracker *tracker, uint64_t offset, uint64_t nbytes);

/*
 * From now on the image changes without the tracker being told: what was recorded is
 * given up, durably.  0, or -errno: then it must not change (I1).
 */
int bmf_tracker_disown(struct bmf_tracker *tracker);

/* The size is about to become that: what is cut off changes, and what is added. */
int bmf_tracker_resize(struct bmf_tracker *tracker, uint64_t size);

/* The size of the image is now at least end, or (set_size) exactly size. */
void bmf_tracker_grown(struct bmf_tracker *tracker, uint64_t end);
void bmf_tracker_set_size(struct bmf_tracker *tracker, uint64_t size);

/*
 * The blocks that may have changed from checkpoint `from` up to checkpoint `to`, of which the
 * latter is the current generation or an earlier one: see bmf_chain_delta().  -ENOENT too
 * when the image has no history.  To be called with the gate open, by who has told of a
 * change since `to`.
 */
int bmf_tracker_delta(struct bmf_tracker *tracker, uint64_t from, uint64_t to,
		      struct bmf_bits **ret);

/* Device and inode number of the image. */
void bmf_tracker_inode(const struct bmf_tracker *tracker, dev_t *ret_dev, ino_t *ret_ino);

/*
 * Metadata that moves ctime (mode, owner, times, names, xattrs) is about to change:
 * notes durably that the stamp no longer counts.  0 or -EIO.
 */
int bmf_tracker_touch(struct bmf_tracker *tracker);

/*
 * An fsync of the image failed: its content is in doubt, now and after any crash.
 * From then on bmf_tracker_failed() gives that error (a negative errno), which the
 * caller returns for every further fsync; the next sync copies the image in full.
 */
void bmf_tracker_fail(struct bmf_tracker *tracker, int error);
int bmf_tracker_failed(const struct bmf_tracker *tracker);

/*
 * What the image holds is in doubt just now, and may be sound again later: the next sync
 * copies it in full, and it is tracked anew from then on.
 */
void bmf_tracker_doubt(struct bmf_tracker *tracker);

#endif
