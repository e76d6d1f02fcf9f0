/* SPDX-License-Identifier: GPL-2.0-or-later */
/* restore_deltas.h - makes the tree of a checkpoint that deltas lead back to */
#ifndef TOOLS_RESTORE_DELTAS_H
#define TOOLS_RESTORE_DELTAS_H

#include "tools/checkpoints.h"
#include "tools/restore_live.h"
#include "tools/tree_make.h"

/*
 * In the empty directory fd, from deltas and what live has.  make is filled, and the caller's to
 * destroy in any case; *ret_deltas: how many were applied.  0 or a negative errno, with a message;
 * -ECANCELED when a signal asked to stop.
 */
int restore_deltas(struct restore_live *live, const struct checkpoints *kept,
		   const struct checkpoint *target, struct tree_make *make, const char *path,
		   int fd, uint64_t *ret_deltas, struct bmf_error *err);

#endif
