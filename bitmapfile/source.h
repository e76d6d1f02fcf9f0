/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source.h - a source that is open for tracking: its state and all its trackers
 *
 * One is opened by the daemon for as long as it is mounted, and by mirrorctl for
 * a moment when nothing is mounted.  Calling sequence:
 *
 *   bmf_source_open
 *     bmf_source_track ... (see tracker.h) ... bmf_tracker_put
 *     bmf_source_keep         every few seconds, from one thread
 *     bmf_source_renew        every five seconds at least, from another
 *     a rollover, at most one at a time (the caller serialises):
 *       <no write is in flight>   the caller's gate
 *       bmf_source_advance        memory only, microseconds
 *       <writes go on>
 *       bmf_source_commit         durable: the atomic point
 *     bmf_source_arrived      the replica is durable at a checkpoint
 *   bmf_source_close
 *
 * Crash behaviour.  Before commit has made the state durable, a crash leaves the
 * old generation going on: whatever was written after advance lies in armed
 * regions or has its bit in a saved sidecar under the old generation's number.  After it,
 * the new generation has begun; armed regions count for both.
 *
 * Thread safe except where said.  Lock order: see source.c.
 */
#ifndef BITMAPFILE_SOURCE_H
#define BITMAPFILE_SOURCE_H

#include "bitmapfile/error.h"
#include "bitmapfile/io.h"
#include "bitmapfile/state.h"
#include "bitmapfile/store.h"

#include <sys/stat.h>

struct bmf_source;
struct bmf_tracker;

struct bmf_source_options {
	unsigned int block_shift;  /* 0: as the source has it, or the default */
	unsigned int region_shift; /* 0: the default */
	bool create;		   /* make the state directory when there is none */
	const char *holder;	   /* for the lock: see bmf_store_open() */
	/* Called with each thing worth telling that is no failure of a call; may be NULL. */
	void (*notice)(void *arg, const char *text);
	void *notice_arg;
};

/*
 * Takes the source's lock.  source_fd is borrowed.  Errors as bmf_store_open(),
 * -EOPNOTSUPP when the filesystem has no user xattrs.  A damaged state file is no
 * error: the source keeps its UUID, begins anew with no checkpoint and no sidecar, and
 * a notice says so; one from a newer version is (-EPROTONOSUPPORT).
 *
 * Takes no longer with many images, unless it finds that the clock was set back after a crash: then
 * those that were changed after what is now the time are saved (sessions.h).
 */
int bmf_source_open(const struct bmf_io *io, int source_fd,
		    const struct bmf_source_options *options, struct bmf_source **ret,
		    struct bmf_error *err);

/*
 * Saves everything, cleanly; no tracker may be in use.  0, or the first error:
 * what couldn't be saved is dirty at the next open.  The source is freed in any case.
 */
int bmf_source_close(struct bmf_source *source);

/* A descriptor of the state directory; the source's own. */
int bmf_source_dir_fd(const struct bmf_source *source);
/* log2 of the size of a block in bytes. */
unsigned int bmf_source_block_shift(const struct bmf_source *source);

/* A copy of the state as it is now, that the caller frees. */
int bmf_source_state(struct bmf_source *source, struct bmf_state **ret);

/* Begins a new generation in memory.  No write may be in flight. */
void bmf_source_advance(struct bmf_source *source);

/* The current generation; its number is that of the checkpoint which commit makes of it. */
uint64_t bmf_source_generation(struct bmf_source *source);

struct bmf_commit {
	struct bmf_checkpoint checkpoint; /* name is NULL */
	uint64_t images;		  /* regular files in the source */
	uint64_t adopted;		  /* of these, got their id and sidecar now */
	uint64_t untrackable;		  /* of these, couldn't get one */
};

/*
 * Makes the generation that advance began durable: the new checkpoint in the state
 * (pending for `replica`, unless that is NULL or none), then the sidecars of all images that
 * changed before it, then ids and sidecars for images that had none.  When it returns 0
 * a reader finds all bits before the checkpoint in the sidecars.  label (may be NULL) is
 * where the replica is, for people.
 *
 * A commit for a replica supersedes an earlier one for it: so where the replica
 * is at a checkpoint already, bmf_source_arrived() is called first.  That is what the
 * source didn't hear of when a sync died after the replica was durable.
 *
 * On failure the checkpoint does not exist, or nobody knows of it; the generation
 * goes on being tracked, and a later advance and commit work.
 */
int bmf_source_commit(struct bmf_source *source, const struct bmf_uuid *replica, const char *label,
		      struct bmf_commit *ret, struct bmf_error *err);

/*
 * Saves every sidecar whose bits are newer in memory, and those that a crash left, so that a
 * reader sees all that has changed.
 */
int bmf_source_flush(struct bmf_source *source);

/*
 * The replica is durable at that checkpoint: moves its cursor, durably, and lets
 * go of generations that nobody needs any more.  -ENOENT: not a checkpoint of
 * this source.
 */
int bmf_source_arrived(struct bmf_source *source, const struct bmf_uuid *replica,
		       const struct bmf_checkpoint *checkpoint, const char *label);

/*
 * Forgets a replica, durably, and lets go of the generations that nobody else needs.  Their
 * bits leave a sidecar when it is next written; by then their checkpoint is gone from the
 * state, so that the replica isn't updated by what is left of them when it comes back (I1).
 * A sync to it that is running makes it known again.  -ENOENT: not a replica of this source.
 */
int bmf_source_forget(struct bmf_source *source, const struct bmf_uuid *replica);

/*
 * Names a checkpoint, durably, so that it is kept; NULL takes its name away, and lets go of what
 * nobody else needs, as bmf_source_forget() does.  Errors as bmf_state_name(): between its commit
 * and this, a checkpoint that no replica needs is dropped by the next commit (-ENOENT).
 */
int bmf_source_name(struct bmf_source *source, const struct bmf_checkpoint *checkpoint,
		    const char *name);

/*
 * Around each rename and link, of files and directories: what moves while somebody looks
 * at the tree may not be found there, and still isn't gone.  Calls pair up, in one
 * thread.  begin may wait for a commit that looks at the tree, for as long as a walk takes.
 */
void bmf_source_move_begin(struct bmf_source *source);
void bmf_source_move_end(struct bmf_source *source);

/* Who looks at the tree has seen all of it if no move has begun but those that had ended before. */
struct bmf_moves {
	uint64_t begun, ended;
};
struct bmf_moves bmf_source_moves(struct bmf_source *source);

/*
 * One pass of upkeep: disarms regions that rest, cleans sidecars of images that
 * nobody has open, frees what is not needed.  Called by one thread every few seconds.
 */
void bmf_source_keep(struct bmf_source *source);

/*
 * Notes that the source is still watched (sessions.h), if anything is in use: at least every
 * five seconds.  bmf_source_keep() does it too.
 */
void bmf_source_renew(struct bmf_source *source);

/*
 * The tracker of the image open as fd (O_PATH will do), made if need be; a reference
 * that bmf_tracker_put() gives back.  On failure the image must not be changed (I1).
 */
int bmf_source_track(struct bmf_source *source, int fd, struct bmf_tracker **ret);

/* Is there a tracker of that file?  Who changes an image holds one. */
bool bmf_source_has(struct bmf_source *source, const struct stat *st);

/* How many trackers have left since it was opened: as long as that is the same, none has. */
uint64_t bmf_source_departed(struct bmf_source *source);

/*
 * To be called before a name of the image that is open as fd goes.  A checkpoint that is being
 * made has the image yet, so it leaves it its sidecar: the next one removes it.  Does nothing
 * while no checkpoint is being made; where it fails the image is copied in full.
 */
void bmf_source_unlinking(struct bmf_source *source, int fd);

/*
 * The last name of that image is gone, so nothing need be saved of it any more.  Its sidecar
 * goes at the next checkpoint: until then a crash may bring the image back.
 */
void bmf_source_unlinked(struct bmf_source *source, const struct stat *st);

#endif
