/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync_anew.h - images that are written anew where the replica's filesystem can't clone them
 *
 * What goes into a journal is written, read to be proved, read to be published, and written once
 * more.  From one half of an image's data on it is less work to write a new file: what has changed
 * from the source, the rest from the replica's file, whose place it takes.
 *
 * Internal to the sync engine (sync_internal.h).  Not thread safe.
 */
#ifndef TOOLS_SYNC_ANEW_H
#define TOOLS_SYNC_ANEW_H

#include "tools/sync_internal.h"

/*
 * Does it pay, of an image that is brought up to date by bitmap?  Counted is data, not holes. room:
 * bytes that are free there for what hasn't changed; *ret_kept: how many of them it takes.  A file
 * that can't be asked is a no: whoever copies it will say why.
 */
bool sync_anew_pays(struct sync *sync, const struct plan_node *node, uint64_t room,
		    uint64_t *ret_kept);

/*
 * Fills the staged file that sync->copy writes to; its digests go to the directory dir_fd.  Errors
 * have a message.
 */
int sync_anew_fill(struct sync *sync, const struct plan_node *node, int dir_fd);

#endif
