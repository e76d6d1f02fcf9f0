/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.h - which image a file is, and whether it is still as it was
 *
 * An image carries its UUID in the xattr user.mirrorfs.id (36 characters), so
 * renames and hard links need nothing.  A copy carries it too; what tells a copy
 * from its original is the stamp: inode number and file handle.
 *
 * Thread safe.  Descriptors may be O_PATH.
 */
#ifndef BITMAPFILE_IDENTITY_H
#define BITMAPFILE_IDENTITY_H

#include "bitmapfile/io.h"
#include "bitmapfile/sidecar.h"
#include "bitmapfile/uuid.h"

/* 0; -ENODATA: it has none; -EINVAL: it has something else; other errors of fgetxattr. */
int bmf_identity_read(const struct bmf_io *io, int fd, struct bmf_uuid *ret);

/* Not durable before the next fsync of the file. */
int bmf_identity_write(const struct bmf_io *io, int fd, const struct bmf_uuid *id);

/* Size, times and identity of an open file. */
int bmf_stamp_take(const struct bmf_io *io, int fd, struct bmf_stamp *ret);

/* As in a stamp: a time beyond what fits wraps, and still compares equal. */
int64_t bmf_stamp_time(const struct timespec *time);

/* Is it the same file (inode and handle), whatever its content? */
bool bmf_stamp_same_file(const struct bmf_stamp *a, const struct bmf_stamp *b);

/* Is it the same file with the same size, mtime and ctime? */
bool bmf_stamp_equal(const struct bmf_stamp *a, const struct bmf_stamp *b);

#endif
