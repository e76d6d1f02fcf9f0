/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sync_internal.h - what the files of the sync engine share */
#ifndef TOOLS_SYNC_INTERNAL_H
#define TOOLS_SYNC_INTERNAL_H

#include "tools/copy.h"
#include "tools/meta.h"
#include "tools/names.h"
#include "tools/plan.h"
#include "tools/replica.h"
#include "tools/resync.h"
#include "tools/sync.h"

#define SYNC_BUFFER ((size_t)1 << 20)

struct sync {
	const struct sync_options *options;
	struct source_view view;
	struct replica replica;
	struct tree *source, *dest;
	struct plan *plan;
	struct name_steps steps;
	int digests_fd; /* DEST/.mirrorfs/digests; -1 in a dry run */
	struct copy copy;
	struct copy *rest; /* where what isn't copied of an image comes from too; usually NULL */
	void *buffer;	   /* SYNC_BUFFER bytes, for what isn't a copy */
	struct source_image image; /* that is copied at the moment */
	bool everything;	   /* the source preserves all blocks: see lost */
	bool lost;	 /* a block was needed that the source didn't think so of, and let go of */
	uint64_t ticked; /* bytes reported as progress */
	uint64_t nowner, nxattrs, nvanished; /* things left undone, for one warning each */
	char *first_owner, *first_xattrs, *first_vanished; /* one example each */
	bool keep_trees;  /* of checkpoints: the replica's filesystem can clone */
	bool keep_delta;  /* back to the checkpoint that the replica is at */
	bool busy;	  /* another has the replica's lock */
	bool fresh;	  /* the source was none before, or will be one */
	bool untrackable; /* the checkpoint found images that can't get an id */
	bool flush_all;	  /* one syncfs at the end, instead of an fsync for each file */
	struct sync_result *result;
	struct bmf_error *err;
};

int sync_warn(struct sync_result *result, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool sync_has_warned(const struct sync_result *result, const char *text);

/* Adds a full copy; path is copied.  0 or -ENOMEM. */
int sync_note_full(struct sync_result *result, const char *path, unsigned int reason,
		   bool by_digest);

/*
 * The source was read, with r: 0, or a negative errno and a message in err.  Returns that, unless
 * the snapshot has broken, or is gone: then it is the cause of whatever failed, nothing that was
 * read can be relied on, and err says so.
 */
int sync_explain(struct sync *sync, int r);

/*
 * All was read, and nothing of it has been called the checkpoint yet: is it that?  0, or a negative
 * errno and a message: the snapshot isn't there any more, or, where there never was one, an image
 * was changed while it was read (-EBUSY), so that what was copied may be torn (I2).
 */
int sync_confirm(struct sync *sync);

/* r, and in err what to do about it if it is that the replica's disk is full. */
int sync_explain_full(struct sync *sync, int r);

/* Is it one of several that belong together, and not the first of them? */
static inline bool sync_goes_on(const struct sync *sync)
{
	return sync->options->pair && !bmf_uuid_is_none(&sync->options->pair->source);
}

/* What of the source is there to begin with: its state, NULL in a dry run of one without. */
int sync_open_source(struct sync *sync, const char *source, const char *dest,
		     struct bmf_state **ret_state);
int sync_open_dest(struct sync *sync, const char *dest, const struct bmf_state *state);

/* sync_seed.c: would sync_since() refuse it?  Changes nothing in it; before its lock is taken. */
int sync_check_copy(struct sync *sync, const char *dest, const struct bmf_state *state);

/*
 * With the option: what isn't a replica yet becomes one, durably, at the checkpoint that it is a
 * copy of; in a dry run in memory.  Of one that is complete, or was adopted, it warns.
 */
int sync_since(struct sync *sync, const struct bmf_state *state);

/* Is the manifest's checkpoint one that the source has? */
bool sync_knows(const struct bmf_state *state, const struct manifest *manifest);

/* Y1, Y2, and the state that results; in a dry run only the number that there would be. */
int sync_checkpoint(struct sync *sync, struct bmf_state **state);

/* Would sync_plan() refuse the patterns?  Before anything is made, on either side. */
int sync_check_filter(struct sync *sync);

/* Y3 */
int sync_plan(struct sync *sync, const struct bmf_state *state);
int sync_note_full_copies(struct sync *sync);
void sync_forget_plan(struct sync *sync);

static inline const char *sync_path(const struct plan_node *node)
{
	return node->source->first->path;
}

/* sync_source.c */

/* So many bytes more have been looked at; a struct copy's tick, for which arg is the sync. */
void sync_tick(void *arg, uint64_t nbytes);

int sync_fail_source(struct sync *sync, const struct plan_node *node, int code, const char *verb);

/* Does that error say that the source's file has left?  In a snapshot nothing does. */
bool sync_is_gone(const struct sync *sync, int code);

/* It left while we worked: the next sync will see what became of it.  0. */
int sync_vanish(struct sync *sync, struct plan_node *node);

/* Opens sync->image, to be closed by source_image_close().  No message. */
int sync_open_image(struct sync *sync, const struct plan_node *node);

/* What is in the source's cache of sync->image is on its disk: before it is read (I1). */
int sync_flush_image(struct sync *sync, const struct plan_node *node);

/*
 * Hands what the plan wants of sync->image, up to size, to sync->copy's sink; of one that is copied
 * in full only what resync finds to differ, if that isn't NULL.
 */
int sync_copy(struct sync *sync, const struct plan_node *node, uint64_t size,
	      const struct resync *resync);

/*
 * sync_digests.c: the same as sync_copy, and the image's digests in the directory dir_fd.  If the
 * plan says "by digest", sync->copy.old_fd is what the replica has.
 */
int sync_copy_image(struct sync *sync, const struct plan_node *node, int dir_fd, uint64_t size);

/* sync_stage.c: writes and commits the journal of an update; nothing else has been changed. */
int sync_stage(struct sync *sync, const struct bmf_state *state);

/*
 * sync_keep.c: would sync_keep_begin() refuse the options?  Asked of what is no replica yet, before
 * it becomes one: `look` is as it was found.
 */
int sync_keep_check(struct sync *sync, const struct replica *look);

/* Before anything in the replica is changed, and when it is complete at the new one.
 */
int sync_keep_begin(struct sync *sync, const struct bmf_state *state);
int sync_keep_end(struct sync *sync, const struct bmf_state *state);

/* When the checkpoint was made that the replica is at; or else when it got there. */
int64_t sync_time_of(const struct sync *sync, const struct bmf_state *state);

/* sync.c: publishes what is committed, if anything is. */
int sync_publish(struct sync *sync);

/* sync_data.c */

/* Content and metadata of every file that needs it; in a dry run only counts. */
int sync_files(struct sync *sync);

/* Metadata of the directories, the deepest first. */
int sync_directories(struct sync *sync);

/* Everything that was changed is on stable storage. */
int sync_flush(struct sync *sync);

#endif
