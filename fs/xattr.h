/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xattr.h - which extended attributes exist for those who come through the mount */
#ifndef FS_XATTR_H
#define FS_XATTR_H

#include "bitmapfile/store.h"

#include <stdbool.h>
#include <string.h>

/* XATTR_LIST_MAX and XATTR_SIZE_MAX of the kernel: no filesystem has more. */
#define MFS_XATTR_MAX 65536

/* Is it mirrorfs's own? */
static inline bool mfs_xattr_is_hidden(const char *name)
{
	return strncmp(name, BMF_XATTR_PREFIX, strlen(BMF_XATTR_PREFIX)) == 0;
}

#endif
