/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clone.h - a file that shares its blocks with another: reflinks */
#ifndef TOOLS_CLONE_H
#define TOOLS_CLONE_H

/*
 * Makes the empty file to_fd, open for writing, what from_fd is; a change of the one isn't seen in
 * the other.  0; -EOPNOTSUPP where the filesystem has no such thing, or the two are on different
 * ones; another negative errno, for a reason.
 */
int clone_file(int to_fd, int from_fd);

/* 1: files in that directory can be cloned, 0: they can't; found by trying.  Or -errno. */
int clone_works(int dir_fd);

#endif
