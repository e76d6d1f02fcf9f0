/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * named.h - named checkpoints of a source: made, and let go of
 *
 * A name says more than a number: that somebody may copy the source as it is at that checkpoint,
 * and have only what changed since brought up to date (mirrorctl sync --since).  So a checkpoint
 * gets its name last:
 *
 *   N1  named_check       nobody has that name
 *   N2  source_view_commit  the checkpoint is durable, like one that nobody needs
 *   N3  named_finish      every image as it is in the source's cache is on its disk, or a power cut
 *                         could take back what a copy has already got, with no bit to say so (I1);
 *   N4                    the list of images (listing.h) is durable
 *   N5                    the name is: the atomic point
 *
 * A crash before N5 leaves a checkpoint without a name, which the next one lets go of, and perhaps
 * a list that is swept away by the next of these calls.  If another checkpoint is made between N2
 * and N5, ours may be gone by then: -EAGAIN, and all has to be done again.
 *
 * When named_finish has returned, the clock that times of files are taken from has passed the
 * checkpoint's, so that what is copied from then on is younger than it.
 *
 * The other way round a name goes first, durably, then its list; the bitmaps that only it needs
 * leave a sidecar when it is next written.
 *
 * Functions return 0 or a negative errno, with a message.  Not thread safe.
 */
#ifndef TOOLS_NAMED_H
#define TOOLS_NAMED_H

#include "tools/source_view.h"

/* For a view that tracks (source_view_track): may the next checkpoint be called that? */
int named_check(struct source_view *view, const char *name, struct bmf_error *err);

/*
 * What view's tree shows is the source at the checkpoint that it has just committed: names that.
 * -EAGAIN: see above.
 */
int named_finish(struct source_view *view, const struct bmf_checkpoint *checkpoint,
		 const char *name, struct bmf_error *err);

/* Of a path, which is opened for it.  -ENOENT: there is none of that name, or no source. */
int named_delete(const char *path, const char *name, struct bmf_error *err);

#endif
