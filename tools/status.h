/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.h - what is known of a directory that is a source, a replica or both
 *
 * The engine of mirrorctl status: no argv, no output.  Changes nothing.
 */
#ifndef TOOLS_STATUS_H
#define TOOLS_STATUS_H

#include "tools/checkpoints.h"
#include "tools/manifest.h"
#include "tools/points.h"
#include "tools/replicas.h"

#include "bitmapfile/error.h"
#include "bitmapfile/reason.h"
#include "bitmapfile/seal_mark.h"
#include "bitmapfile/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct status_image {
	char *path;
	uint64_t size;
	enum bmf_reason reason; /* NONE: it is tracked; else why it isn't */
	uint64_t armed_regions, armed_bytes, crash_bytes;
	uint64_t *dirty; /* bytes, for each of the state's cursors */
};

struct status {
	int64_t time_ns; /* when it was read */

	bool is_source;
	bool mounted;
	bool read_only;		 /* mounted, on a filesystem that is: whether or not a source */
	int pid;		 /* if mounted */
	struct bmf_state *state; /* of a source */
	struct status_image *images;
	size_t nimages, room;
	struct replicas replicas; /* of a source */
	struct points points;	  /* likewise */
	bool is_sealed;		  /* it was switched over: read-only */
	struct bmf_seal seal;	  /* then; without a label if it can't be read */

	/*
	 * Of a replica, which is to be shown also while a sync to it has the lock that its state as
	 * a source needs: there is one, it is in use (-EBUSY), and is_source is false.  Else code
	 * is 0.
	 */
	struct bmf_error in_use;

	bool is_replica;
	struct manifest manifest; /* of a replica */
	struct checkpoints kept;  /* likewise */
	bool to_recover;	  /* it has a journal that is to be published */
};

int status_read(const char *path, struct status *ret, struct bmf_error *err);

/* The sizes of a source's images, together. */
uint64_t status_bytes(const struct status *status);
/* The same of a source; of anything else -ENOENT. */
int status_read_source(const char *path, struct status *ret, struct bmf_error *err);
void status_destroy(struct status *status);

#endif
