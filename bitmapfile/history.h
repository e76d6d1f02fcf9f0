/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history.h - what is known of an image's changes: the one recovery path
 *
 * Everything that believes a sidecar got it here: the daemon when an image is
 * first written, mirrorctl when it copies, both after a crash, a kill -9 and a
 * clean stop alike.  The rule:
 *
 *   1. No id, no sidecar, or one that is damaged, foreign, newer than this program
 *      or than the state: no history, all dirty.  Without a sidecar before the first
 *      checkpoint of all, when nobody can have relied on one, it is new.
 *   2. The sidecar's stamp names another file: this is a copy; all dirty, new id.
 *   3. The sidecar is not "in use" and size, mtime or ctime differ: somebody
 *      wrote behind the mount; all dirty.
 *   4. It is in use (its writer crashed), and the image's ctime is later than what
 *      the session that wrote it vouches for (sessions.h): somebody wrote behind the
 *      mount after the crash; all dirty.
 *   5. It is in use otherwise: every armed region is added to every
 *      generation from the one that the sidecar was written in up to the one
 *      that was current at the crash.
 *
 * Invariants I1 and I4: whatever is in doubt is dirty, and the reason is kept.
 */
#ifndef BITMAPFILE_HISTORY_H
#define BITMAPFILE_HISTORY_H

#include "bitmapfile/sidecar.h"
#include "bitmapfile/store.h"

struct bmf_history {
	enum bmf_reason reason; /* NONE: sidecar is valid; else why there is none */
	bool has_id;
	struct bmf_uuid id;	/* if has_id */
	struct bmf_stamp stamp; /* as of now */
	/* Owned; NULL unless reason is NONE.  In the state's block size. */
	struct bmf_sidecar *sidecar;
	uint64_t armed_bytes; /* bytes that a crash made dirty by rule 5 */
};

/* The sidecar belongs to a daemon that is running: skip rules 3 to 5. */
#define BMF_HISTORY_LIVE 1u

/*
 * Reads the history of the image open as fd (O_PATH will do).  crashed_at is the
 * generation that was current when the source was opened.  0, or an error that
 * says nothing of the image (-ENOMEM, -EMFILE, fstat, fgetxattr); whatever is wrong with the
 * sidecar is a reason, and err (may be NULL) then has its details.
 */
int bmf_history_load(struct bmf_store *store, const struct bmf_state *state, int fd,
		     uint64_t crashed_at, unsigned int flags, struct bmf_history *ret,
		     struct bmf_error *err);

/*
 * Of one that was loaded as live and has a sidecar: would rules 3 and 4 let it pass, as the
 * sessions were when the store was opened?
 */
bool bmf_history_is_vouched_for(const struct bmf_store *store, const struct bmf_history *history);
void bmf_history_destroy(struct bmf_history *history);

#endif
