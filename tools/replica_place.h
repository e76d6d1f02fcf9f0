/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replica_place.h - may that directory be a replica's?
 *
 * Not where a sync would change its own source, or where another replica's would remove what it
 * made.  Messages name the way out.  Not thread safe.
 */
#ifndef TOOLS_REPLICA_PLACE_H
#define TOOLS_REPLICA_PLACE_H

#include "tools/source_view.h"

#include <stdbool.h>

/*
 * Opens DEST, apart from the source; makes it (not its parents), or *ret_fd is -1, when there is
 * none.  0 or a negative errno with a message.
 */
int replica_place_open(const char *path, const struct source_view *view, bool make, int *ret_fd,
		       struct bmf_error *err);

/*
 * Opens the directory that DEST is, or will be, in, O_PATH.  A descriptor, or a negative errno with
 * a message.
 */
int replica_place_open_parent(const char *path, struct bmf_error *err);

/* The same of one that there is, whatever its source. */
int replica_place_open_alone(const char *path, int *ret_fd, struct bmf_error *err);

/* Is a directory above fd a replica, or (self) fd itself?  A sync would remove what is in fd. */
bool replica_is_above(int fd, bool self);

#endif
