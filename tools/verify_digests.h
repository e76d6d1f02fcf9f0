/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify_digests.h - proves a source by its replica's digests, without reading the replica
 *
 * A block of the source that has the digest which the replica has noted is what was written there.
 * Whether the replica's disk still has it is for a scrub to prove.  Only the digests of files
 * that nobody has touched are believed.  Not thread safe.
 */
#ifndef TOOLS_VERIFY_DIGESTS_H
#define TOOLS_VERIFY_DIGESTS_H

#include "tools/copy.h"
#include "tools/digests.h"
#include "tools/manifest.h"

struct verify_digests {
	struct manifest manifest;
	int dir_fd;		/* -1: there is nothing to be believed */
	struct digests *image;	/* of the image at hand; NULL: none */
	struct digests_key key; /* of that */
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

/* What is to be proved of an image, and what came of it. */
struct verify_image {
	int a_fd, b_fd;		/* of the source and of the replica, O_RDONLY; borrowed */
	uint64_t size;		/* bytes, of both */
	struct copy_ring *ring; /* borrowed */
	void (*tick)(void *arg, uint64_t nbytes); /* told of every step; may be NULL */
	void *tick_arg;

	struct bmf_bits *doubtful; /* the caller's: gets the blocks of which it isn't proved */
	uint64_t known;		   /* bytes of which it is, where either has data */
	uint64_t failed_offset;	   /* where the source couldn't be read */
};

/*
 * Reads the source, where either has data: are its blocks those that were written to the replica?
 * 0.  1: nothing could be proved, for another reason than that the source can't be read, which is
 * for who compares them to find.  -ECANCELED when a signal asked to stop, or an error of reading.
 */
int verify_digests_prove(struct verify_digests *digests, struct verify_image *image);

#endif
