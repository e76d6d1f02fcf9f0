/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scrub.h - proves a replica by its digests, without its source
 *
 * The engine of mirrorctl scrub: no argv, no output but progress.h's.  Reads every block of every
 * image.
 */
#ifndef TOOLS_SCRUB_H
#define TOOLS_SCRUB_H

#include "tools/replica.h"

enum scrub_what {
	SCRUB_DAMAGED, /* isn't what was written there */
	SCRUB_UNKNOWN, /* there is no digest to prove it by */
	SCRUB_LONGER,  /* the file has more than that */
	SCRUB_SHORTER, /* the file ends before that; blocks there that held data are damaged as well
			*/
	SCRUB_MISSING, /* the file is gone */
	SCRUB_UNREADABLE,
};

/* A range of bytes of an image. */
struct scrub_found {
	const struct manifest_image *image;
	struct bmf_stamp as_read; /* its file when it was opened to be read; none: all zero */
	enum scrub_what what;
	uint64_t offset, nbytes;
};

/* A stable word for JSON, and text for people. */
const char *scrub_word(enum scrub_what what);
const char *scrub_text(enum scrub_what what);

struct scrub_options {
	/* Image after image, in each in ascending order, the end of its file last. */
	void (*found)(void *arg, const struct scrub_found *found);
	void *arg;
	unsigned int threads; /* that read; 0: as many as disks like */
};

struct scrub_result {
	uint64_t images;
	uint64_t nfound; /* calls of found; 0: all is proved */
	uint64_t bytes_total;
	uint64_t bytes_proved, bytes_damaged, bytes_unknown; /* but ends of files */
	double seconds;
};

/*
 * 0: all was read; the result tells how it went.  -ECANCELED, or another negative errno with a
 * message in err.  The replica's manifest is complete, and its lock is held.
 */
int scrub_run(const struct replica *replica, const struct scrub_options *options,
	      struct scrub_result *ret, struct bmf_error *err);

#endif
