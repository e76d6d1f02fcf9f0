/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sessions.h - who has watched a source, and up to when
 *
 * A session is the time from one opening of a source for tracking to its closing, or to a crash.
 * A sidecar that is in use carries no stamp of its image, whose guest was still changing it:
 * what vouches for it is the session that wrote it, and only for changes up to the
 * time that the session has noted, in .mirrorfs/sessions, that it would still be there.  An
 * image that was changed later was changed by somebody else, after the crash (I1).
 *
 * That time lies some seconds ahead, and is moved on while anything is in use.  If it
 * can't be, guests go on (I3), and a crash then finds their images in doubt.  Everything that can
 * go wrong with this file errs to that side: a session that is not in it vouches for nothing.
 *
 * Whoever opens the source next ends the sessions before, at once and durably: they have the time
 * of that as their last.  A clock that was set back meanwhile, such as one without a battery, would
 * put in doubt what they wrote later; so if it plainly was (a session was noted later than now),
 * the sidecars of images with a ctime that is yet to come are brought up to date first.
 *
 * Only the last sessions are kept; those before the current one are let go when nothing
 * that they wrote can be in use any more.
 *
 * The file's format is in mirrorfs-sidecar(5), "The sessions file".  Not thread safe.
 */
#ifndef BITMAPFILE_SESSIONS_H
#define BITMAPFILE_SESSIONS_H

#include "bitmapfile/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far ahead a session vouches, and how much of that must be left. */
#define BMF_SESSION_AHEAD_NS (INT64_C(30) * 1000000000)
#define BMF_SESSION_LEFT_NS (INT64_C(20) * 1000000000)

#define BMF_SESSIONS_MAX 27

struct bmf_session {
	uint64_t id;	  /* random, never 0 */
	int64_t until_ns; /* since 1970 */
};

struct bmf_sessions {
	struct bmf_session list[BMF_SESSIONS_MAX]; /* oldest first */
	size_t n;
	uint64_t sequence; /* of the newest copy on disk */
};

/*
 * What is on disk below dirfd (the state directory).  A file that is absent, damaged or
 * can't be read has no sessions; -ENOMEM, -EMFILE and -ENFILE, which say nothing of it, are errors.
 */
int bmf_sessions_load(const struct bmf_io *io, int dirfd, struct bmf_sessions *ret);

/* Does the session vouch for an image with that ctime? */
bool bmf_sessions_vouch(const struct bmf_sessions *sessions, uint64_t id, int64_t ctime_ns);

/* Appends a session; the oldest gives way where there is no room. */
void bmf_sessions_add(struct bmf_sessions *sessions, const struct bmf_session *session);

/*
 * Writes the file, durably when it returns 0: whole where there is none (create), else in place
 * the older of its two copies, so that a torn write costs nothing.
 */
int bmf_sessions_save(const struct bmf_io *io, int dirfd, struct bmf_sessions *sessions,
		      bool create);

#endif
