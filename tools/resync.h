/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resync.h - brings to a replica what really differs from what it has, told by digests
 *
 * For an image whose bitmaps don't tell.  Its source is read once, from front to back; blocks
 * whose digest isn't the one that the replica has of them go to the sink of struct copy, and
 * those are read a second time, soon enough to be in the cache.  Nothing of the replica is read:
 * what nobody knows the digest of differs.
 *
 * Not thread safe.
 */
#ifndef TOOLS_RESYNC_H
#define TOOLS_RESYNC_H

#include "tools/copy.h"
#include "tools/digest_update.h"

struct resync {
	struct copy *copy; /* ready, but for its digester; copy->size is the image's, in bytes */
	struct digest_update *update; /* its digests are those of what the replica has, all of it */
	const struct digests_key *key;
};

/*
 * 0: the sink was given all that differs, in ascending order, and update->digests are those of all
 * of the image.  Errors as those of copy_range().
 */
int resync_image(const struct resync *resync);

#endif
