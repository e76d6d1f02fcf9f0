/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * counterpart.h - what the replica has of a file that is planned, opened to be changed
 *
 * A replica's directory may belong to a user who puts other files into it while a sync goes on,
 * such as a link to somebody else's.  So it is opened by its path, and then looked at: it is
 * written to if it is the very file that the plan is about, or that was made since.
 */
#ifndef TOOLS_COUNTERPART_H
#define TOOLS_COUNTERPART_H

#include "tools/plan.h"

/* An O_PATH descriptor, or a negative errno; -ESTALE: there is another file by now. */
int counterpart_open(int dest_fd, const struct plan_node *node);

/* The same O_RDWR.  It may be read-only by its mode: its owner can change that for a while. */
int counterpart_open_rw(int dest_fd, const struct plan_node *node);

/*
 * Did somebody else change what is in a regular file since it had that stamp?  To be asked where
 * only its names and metadata are ours to change: of these its mtime, to that one.
 */
bool counterpart_is_touched(const struct bmf_stamp *was, const struct timespec *mtime,
			    const struct bmf_stamp *now);

/* Says in err that one of these failed with code, and what to do; returns code. */
int counterpart_fail(struct bmf_error *err, const char *top, const struct plan_node *node,
		     int code);

#endif
