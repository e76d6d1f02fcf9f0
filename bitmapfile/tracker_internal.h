/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracker_internal.h - the inside of a tracker and its source, for tracker*.c and source*.c
 *
 * Lock order, outermost first:
 *   source->rollover_lock   one commit at a time; guards replacement of source->state
 *   source->moves_lock      held shared around a rename, or by a commit to hold renames up
 *   tracker->lock           one save or arming of a sidecar at a time
 *   source->table_lock      the table of trackers; held for moments only
 *   source->state_lock      the pointer source->state; held for moments only
 *   source->session.lock    one writing of the sessions file at a time
 */
#ifndef BITMAPFILE_TRACKER_INTERNAL_H
#define BITMAPFILE_TRACKER_INTERNAL_H

#include "bitmapfile/history.h"
#include "bitmapfile/source.h"
#include "bitmapfile/tracker.h"

#include <pthread.h>
#include <stdatomic.h>

enum bmf_mode {
	/*
	 * There is no sidecar that counts: after a crash the image is all dirty, so
	 * writes need nothing durable.  Bits are kept all the same, for the case that a
	 * checkpoint adopts the image while it is being written.
	 */
	BMF_MODE_UNTRACKED,
	/* The sidecar counts: writes go to armed regions only. */
	BMF_MODE_TRACKED,
};

struct bmf_tracker {
	struct bmf_source *source;
	dev_t dev;
	ino_t ino;
	int fd;			  /* O_PATH */
	struct bmf_tracker *next; /* in the table; table_lock */
	unsigned int refs;	  /* table_lock */

	/*
	 * The hot path.  The order of accesses is explained in tracker.c.  bits are those of
	 * generation `generation`; they are replaced under lock, bits before generation.
	 */
	_Atomic uint64_t generation;
	struct bmf_bits *_Atomic bits;
	_Atomic int mode;
	struct bmf_bits *armed;	  /* regions in which writes may go on at once */
	struct bmf_bits *touched; /* regions written to since the last pass of keep */
	_Atomic bool unsaved;	  /* bits were set that the sidecar has not */
	_Atomic bool folded;	  /* the sidecar has them under an older generation's number */
	_Atomic bool active;	  /* anything happened since the last pass of keep */
	_Atomic uint64_t size;
	_Atomic int failed;
	_Atomic unsigned int openers;
	_Atomic bool in_use; /* the sidecar on disk says "in use" */
	_Atomic bool unlinked;
	struct bmf_bits *wanted; /* regions that somebody waits for: group commit */

	pthread_mutex_t lock;
	/* All below: lock. */
	bool loaded;
	bool has_id;
	struct bmf_uuid id;
	enum bmf_reason reason; /* why there is no history before since */
	bool doubt_unsaved;	/* the sidecar on disk doesn't say yet that it is suspect */
	/*
	 * The generations before the current one; NULL while untracked.  Its armed
	 * map is what the disk holds, or more: it only ever gains bits between two saves.
	 */
	struct bmf_sidecar *sidecar;
	int sidecar_fd; /* for the armed map in place; -1: save whole before arming */
	uint64_t armed_end, armed_ahead; /* arming ahead of a sequential writer */
	uint64_t armed_lately;		 /* in place, since some were let go */
};

#define BMF_TABLE_BUCKETS 4096

/* Ids of images, in any order. */
struct bmf_ids {
	struct bmf_uuid *ids; /* owned */
	size_t n, capacity;
};

struct bmf_source {
	const struct bmf_io *io;
	struct bmf_store *store;
	struct bmf_source_options options;
	unsigned int block_shift, region_shift;
	uint64_t crashed_at; /* the generation that was current when the source was opened */

	/* The generation of new writes; changes only while no write is in flight. */
	_Atomic uint64_t generation;
	/* The one that the state on disk has: at most `generation`. */
	_Atomic uint64_t durable_generation;

	struct {
		_Atomic uint64_t begun, ended;
	} moves;
	_Atomic bool leftovers_gone; /* every image has been seen since the source was opened */
	pthread_rwlock_t moves_lock; /* shared by moves; by a walk that must not miss any */

	pthread_mutex_t rollover_lock;
	_Atomic bool committing; /* trackers that are untracked must stay in the table */

	pthread_mutex_t state_lock;
	struct bmf_state *state;

	struct {
		pthread_mutex_t lock;
		uint64_t id;
		/* All below: lock. */
		uint64_t sequence; /* of the sessions file */
		int64_t until_ns;  /* what is noted there, */
		bool noted;	   /* if anything is */
		bool failed;	   /* the last time; said once */
	} session;

	pthread_mutex_t table_lock;
	struct bmf_tracker *table[BMF_TABLE_BUCKETS];
	size_t ntrackers;
	_Atomic uint64_t departed; /* trackers that left the table */
	/* Images that lost a name while a checkpoint was made: those whose sidecars R5 spares. */
	struct bmf_ids spared;
};

/* tracker.c */
int bmf_tracker_new(struct bmf_source *source, int fd, const struct stat *st,
		    struct bmf_tracker **ret);
void bmf_tracker_free(struct bmf_tracker *tracker);
int bmf_tracker_roll_locked(struct bmf_tracker *tracker);

/* Would readers of its sidecar miss something? */
static inline bool bmf_tracker_needs_save(struct bmf_tracker *tracker)
{
	return atomic_load(&tracker->mode) == BMF_MODE_TRACKED &&
	       (atomic_load(&tracker->unsaved) || atomic_load(&tracker->folded));
}

/* tracker_save.c */

/*
 * Reads what is known of the image.  On failure nothing is, and it must not be changed; a
 * sidecar that is not believed is no failure, but has been removed when this returns.
 */
int bmf_tracker_load_locked(struct bmf_tracker *tracker);

/*
 * Replaces the sidecar by one with all bits that are set when it begins, and with
 * the regions that are armed in memory plus [arm_first, arm_first + arm_n).  When
 * it returns 0 that is durable, and the new regions are armed in memory too.  On
 * failure the old sidecar goes on to count, and the next arming saves whole.
 */
#define BMF_SAVE_IN_USE 1u    /* the stamp in it is not to be trusted */
#define BMF_SAVE_LAZY_NAME 2u /* bmf_store_sync_names() will follow */
int bmf_tracker_save_locked(struct bmf_tracker *tracker, unsigned int flags, uint64_t arm_first,
			    uint64_t arm_n);

/* Lets go of the armed regions that weren't touched since the last call, and saves if any. */
void bmf_tracker_disarm_locked(struct bmf_tracker *tracker);

/*
 * fsyncs the image, without the lock, for a stamp or an id is only worth something when
 * the inode that bears it is durable.  A failing fsync counts as the guest's own would.
 */
int bmf_tracker_sync_image(struct bmf_tracker *tracker);

/*
 * Saves such that the image's stamp counts, nothing armed; the image has been synced.
 * -EAGAIN when somebody has it open, or something happened to it meanwhile.
 */
int bmf_tracker_clean_locked(struct bmf_tracker *tracker);

/* Makes sure that the image has an id of its own. */
int bmf_tracker_identify_locked(struct bmf_tracker *tracker);

/* Gives an untracked image that has an id a sidecar that begins with the current generation. */
int bmf_tracker_adopt_locked(struct bmf_tracker *tracker);

/*
 * The sidecar can't be written: removes it, so that the image is all dirty and
 * its guest can go on (I3).  Fails where even that can't be made durable.  cause is the negative
 * errno of that, to be told with what comes of it; 0: there is none.
 */
int bmf_tracker_give_up_locked(struct bmf_tracker *tracker, int cause);

/* source_session.c */

/* Begins the session of a source whose store is open.  0 or the error of getrandom. */
int bmf_source_begin_session(struct bmf_source *source);

/*
 * Whoever they were, they have ended by now, as the lock is ours: from here on they vouch for
 * nothing that is later.  To be called once the source can be used, before anybody does.
 */
void bmf_source_end_earlier_sessions(struct bmf_source *source);

/* To be called before a sidecar gets in use.  May write to the disk; what fails is told. */
void bmf_source_vouch(struct bmf_source *source);

/* Every sidecar is clean: nothing needs the session any more. */
void bmf_source_end_session(struct bmf_source *source);

/*
 * Of an image that is suspect: tells the disk so, or gives up its history, which is as good.
 * Where neither works now it does nothing, and is to be called again.
 */
void bmf_tracker_note_doubt_locked(struct bmf_tracker *tracker);

/* rollover.c */

/*
 * Saves what a crash left in use and is believed, of images whose ctime is later than that.  With
 * rollover_lock held.  0, or the first error, which ends it.
 */
int bmf_source_settle_locked(struct bmf_source *source, int64_t later_than_ns);

/* source.c */
void bmf_source_notice(struct bmf_source *source, const struct bmf_tracker *tracker,
		       const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Takes a tracker out of the table; table_lock is held. */
void bmf_source_unlist_locked(struct bmf_source *source, struct bmf_tracker *tracker);

/*
 * All trackers at this moment, each with a reference.  The caller frees the array and
 * puts the trackers.  0 or -ENOMEM.
 */
int bmf_source_collect(struct bmf_source *source, struct bmf_tracker ***ret, size_t *ret_n);

#endif
