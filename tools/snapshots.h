/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshots.h - the snapshots of a mounted source, as its daemon tells of them
 *
 * They are made by source_view_commit().  Errors have a message, and the way out in it.
 */
#ifndef TOOLS_SNAPSHOTS_H
#define TOOLS_SNAPSHOTS_H

#include "tools/source_view.h"

/* A source that is mounted and can have snapshots; anything else is refused. */
int snapshots_open(const char *path, struct source_view *ret, struct bmf_error *err);

struct snapshots_list {
	struct mfs_control_snapshot_info *items; /* in order of checkpoints */
	size_t n, room;
};

int snapshots_list(struct source_view *view, struct snapshots_list *ret, struct bmf_error *err);
void snapshots_list_destroy(struct snapshots_list *list);

/* Not one that a sync reads. */
int snapshots_delete(struct source_view *view, const char *name, struct bmf_error *err);

/* The absolute path at which one is found; the caller frees it.  NULL: no memory. */
char *snapshots_path(const struct source_view *view, const char *name);

/* May that be the name of one (see fs/snapshot.h)? */
int snapshots_check_name(const char *name, struct bmf_error *err);

#endif
