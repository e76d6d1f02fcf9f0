/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * meta.h - what a file is besides its content: mode, owner, times, xattrs and ACLs
 *
 * Descriptors may be O_PATH ones, of symlinks too.  Only what a sync may set is
 * compared: without root's rights that is not the owner, and only those groups that the
 * user is in.  Access times are copied along with modification times, and not compared.
 */
#ifndef TOOLS_META_H
#define TOOLS_META_H

#include "tools/xattrs.h"

#include <stdbool.h>
#include <sys/stat.h>

struct meta {
	struct stat st;
	struct xattrs xattrs;
};

#define META_MODE 1u
#define META_OWNER 2u
#define META_GROUP 4u
#define META_MTIME 8u
#define META_XATTRS 16u

int meta_read(int fd, struct meta *ret);
void meta_destroy(struct meta *meta);

/* In what do they differ?  META_ bits. */
unsigned int meta_compare(const struct meta *source, const struct meta *dest);

/* What was left undone, because the filesystem or our rights don't allow it. */
struct meta_refusal {
	unsigned int what; /* META_ bits */
	const char *xattr; /* if META_XATTRS; belongs to source or dest */
	int error;	   /* a negative errno, if META_OWNER or META_MODE */
};

/*
 * Gives what fd is open on the metadata of source, where it differs.  0 or a negative
 * errno.  *dest is what fd has, and is read anew; fields that it was given before are freed.
 */
int meta_apply(const struct meta *source, int fd, struct meta *dest, struct meta_refusal *ret);

#endif
