/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * manifest.h - what a replica knows of itself: DEST/.mirrorfs/replica
 *
 * A document (bitmapfile/doc.h), magic "MFSREPLI", version 1.  Its body:
 *
 *   uuid    of the replica
 *   uuid    of its source; none in one that was adopted: the first that syncs to it
 *   u64     checkpoint number, 0: none yet
 *   uuid    of the checkpoint
 *   u8      complete: 1 when all of the replica is at that checkpoint
 *   u64     time of the last change of all this, ns since 1970
 *   u32     block_shift of the source
 *   u64     number of images, and for each:
 *     uuid    of the image
 *     string  its path in the replica
 *     u8      reason: 0 when its content may be brought up to date by bitmap
 *             from the checkpoint; otherwise why it has to be copied in full
 *     u8      busy: 1 while a sync may be changing the replica's file, so that its
 *             stamp says nothing; 0 in a complete replica
 *     u64 x5  stamp of the replica's file as published: inode, handle, size,
 *             mtime_ns, ctime_ns
 *
 * This module touches no disk.  Not thread safe.
 */
#ifndef TOOLS_MANIFEST_H
#define TOOLS_MANIFEST_H

#include "bitmapfile/error.h"
#include "bitmapfile/sidecar.h"
#include "bitmapfile/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct manifest_image {
	struct bmf_uuid image;
	char *path;		/* owned */
	unsigned int reason;	/* enum full_reason */
	bool busy;		/* a sync may change its file, or did */
	struct bmf_stamp stamp; /* all zero: there is no file yet */
};

struct manifest {
	struct bmf_uuid replica, source;
	uint64_t checkpoint;
	struct bmf_uuid checkpoint_uuid;
	bool complete;
	int64_t time_ns;
	unsigned int block_shift;
	struct manifest_image *images; /* sorted by UUID after manifest_sort */
	size_t nimages, room;
	struct manifest_image **by_path; /* the same in order of paths, likewise */
};

/* It is anybody's, and at no checkpoint: the first sync makes it its source's. */
static inline bool manifest_is_adopted(const struct manifest *manifest)
{
	return bmf_uuid_is_none(&manifest->source) && !bmf_uuid_is_none(&manifest->replica);
}

/*
 * Was it made of a copy (sync_seed.c), and is it still at the checkpoint that the copy was said to
 * be of?  For people: a sync in place that was interrupted before it had an image to change looks
 * the same.
 */
bool manifest_is_seeded(const struct manifest *manifest);

/* For people: why there is no telling what an incomplete one should be. */
const char *manifest_why_incomplete(const struct manifest *manifest);

#define MANIFEST_NAME "replica"
#define MANIFEST_LIMIT ((size_t)1 << 30) /* bytes: a larger one isn't ours */

void manifest_destroy(struct manifest *manifest);

/* Appends an image; path is copied.  0 or -ENOMEM. */
int manifest_add(struct manifest *manifest, const struct bmf_uuid *image, const char *path,
		 unsigned int reason, bool busy, const struct bmf_stamp *stamp);

/* Makes the two functions below work, as they do in one that came from decode.  0 or -ENOMEM. */
int manifest_sort(struct manifest *manifest);

const struct manifest_image *manifest_find(const struct manifest *manifest,
					   const struct bmf_uuid *image);

/* The same by path. */
const struct manifest_image *manifest_find_path(const struct manifest *manifest, const char *path);

int manifest_encode(const struct manifest *manifest, void **ret_buf, size_t *ret_nbytes);

/* Errors as bmf_doc_open(); -EBADMSG too for a body that encode can't have made. */
int manifest_decode(const void *buf, size_t nbytes, struct manifest *ret, struct bmf_error *err);

#endif
