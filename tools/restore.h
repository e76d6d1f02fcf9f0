/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore.h - makes a plain tree of a checkpoint that a replica is at, or was
 *
 * The engine of mirrorctl restore: no argv, no output.
 */
#ifndef TOOLS_RESTORE_H
#define TOOLS_RESTORE_H

#include "bitmapfile/error.h"
#include "bitmapfile/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct restore_result {
	struct bmf_uuid replica;
	uint64_t checkpoint;
	struct bmf_uuid checkpoint_uuid;
	uint64_t deltas;   /* that were applied */
	uint64_t nrefused; /* files of which not everything could be set; one example */
	char *first_refused;
	/* Images of the replica that have blocks which no sync has written; restored as they are.
	 */
	uint64_t ndamaged;
	char *first_damaged;
	uint64_t first_offset;
};

/*
 * at: a number or a UUID; NULL: what the replica is at.  out must not exist, or be an empty
 * directory.
 *
 * 0: it is all there, durably.  -ECANCELED when a signal asked to stop, or another negative errno,
 * with a message: then nothing is left of it; or, if it couldn't be removed, or the machine has
 * crashed, out has a file .mirrorfs, by which it is refused wherever a source or a replica is
 * wanted.  *ret is to be destroyed in any case.
 */
int restore(const char *dest, const char *at, const char *out, struct restore_result *ret,
	    struct bmf_error *err);
void restore_result_destroy(struct restore_result *result);

#endif
