/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify_digests.h - what a replica says of its images, so that a verify need not read them
 *
 * A block of the source that has the digest which the replica has noted is what was written there.
 * Whether the replica's disk still has it is for a scrub to prove.  Only the digests of files
 * that nobody has touched are believed.  Not thread safe.
 */
#ifndef TOOLS_VERIFY_DIGESTS_H
#define TOOLS_VERIFY_DIGESTS_H

#include "tools/digests.h"
#include "tools/manifest.h"

struct verify_digests {
	struct manifest manifest;
	int dir_fd; /* -1: there is nothing to be believed */
	uint64_t seed;
	struct digests *image; /* of the image at hand; NULL: none */
};

/*
 * dest_fd: any directory; one that is no complete replica has no digests.  -EBUSY, with a message:
 * there is an update that was committed and not published.
 */
int verify_digests_open(int dest_fd, const char *dest_path, struct verify_digests *ret,
			struct bmf_error *err);
void verify_digests_close(struct verify_digests *digests);

/* Takes up an image, of which fd is the replica's file: are there digests to be believed? */
bool verify_digests_begin(struct verify_digests *digests, const char *path, int fd);
void verify_digests_end(struct verify_digests *digests);

/* Is a block of the source (a whole one, padded) the one that was written to the replica? */
bool verify_digests_have(struct verify_digests *digests, const void *block, uint64_t offset);

#endif
