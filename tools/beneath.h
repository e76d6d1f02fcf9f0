/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * beneath.h - opens paths below a directory, never following a symlink
 *
 * Directories of a source or a replica can belong to users who must not be able to
 * lead a sync astray by putting a symlink in its way.  Paths are relative, "a/b",
 * of any length; "" is the top itself.  Descriptors are close-on-exec.
 */
#ifndef TOOLS_BENEATH_H
#define TOOLS_BENEATH_H

#include <sys/types.h>

/* A descriptor or a negative errno (-ELOOP: there is a symlink in the way). */
int beneath_open(int top_fd, const char *path, int flags, mode_t mode);

/* An O_PATH descriptor of the directory that holds path, and the name in it. */
int beneath_parent(int top_fd, const char *path, const char **ret_name);

/* "/proc/self/fd/N": the thing itself that fd (O_PATH too) is open on. */
#define BENEATH_PROC 32
char *beneath_proc(int fd, char buf[BENEATH_PROC]);

/* Another open of what fd (O_PATH too) is open on.  A descriptor or a negative errno. */
int beneath_reopen(int fd, int flags);

#endif
