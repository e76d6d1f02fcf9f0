/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan.h - what a sync has to do: decided before anything in the replica is changed
 *
 * Images are recognised by UUID, whatever their names are by now; the replica's file of
 * an image by its inode, wherever a sync that was killed has left it.  Everything else is
 * recognised by its path.
 */
#ifndef TOOLS_PLAN_H
#define TOOLS_PLAN_H

#include "tools/full.h"
#include "tools/manifest.h"
#include "tools/source_view.h"
#include "tools/stream.h"
#include "tools/tree.h"

#include <stdbool.h>

/* What becomes of one node of the source's tree. */
struct plan_node {
	struct tree_node *source;
	struct tree_node *dest; /* what the replica has of it; NULL: nothing */
	bool vanished;		/* it left the source, or can't be made: not in the replica */
	bool meta;		/* its metadata differs */
	bool changed;		/* its counterpart was changed by this sync */
	char *aside;		/* where its file waits for its place; owned */
	struct bmf_stamp made;	/* of the counterpart that this sync made, if there was none */
	dev_t made_dev;

	/* Of an image. */
	bool has_id;
	struct bmf_uuid id;
	bool work;		/* its content is to be copied: */
	unsigned int reason;	/*   in full, and why; or FULL_NONE: by bits */
	bool suspect;		/*   in full: an fsync of it failed, its cache may lie */
	bool by_digest;		/*   in full: but only what differs from what dest has */
	bool proved;		/*     whose digests are on record as those of: */
	struct bmf_uuid had;	/*     this image; otherwise they have to be taken */
	struct bmf_bits *bits;	/* owned */
	size_t full;		/* in full: its place in the sync's result */
	uint64_t scan;		/* bytes to be looked at */
	struct bmf_stamp stamp; /* of the replica's file */

	/* In an update that is staged. */
	enum stream_kind content;
	bool anew; /* by bits, but the staged file gets the rest too, from what dest has */
	uint64_t size;
	uint64_t staged; /* the number of its file (journal.h), if STREAM_STAGED */
	struct bmf_stamp staged_stamp;
};

struct plan {
	struct tree *source, *dest; /* borrowed */
	struct plan_node *nodes;    /* one for each of source->nodes */
	size_t nnodes;		    /* also when source has gone: see plan_free */
	struct plan_node **claims;  /* one for each of dest->nodes: who takes it, or NULL */
	unsigned int block_shift;
	uint64_t images, images_changed;
	uint64_t bytes_total, scan_total, armed_bytes, crash_bytes;
	bool any_meta; /* of a node whose content isn't to be copied */
};

/* What a plan is made from; all borrowed. */
struct plan_input {
	struct source_view *view;
	const struct bmf_state *state; /* NULL: a source without one, in a dry run */
	const struct manifest *manifest;
	bool known;	  /* the manifest's checkpoint is one of the source's */
	uint64_t to;	  /* the checkpoint's number */
	bool estimate;	  /* it was not really made: a dry run */
	bool untrackable; /* making it, the source found images that it can't give an id */
	struct tree *source, *dest;
};

#define PLAN_MOVING ".mirrorfs/moving"
#define PLAN_STAGING ".mirrorfs/staging"

int plan_make(const struct plan_input *input, struct plan **ret, struct bmf_error *err);
void plan_free(struct plan *plan); /* NULL is allowed; the trees may have been freed */

/*
 * The replica's file of an image, or NULL.  One that has got names outside of the replica
 * is not written into: somebody keeps it by them.  *ret_touched: somebody changed it, so that
 * all of the image has to be copied.
 */
struct tree_node *plan_find_file(const struct tree *dest, const struct manifest *manifest,
				 const struct manifest_image *entry, bool *ret_touched);

/* What isn't an image is what its path says: claims for it what the replica has there, if it is
 * alike. */
void plan_by_path(struct plan *plan, struct plan_node *node);

/* The node that is at path in the source, or NULL. */
struct plan_node *plan_at(const struct plan *plan, const char *path);

/* May this entry of the replica stay where it is? */
bool plan_keeps(const struct plan *plan, const struct tree_entry *dest);

/* Is it something at the top of a fresh filesystem that is neither kept nor removed? */
bool plan_ignores(const struct plan *plan, const struct tree_entry *dest);

#endif
