/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * since.h - what a user calls a checkpoint of a source
 *
 * A word means, the first of these that there is:
 *
 *   1  the checkpoint of that name
 *   2  the checkpoint of that number
 *   3  the checkpoint whose UUID it is, or begins with (eight characters or more)
 *   4  the checkpoint that a replica is at, which is named as replicas_find() takes it
 *
 * A name never looks like one of 2 and 3 (bmf_checkpoint_name_ok()), nor like an absolute path.  A
 * replica in the directory "seed" is called "./seed" where a checkpoint has that name.
 */
#ifndef TOOLS_SINCE_H
#define TOOLS_SINCE_H

#include "bitmapfile/error.h"
#include "bitmapfile/state.h"

/*
 * *ret is borrowed from state, its name included.  0; -ENOENT: there is none; -ENOTUNIQ: it may be
 * any of several; -ENODATA: a replica that is at none that the source keeps.  The message says
 * which there are.
 */
int since_find(const struct bmf_state *state, const char *word, const struct bmf_checkpoint **ret,
	       struct bmf_error *err);

/* May a checkpoint be called that?  0 or -EINVAL, with a message. */
int since_check_name(const char *name, struct bmf_error *err);

#endif
