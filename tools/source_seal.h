/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source_seal.h - a source that is held, and sealed, by way of its mirrorfs or without one
 *
 * All return 0, or a negative errno with a message that says what became of the guests.  Not
 * thread safe.
 */
#ifndef TOOLS_SOURCE_SEAL_H
#define TOOLS_SOURCE_SEAL_H

#include "bitmapfile/seal_mark.h"
#include "tools/source_view.h"

/* -EROFS if it is sealed already; the message says since when, and to where it was switched over.
 */
int source_seal_check(const struct source_view *view, struct bmf_error *err);

/* Of a mounted one: nothing changes from here on, for timeout_ms at most (MFS_CONTROL_HOLD). */
int source_seal_hold(const struct source_view *view, uint64_t timeout_ms, struct bmf_error *err);
void source_seal_let_go(const struct source_view *view);

/*
 * Makes the mark, durably.  Of a mounted one, which has to be held: nobody will change it any more
 * (time_ns is the daemon's).  Of one that isn't, which has to be locked: whoever mounts it won't.
 */
int source_seal_set(const struct source_view *view, const struct bmf_seal *seal,
		    struct bmf_error *err);

/* Takes it back; -EINVAL: there was none. */
int source_seal_undo(struct source_view *view, struct bmf_error *err);

#endif
