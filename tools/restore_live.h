/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore_live.h - the replica's own images, as far as a restore may rely on them
 *
 * One that is as it was published is used; what its digests find damaged in it is counted, as the
 * rest may be all that there is.  One that isn't, because it was changed, or because the
 * replica is a copy, is used only if its digests prove all of it.
 *
 * Not thread safe.
 */
#ifndef TOOLS_RESTORE_LIVE_H
#define TOOLS_RESTORE_LIVE_H

#include "tools/replica.h"

struct restore_live {
	const struct replica *replica; /* complete, and locked; borrowed */
	const struct tree *tree;       /* its own, with stamps; borrowed */
	struct bmf_error *err;
	/* Images that have damaged blocks; the first of both. */
	uint64_t ndamaged;
	char *first_damaged; /* owned */
	uint64_t first_offset;
};

/*
 * The file of an image of the manifest, O_RDONLY; or a negative errno, with a message: -ESTALE if
 * it isn't to be relied on; -ECANCELED when a signal asked to stop.
 */
int restore_live_open(struct restore_live *live, const struct manifest_image *image);

#endif
