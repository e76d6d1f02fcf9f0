/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h - the state directory of a source: SOURCE/.mirrorfs/
 *
 * Calling sequence: open, then load and save documents in it, then close.  At
 * most one store of a source is open with BMF_STORE_LOCK at a time, on the whole
 * machine: an OFD lock decides, which the kernel drops with the process, so a stale
 * lock can't exist.
 *
 * After a crash at any moment each document is either the old or the new one.
 * Leftover temporary files are removed at the next locked open.
 *
 * Thread safe, except that saves of the same document are the caller's to
 * serialise.
 */
#ifndef BITMAPFILE_STORE_H
#define BITMAPFILE_STORE_H

#include "bitmapfile/error.h"
#include "bitmapfile/io.h"
#include "bitmapfile/sessions.h"
#include "bitmapfile/sidecar.h"
#include "bitmapfile/state.h"

#define BMF_STATE_DIR ".mirrorfs"
#define BMF_XATTR_PREFIX "user.mirrorfs."
#define BMF_XATTR_ID "user.mirrorfs.id"

struct bmf_store {
	const struct bmf_io *io;
	int source_fd;		      /* the source directory; borrowed */
	int dir_fd;		      /* SOURCE/.mirrorfs */
	int bitmaps_fd;		      /* SOURCE/.mirrorfs/bitmaps */
	int lock_fd;		      /* -1 without BMF_STORE_LOCK */
	struct bmf_sessions sessions; /* as found when it was opened */
};

#define BMF_LOCK_NAME "lock"   /* in the state directory: the file that is locked */
#define BMF_STATE_NAME "state" /* in the state directory: it is a source's */
/* In the state directory: of a replica with an update that is yet to be published
 * (tools/journal.h). */
#define BMF_JOURNAL_NAME "journal"

#define BMF_STORE_CREATE 1u /* make what is absent */
#define BMF_STORE_LOCK 2u   /* be the only one; removes leftovers */
#define BMF_STORE_SHARE 4u  /* with LOCK: keep out who has it without this, and write nothing */

/*
 * 0; -ENOENT: no state directory, and BMF_STORE_CREATE not given; -EBUSY: locked by
 * another (err names the holder as it described itself); others as from the
 * disk.  holder, with BMF_STORE_LOCK, is the line that describes this process to
 * others, such as "mirrorfs on /srv/images (pid 17)".  With BMF_STORE_SHARE it isn't noted, as
 * that does on a filesystem that is mounted read-only: who is kept out elsewhere, where it isn't,
 * is told of the last one that was.  The lock's file has to be there then: -ENOENT.
 */
int bmf_store_open(const struct bmf_io *io, int source_fd, unsigned int flags, const char *holder,
		   struct bmf_store **ret, struct bmf_error *err);
/* Gives the lock back, even while a child process has inherited it.  NULL is allowed. */
void bmf_store_close(struct bmf_store *store);

/*
 * -ENOENT: there is none; -EBADMSG (also for what is no regular file),
 * -EPROTONOSUPPORT, -EISDIR: err says it.
 */
int bmf_store_load_state(struct bmf_store *store, struct bmf_state **ret, struct bmf_error *err);
/* Durable when it returns 0. */
int bmf_store_save_state(struct bmf_store *store, const struct bmf_state *state);

/* Errors as load_state; -EBADMSG also when it names another image inside. */
int bmf_store_load_sidecar(struct bmf_store *store, const struct bmf_uuid *image,
			   struct bmf_sidecar **ret, struct bmf_error *err);
/*
 * *ret_fd (may be NULL) is a descriptor for in-place updates of the armed map.
 * With sync_name the new sidecar is durable when it returns 0.  Without, its
 * content is, but after a crash the name may lead to what was there before: only
 * for images that had no sidecar (for them that is safe: all dirty), with
 * bmf_store_sync_names() once after many.
 *
 * On failure *sidecar is as it was, and the old file too, except that after a failing
 * fsync of the directory the name may lead to the new one: then nothing may be armed in
 * place, neither in the old file nor elsewhere, before a save has succeeded (I1).
 */
int bmf_store_save_sidecar(struct bmf_store *store, struct bmf_sidecar *sidecar, bool sync_name,
			   int *ret_fd);
int bmf_store_sync_names(struct bmf_store *store);
/* 1: there is something of that name; 0: there is nothing; or an error that tells neither. */
int bmf_store_has_sidecar(struct bmf_store *store, const struct bmf_uuid *image);
/* Durable when it returns 0; no error if there was none. */
int bmf_store_remove_sidecar(struct bmf_store *store, const struct bmf_uuid *image);

/* Calls visit for every sidecar's UUID until it returns nonzero, and returns that. */
int bmf_store_each_sidecar(struct bmf_store *store,
			   int (*visit)(const struct bmf_uuid *image, void *arg), void *arg);

#endif
