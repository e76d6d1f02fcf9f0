/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_internal.h - what sync.c, sync_data.c and sync_result.c share */
#ifndef TOOLS_SYNC_INTERNAL_H
#define TOOLS_SYNC_INTERNAL_H

#include "tools/copy.h"
#include "tools/meta.h"
#include "tools/names.h"
#include "tools/plan.h"
#include "tools/replica.h"
#include "tools/sync.h"

struct sync {
	const struct sync_options *options;
	struct source_view view;
	struct replica replica;
	struct tree *source, *dest;
	struct plan *plan;
	struct name_steps steps;
	struct copy copy;
	uint64_t ticked;		     /* bytes reported as progress */
	uint64_t nowner, nxattrs, nvanished; /* things left undone, for one warning each */
	char *first_owner, *first_xattrs, *first_vanished; /* one example each */
	bool untrackable; /* the checkpoint found images that can't get an id */
	bool flush_all;	  /* one syncfs at the end, instead of an fsync for each file */
	struct sync_result *result;
	struct bmf_error *err;
};

int sync_warn(struct sync_result *result, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Adds a full copy; path is copied.  0 or -ENOMEM. */
int sync_note_full(struct sync_result *result, const char *path, unsigned int reason);

/* Content and metadata of every file that needs it; in a dry run only counts. */
int sync_files(struct sync *sync);

/* Metadata of the directories, the deepest first. */
int sync_directories(struct sync *sync);

/* Everything that was changed is on stable storage. */
int sync_flush(struct sync *sync);

#endif
