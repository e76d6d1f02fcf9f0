/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * switched.h - what must not be written to after a switchover
 *
 * Guests run from the replica by then, most likely, and what they have written there would be
 * replaced by what the source had.  To be asked by whatever writes to a replica, with its lock
 * held: so is the mark made.  0, or a negative errno with a message.  Not thread safe.
 */
#ifndef TOOLS_SWITCHED_H
#define TOOLS_SWITCHED_H

#include "bitmapfile/state.h"

#include "tools/replica.h"
#include "tools/source_view.h"

/*
 * -EROFS: the source was switched over to this replica, or to one that this may be: as it is in the
 * same place, or was adopted, by which a replica may lose its UUID, or has content and none of the
 * source's cursors (state; NULL: whether it has isn't asked).  To others it is a source like any
 * other.  A mark that can't be read is one too.
 */
int switched_check(const struct source_view *view, const struct bmf_state *state,
		   const struct replica *replica, struct bmf_error *err);

/* The same before dest is opened, without a lock, so that one that is refused stays as it is. */
int switched_look(const struct source_view *view, const struct bmf_state *state, const char *dest,
		  bool copied, struct bmf_error *err);

/*
 * -EROFS: the replica is a source too, and was switched over itself, so that nothing changes in it;
 * verb is for the message.
 */
int switched_check_dest(const struct replica *replica, const char *verb, struct bmf_error *err);

#endif
