/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoints_internal.h - what the files of checkpoints.h share */
#ifndef TOOLS_CHECKPOINTS_INTERNAL_H
#define TOOLS_CHECKPOINTS_INTERNAL_H

#include "tools/checkpoints.h"

#define CHECKPOINTS_DOCUMENT "checkpoint" /* in a tree's .mirrorfs */

/* The document of a tree; the buffer is the caller's to free. */
int checkpoints_encode(const struct bmf_uuid *replica, const struct checkpoint *checkpoint,
		       void **ret_buf, size_t *ret_nbytes);

#endif
