/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source_listed.h - the images of a snapshot, as its daemon has them open
 *
 * Asked for all of them at once: to open each, ask, and close it again would be four requests an
 * image.  Internal to source_view.c.  Not thread safe.
 */
#ifndef TOOLS_SOURCE_LISTED_H
#define TOOLS_SOURCE_LISTED_H

#include "fs/control.h"

#include <stddef.h>

struct source_listed {
	struct mfs_control_listed *images; /* by inode; owned */
	size_t n;
};

/* mount_fd: of the mount's root.  0 or a negative errno. */
int source_listed_read(int mount_fd, const char *snapshot, struct source_listed *ret);
void source_listed_destroy(struct source_listed *listed);

/* By its inode number in the snapshot; NULL: there is none. */
const struct mfs_control_listed *source_listed_find(const struct source_listed *listed,
						    uint64_t inode);

#endif
