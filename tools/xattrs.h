/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xattrs.h - the extended attributes of a file that a replica should have
 *
 * All of them, ACLs included, but for our own (user.mirrorfs.*) and those that
 * xattr.conf(5) says are not to be copied.  Descriptors may be O_PATH ones, of symlinks too.
 */
#ifndef TOOLS_XATTRS_H
#define TOOLS_XATTRS_H

#include <stdbool.h>
#include <stddef.h>

struct xattr {
	char *name;
	void *value;
	size_t nbytes;
};

struct xattrs {
	struct xattr *items; /* sorted by name */
	size_t n;
};

/* 0, with none where the filesystem has no xattrs; or a negative errno. */
int xattrs_read(int fd, struct xattrs *ret);
void xattrs_destroy(struct xattrs *xattrs);

/* A copy that xattrs_destroy() frees; 0 or -ENOMEM. */
int xattrs_copy(const struct xattrs *xattrs, struct xattrs *ret);

/* The first name in which they differ, or NULL. */
const char *xattrs_difference(const struct xattrs *a, const struct xattrs *b);

/*
 * Makes what fd is open on have those of want; have is what it has.  What the filesystem or
 * our rights don't allow is left out, and its name put into *ret_refused (the first
 * one; points into want or have).  Other failures: a negative errno.
 */
int xattrs_apply(int fd, const struct xattrs *want, const struct xattrs *have,
		 const char **ret_refused);

#endif
