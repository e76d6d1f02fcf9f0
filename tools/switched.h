/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * switched.h - whom a source that was switched over must not write to any more
 *
 * Guests run from the replica by then, most likely, and what they have written there would be
 * replaced by what the source had.  To be asked by whatever writes to a replica, with its lock
 * held: so is the mark made.  0, or a negative errno with a message.  Not thread safe.
 */
#ifndef TOOLS_SWITCHED_H
#define TOOLS_SWITCHED_H

#include "tools/replica.h"
#include "tools/source_view.h"

/* -EROFS: the source was switched over to this replica.  A mark that can't be read is one too. */
int switched_check(const struct source_view *view, const struct replica *replica,
		   struct bmf_error *err);

#endif
