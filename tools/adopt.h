/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * adopt.h - makes a directory the replica of whichever source syncs to it next
 *
 * The engine of mirrorctl adopt: no argv, no output.  For a copy that somebody made by hand, a
 * replica whose source lost its state, and one whose own state is damaged: it says that nothing is
 * known of the replica but what is in its files.  Changes nothing but the replica's state.
 *
 * Not thread safe.
 */
#ifndef TOOLS_ADOPT_H
#define TOOLS_ADOPT_H

#include "bitmapfile/error.h"
#include "bitmapfile/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct adopt_result {
	struct bmf_uuid replica;
	uint64_t images; /* whose digests are known, as nobody has changed their files */
	/* There was a committed update that couldn't be published, and why; it is given up. */
	bool gave_up;
	struct bmf_error why;
};

/*
 * 0: it is adopted, durably.  -ECANCELED: a signal asked to stop.  Other negative errnos, with a
 * message: of a directory that is a source, was switched over, or can't be a replica's, or of a
 * committed update that can be published, but not now.  Then what was there is there still.
 */
int adopt_run(const char *path, struct adopt_result *ret, struct bmf_error *err);

#endif
