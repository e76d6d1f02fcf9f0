/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mounts.h - where mirrorfs is mounted, by /proc/self/mountinfo
 *
 * Only for messages and for refusals: nothing that is reported here is needed to
 * copy right.
 */
#ifndef TOOLS_MOUNTS_H
#define TOOLS_MOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Reads one line of mountinfo.  True if it is one of a mirrorfs; then *ret_point
 * is its mount point, unescaped, that the caller frees.
 */
bool mounts_parse(const char *line, dev_t *ret_dev, char **ret_point);

/* The mount point of the mirrorfs that has this st_dev, or NULL; the caller frees it. */
char *mounts_of_dev(dev_t dev);

/* The mount point of a mirrorfs that text names as a whole word, or NULL; likewise. */
char *mounts_named_in(const char *text);

#endif
