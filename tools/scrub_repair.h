/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scrub_repair.h - mends what a scrub has found in a replica, from its source
 *
 * The engine of mirrorctl scrub --repair: no argv, no output.
 *
 * A block of the source is written into the replica only if it has the digest that the replica
 * has noted for it.  So nobody has to know at which checkpoint the source is, whether it is in use
 * meanwhile, or which of its files the image is: nothing can be written but what was there.
 * What the source doesn't have any more stays as it is, and is told.  So does a file whose
 * modification time isn't as published: that is no damage, but what a guest has written that went
 * on from the replica.  A source that was switched over to the replica is refused as a whole.
 *
 * Calling sequence: scrub_repair_note() for all that a scrub finds; when that has ended,
 * scrub_repair_run(), once; scrub_repair_destroy().  Not thread safe.
 *
 * Durability: the image is flushed before the manifest is saved with its new stamp.  After a
 * crash between the two it looks like one that somebody has touched, and is copied in full by
 * the next sync.  So it does when an image was touched and isn't wholly mended.
 */
#ifndef TOOLS_SCRUB_REPAIR_H
#define TOOLS_SCRUB_REPAIR_H

#include "tools/scrub.h"

enum scrub_left {
	SCRUB_REPAIRED,
	SCRUB_LEFT_CHANGED,  /* the source has something else there */
	SCRUB_LEFT_SAME,     /* the source has the same there: it is the digest that is wrong */
	SCRUB_LEFT_UNKNOWN,  /* there is no digest to prove it by */
	SCRUB_LEFT_GONE,     /* there is no file to mend, in the replica */
	SCRUB_LEFT_NO_IMAGE, /* there is no such image in the source */
	SCRUB_LEFT_LINKED,   /* the file has hard links outside of the replica */
	SCRUB_LEFT_WRITTEN,  /* somebody has written to the file since it was published */
	SCRUB_LEFT_CHANGING, /* somebody changed the file while it was looked at */
	SCRUB_LEFT_SOURCE,   /* the source couldn't be read there */
};

/* A stable word for JSON, and text for people. */
const char *scrub_left_word(enum scrub_left left);
const char *scrub_left_text(enum scrub_left left);

struct scrub_repair {
	/* Each range that was noted, or the parts of it, each with what became of it. */
	void (*done)(void *arg, const struct scrub_found *part, enum scrub_left left);
	void *arg;
	uint64_t bytes_repaired, nleft; /* results */

	struct scrub_found *found; /* owned */
	size_t nfound, room;
};

/* 0 or -ENOMEM. */
int scrub_repair_note(struct scrub_repair *repair, const struct scrub_found *found);

/*
 * source: a source, mounted or not, a snapshot, or any directory that has the images by the same
 * names.  0: each range was told to done.  -ECANCELED, or another negative errno with a message in
 * err: then what had been mended is mended, and its image may look touched.
 */
int scrub_repair_run(struct scrub_repair *repair, const char *source, struct replica *replica,
		     struct bmf_error *err);

void scrub_repair_destroy(struct scrub_repair *repair);

#endif
