/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reason.c - the words for why an image has no bitmap that reaches back far enough */
#include "config.h"

#include "bitmapfile/reason.h"

#include <stddef.h>

static const struct {
	const char *text, *word;
} reasons[] = {
	[BMF_REASON_NONE] = { "nothing is wrong with its bitmaps", "none" },
	[BMF_REASON_NEW] = { "made since the checkpoint", "new" },
	[BMF_REASON_COPIED] = { "a copy of another image", "copied" },
	[BMF_REASON_BEHIND] = { "changed behind the mount", "changed-behind-mount" },
	[BMF_REASON_MISSING] = { "its sidecar is gone", "sidecar-missing" },
	[BMF_REASON_DAMAGED] = { "its sidecar is damaged", "sidecar-damaged" },
	[BMF_REASON_VERSION] = { "its sidecar comes from a newer mirrorfs", "sidecar-newer" },
	[BMF_REASON_FOREIGN] = { "its sidecar belongs to another source or state",
				 "sidecar-foreign" },
	[BMF_REASON_IO_ERROR] = { "an fsync of it failed, so its content is in doubt",
				  "fsync-failed" },
	[BMF_REASON_NO_ID] = { "it can't carry an id", "no-id" },
	[BMF_REASON_UNTRACKED] = { "its sidecar couldn't be written", "sidecar-unwritable" },
	[BMF_REASON_DROPPED] = { "its bitmaps are no longer kept that far back",
				 "history-dropped" },
	[BMF_REASON_UNWATCHED] = { "changed after a crash, before it was mounted again",
				   "changed-after-crash" },
};

#define NREASONS (sizeof(reasons) / sizeof(reasons[0]))

_Static_assert(NREASONS == BMF_REASON_LAST + 1, "every reason has its words");

/* A newer mirrorfs may have written a reason that this one doesn't know. */
static size_t known(enum bmf_reason reason)
{
	return (size_t)reason < NREASONS ? (size_t)reason : NREASONS;
}

const char *bmf_reason_text(enum bmf_reason reason)
{
	size_t i = known(reason);

	return i < NREASONS ? reasons[i].text : "a reason that only a newer mirrorfs knows";
}

const char *bmf_reason_word(enum bmf_reason reason)
{
	size_t i = known(reason);

	return i < NREASONS ? reasons[i].word : "unknown";
}
