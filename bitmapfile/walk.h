/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.h - every name below a directory, without following a symlink
 *
 * Names that vanish or change their type while the walk goes on are left out
 * silently: a walk of a live tree is not one instant.  The top directory's
 * .mirrorfs is left out.  Other filesystems mounted below are entered.
 */
#ifndef BITMAPFILE_WALK_H
#define BITMAPFILE_WALK_H

#include "bitmapfile/error.h"
#include "bitmapfile/io.h"

#include <sys/stat.h>

struct bmf_walk_entry {
	const char *path; /* relative to the top, "a/b"; the top itself is "" */
	int dirfd;	  /* of the directory that holds it; -1 for the top itself */
	const char *name; /* in it */
	int fd;		  /* O_PATH descriptor of the thing itself; closed after visit */
	const struct stat *st;
};

/*
 * Calls visit for each, a directory before what is in it, in the byte order of
 * names, until it returns nonzero, which is then returned.  Otherwise 0 or the
 * -errno of the first directory that can't be read (err says which).  Descriptors are
 * used in proportion to the depth of the tree.
 */
int bmf_walk(const struct bmf_io *io, int top_fd,
	     int (*visit)(const struct bmf_walk_entry *entry, void *arg), void *arg,
	     struct bmf_error *err);

#endif
