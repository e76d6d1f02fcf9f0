/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.h - compares two trees: names, kinds, metadata, links and content
 *
 * The engine of mirrorctl verify: no argv, no output but progress.h's.  Reads only; needs neither
 * bitmaps nor a manifest.  Where there are digests to be believed, content is compared by them, and
 * what has another digest, or an unknown one, by its bytes.
 */
#ifndef TOOLS_VERIFY_H
#define TOOLS_VERIFY_H

#include "tools/filter.h"

#include "bitmapfile/error.h"

#include <stdbool.h>
#include <stdint.h>

#define VERIFY_BLOCK 65536 /* in which differing content is counted where there are no digests */

struct verify_options {
	bool deep;	       /* digests aren't looked at */
	struct filter *filter; /* what of the source is compared; NULL: all */
	unsigned int threads;  /* that read; 0: as many as disks like */
	/*
	 * A difference: what is a stable word ("content", "mode", ...), text tells the details.
	 * path belongs to the caller of the call-back.
	 */
	void (*differs)(void *arg, const char *path, const char *what, const char *text);
	void *arg;
};

struct verify_result {
	uint64_t entries, images, differences;
	uint64_t bytes_total, bytes_compared; /* compared: where either has data */
	uint64_t bytes_by_digest;	      /* of which only the source was read */
	double seconds;
};

/* 0: it was compared; result->differences tells how that went.  -ECANCELED, or an errno. */
int verify_run(const char *source, const char *dest, const struct verify_options *options,
	       struct verify_result *ret, struct bmf_error *err);

#endif
