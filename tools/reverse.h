/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reverse.h - what an update of a replica is about to overwrite, as a delta that leads back
 *
 * It is a delta stream (stream.h) from the checkpoint that the update leads to, to the one that
 * the replica is at.  Of an image that the update changes by bitmap it has the old content of
 * those blocks; of one that is replaced or removed, all of it.  It is staged with the update, as
 * .mirrorfs/staging/reverse, and gets to its place (checkpoints.h) when that is published: so there
 * is no update without it, and none that is of no update.
 */
#ifndef TOOLS_REVERSE_H
#define TOOLS_REVERSE_H

#include "tools/sync_internal.h"

#define REVERSE_NAME "reverse"

/*
 * Writes it into the directory staging_fd, durably but for its name; the plan is not changed any
 * more after that.  0 or a negative errno, with a message.
 */
int reverse_stage(struct sync *sync, int staging_fd, const struct bmf_state *state);

/*
 * The update is to be published: what is staged with it gets to its place, durably, as what leads
 * to checkpoint number.  That there is nothing, or not any more, is fine.
 */
int reverse_publish(const struct replica *replica, int staging_fd, uint64_t number,
		    struct bmf_error *err);

#endif
