/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sync.h - brings a replica to a new checkpoint of its source
 *
 * The engine of mirrorctl sync: no argv, no output but progress.h's.
 */
#ifndef TOOLS_SYNC_H
#define TOOLS_SYNC_H

#include "bitmapfile/error.h"
#include "bitmapfile/uuid.h"

#include "tools/filter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Who is to be synced, where it must be the same ones as before and nobody else.  Where one of them
 * is none, it isn't known: whoever is there, but somebody has to be.
 */
struct sync_pair {
	struct bmf_uuid source, replica;
};

struct sync_options {
	bool dry_run;
	unsigned int threads; /* that read and write; 0: as many as disks like */
	bool in_place; /* no journal: the replica itself is changed, and incomplete meanwhile */
	bool keeps;    /* older checkpoints (checkpoints.h): the last `keep` of them, 0: none */
	uint64_t keep;
	const char *since; /* what DEST is a copy of, if it is no replica; see since.h; or NULL */
	struct filter *filter;		  /* what of the source is taken; NULL: all */
	const char *pre_hook, *post_hook; /* see hooks.h; NULL: none */
	bool mounted;			  /* a source that isn't is refused */
	bool switching;			  /* the source has its mark because of this sync */
	/*
	 * NULL: whoever is there, or a new replica.  Else nothing is made where one of them is not,
	 * such as in the empty directory on which the replica's filesystem used to be mounted.
	 */
	const struct sync_pair *pair;
	/* Told at once of what can't wait for the result; may be NULL. */
	void (*alert)(void *arg, const char *text);
	void *alert_arg;
};

struct sync_full_copy {
	char *path;
	unsigned int reason; /* enum full_reason */
	bool by_digest;	     /* all of it was compared, and copied what differed: */
	uint64_t bytes;	     /*   so much, data and zeros */
};

struct sync_result {
	bool dry_run;
	struct sync_pair pair;		 /* of one that succeeded */
	uint64_t checkpoint;		 /* of a dry run: the number that it would get */
	struct bmf_uuid checkpoint_uuid; /* of a dry run: none */
	uint64_t from;			 /* 0: none, everything was copied in full */
	struct bmf_uuid from_uuid;
	uint64_t images, images_changed;
	uint64_t names_changed; /* steps taken to bring the names in line */
	uint64_t names_removed; /* of these: what the source hasn't, or isn't taken of it */
	char *first_removed;	/* one of them; owned */
	bool adopted;		/* the replica was, and this is the first sync since */
	bool seeded;		/* likewise, a copy became one, at the checkpoint `from`, */
	uint64_t seeds;		/*   of so many images, whose files are believed */
	uint64_t bytes_total, bytes_scanned, bytes_copied, bytes_zeroed;
	uint64_t armed_bytes, crash_bytes, gate_ns, names_ns;
	uint64_t frozen_ns;   /* from the end of the pre-hook to the start of the post-hook */
	bool hook_failed;     /* the post-hook */
	bool refused;	      /* the options don't fit source or replica: nothing was done */
	bool snapshot_broken; /* that is why the sync failed */
	double seconds;
	struct sync_full_copy *full; /* in the order of paths */
	size_t nfull, full_room;
	char **warnings;
	size_t nwarnings;
};

/*
 * 0: the replica is durably at the new checkpoint.  -ECANCELED: a signal asked to stop.
 * Other negative errnos: err says what.  After a failure the replica is at its old checkpoint, or
 * has a journal that leads to the new one; in place it is marked as incomplete, if anything in
 * it was changed.  The next sync makes it good.  *ret is filled in any case, and has to be
 * destroyed.
 */
int sync_run(const char *source, const char *dest, const struct sync_options *options,
	     struct sync_result *ret, struct bmf_error *err);
void sync_result_destroy(struct sync_result *result);

/* Was anything copied in full that a bitmap should have covered (I4)? */
bool sync_result_is_full(const struct sync_result *result);

#endif
