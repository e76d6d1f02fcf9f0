/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scrub.h - proves a replica by its digests, without its source
 *
 * The engine of mirrorctl scrub: no argv, no output.  Reads every block of every image.
 */
#ifndef TOOLS_SCRUB_H
#define TOOLS_SCRUB_H

#include "tools/replica.h"

enum scrub_what {
	SCRUB_DAMAGED, /* isn't what was written there */
	SCRUB_UNKNOWN, /* there is no digest to prove it by */
	SCRUB_LONGER,  /* the file has more than that */
	SCRUB_MISSING, /* the file is gone */
	SCRUB_UNREADABLE,
};

/* A stable word for JSON, and text for people. */
const char *scrub_word(enum scrub_what what);
const char *scrub_text(enum scrub_what what);

struct scrub_options {
	/* A range of bytes of an image, in ascending order. */
	void (*found)(void *arg, const char *path, enum scrub_what what, uint64_t offset,
		      uint64_t nbytes);
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* may be NULL */
	void *arg;
};

struct scrub_result {
	uint64_t images;
	uint64_t bytes_total;
	uint64_t bytes_proved, bytes_damaged, bytes_unknown; /* the latter: all other whats */
	double seconds;
};

/*
 * 0: all was read; the result tells how it went.  -ECANCELED, or another negative errno with a
 * message in err.  The replica's manifest is complete, and its lock is held.
 */
int scrub_run(const struct replica *replica, const struct scrub_options *options,
	      struct scrub_result *ret, struct bmf_error *err);

#endif
