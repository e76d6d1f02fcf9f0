/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source_view.h - a source as mirrorctl sees it: mounted, or not
 *
 * A mounted one belongs to its daemon, which is asked over fs/control.h.  A checkpoint of it
 * is a snapshot as well: names, metadata and content are read from that, so that nothing
 * moves meanwhile.  One that is not mounted is locked for as long as the view is open, so
 * it can't be mounted then.
 *
 * Calling sequence: source_view_locate (finds out what path is, touches nothing), then
 * one of source_view_track and source_view_read if bitmaps are wanted, then the rest.
 * Not thread safe.
 */
#ifndef TOOLS_SOURCE_VIEW_H
#define TOOLS_SOURCE_VIEW_H

#include "bitmapfile/error.h"
#include "bitmapfile/history.h"
#include "bitmapfile/source.h"
#include "fs/control.h"
#include "tools/source_image.h"
#include "tools/source_listed.h"

#include <stdbool.h>

struct source_view {
	const char *path; /* as given; borrowed */
	int fd;		  /* the source directory itself, readable */
	int tree_fd;	  /* the tree to be read: fd, or the top of the snapshot that commit made */
	char snapshot[MFS_SNAPSHOT_NAME_MAX + 1]; /* its name; "": there is none */
	struct bmf_uuid checkpoint;		  /* that commit made */
	struct source_listed listed;		  /* its images, once one was asked for */
	int mount_fd;				  /* -1: not mounted */
	bool read_only;		      /* mounted, on a filesystem that can't be written to */
	struct mfs_control_info info; /* if mounted */
	struct bmf_source *source;    /* not mounted, and opened by source_view_track */
	struct bmf_store *store;      /* NULL: no state directory */
	uint64_t crashed_at;
	/* Told of things that are no failure; may be NULL. */
	void (*notice)(void *arg, const char *text);
	void *notice_arg;
};

struct source_view_request {
	const struct bmf_uuid *replica; /* the checkpoint is pending for it; NULL: for nobody */
	const char *label;		/* where that is; NULL: nobody knows */

	/* Of a mounted source, the snapshot; see MFS_CONTROL_COMMIT. */
	const char *name; /* NULL: it goes with the view, which reads it */
	bool reads;	  /* the view reads it also if it has a name, and stays */
	uint64_t from;
	const struct bmf_uuid *whole;
	size_t nwhole;

	/*
	 * Called as soon as the instant is over, long before the checkpoint is durable; not at all
	 * if none was reached.  In the thread that commits; NULL: nobody wants to know.
	 */
	void (*reached)(void *arg);
	void *reached_arg;
};

struct source_view_commit {
	struct bmf_checkpoint checkpoint; /* name is NULL */
	uint64_t gate_ns;		  /* how long writes were held; 0 if not mounted */
	uint64_t names_ns;		  /* likewise, changes of names and metadata */
	uint64_t images;
	uint64_t untrackable; /* images that couldn't get an id */
};

/* Errors have a message, and the way out in it. */
int source_view_locate(const char *path, struct source_view *ret, struct bmf_error *err);

/* The same of a directory that is only read as a tree: it may also be (in) a snapshot. */
int source_view_locate_tree(const char *path, struct source_view *ret, struct bmf_error *err);

/* Is it a source already?  In doubt, yes. */
bool source_view_has_state(const struct source_view *view);

/*
 * The UUID that it has as a source, or had before it lost its state.  0; or a negative errno: it
 * isn't known to have one.  No message.
 */
int source_view_identify(const struct source_view *view, struct bmf_uuid *ret);

/* To make checkpoints; makes a source of a directory that wasn't one. */
int source_view_track(struct source_view *view, struct bmf_error *err);

/*
 * To look only; a mounted source's daemon saves its bits first, so that they can be read.
 * -ENOENT without a message when path has never been a source.
 */
int source_view_read(struct source_view *view, struct bmf_error *err);

/* The state as it is now. */
int source_view_state(struct source_view *view, struct bmf_state **ret, struct bmf_error *err);

/*
 * For who has nothing else to ask: opens it to look, and closes it again.  What is no source stays
 * none (-ENOENT).
 */
int source_view_peek(const char *path, struct bmf_state **ret, struct bmf_error *err);

/* Says that path has never been a source: -ENOENT. */
int source_view_none(const char *path, struct bmf_error *err);

/*
 * The renames that have been made through the mount: whoever reads names has seen all of
 * them if none has begun meanwhile.  None are made in a source that isn't mounted.
 */
int source_view_moves(struct source_view *view, struct bmf_moves *ret, struct bmf_error *err);

/*
 * What is known of the image open as fd, with that inode number, in the tree to be read; estimate:
 * no checkpoint was made just before.
 */
int source_view_history(struct source_view *view, const struct bmf_state *state, int fd,
			uint64_t inode, bool estimate, struct bmf_history *ret,
			struct bmf_error *err);

/* Is it known of that image, from having asked for its history, that it has none? */
bool source_view_has_no_xattrs(const struct source_view *view, uint64_t inode);

/*
 * An fsync of the image failed: its content is in doubt, durably, and the next sync copies it in
 * full.  0 or a negative errno, without a message.
 */
int source_view_suspect(struct source_view *view, const struct source_image *image);

/*
 * A new checkpoint, see bmf_source_commit().  Of a mounted source it is a snapshot from then on.
 * -EEXIST: there is one of that name.
 */
int source_view_commit(struct source_view *view, const struct source_view_request *request,
		       struct source_view_commit *ret, struct bmf_error *err);

/*
 * 0 if what has been read since the commit is what was there at the checkpoint: of a
 * mounted source, if its daemon has kept the snapshot up to now, and it is whole.  *ret_broken:
 * it is broken; otherwise, after an error, it is gone.  err says why, and what to do.
 */
int source_view_confirm(struct source_view *view, bool *ret_broken, struct bmf_error *err);

/* See bmf_source_arrived(). */
int source_view_arrived(struct source_view *view, const struct bmf_uuid *replica,
			const struct bmf_checkpoint *checkpoint, const char *label,
			struct bmf_error *err);

/* See bmf_source_forget(). */
int source_view_forget(struct source_view *view, const struct bmf_uuid *replica,
		       struct bmf_error *err);

/* See bmf_source_name().  No message for -EEXIST and -ENOENT. */
int source_view_name(struct source_view *view, const struct bmf_checkpoint *checkpoint,
		     const char *name, struct bmf_error *err);

/* Has an fsync of the image failed, so that its cache may have what its disk never got? */
static inline bool source_view_doubts(const struct bmf_history *history)
{
	return history->reason == BMF_REASON_IO_ERROR ||
	       (history->sidecar && history->sidecar->reason == BMF_REASON_IO_ERROR);
}

/*
 * The image is on the source's disk, as it is in its cache now: before anybody relies on what is
 * read of it (I1).  A failure is told to its guests too, see source_view_suspect().  doubted: as
 * above; then what is read from here on is what the disk has.
 */
int source_view_flush(struct source_view *view, const struct source_image *image, const char *path,
		      bool doubted, struct bmf_error *err);

static inline bool source_view_has_snapshot(const struct source_view *view)
{
	return view->snapshot[0] != '\0';
}

/* 0, or the error of saving a source that isn't mounted. */
int source_view_close(struct source_view *view, struct bmf_error *err);

#endif
