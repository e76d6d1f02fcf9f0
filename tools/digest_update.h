/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest_update.h - the digests of an image whose content is being brought up to date
 *
 * Calling sequence: digest_update_begin; all that is written to the image goes through
 * update->digester (digester.h); digest_update_end.  Not thread safe.
 */
#ifndef TOOLS_DIGEST_UPDATE_H
#define TOOLS_DIGEST_UPDATE_H

#include "tools/digester.h"
#include "tools/digests.h"

struct digest_update {
	struct digests *digests;
	struct digester *digester;
};

/*
 * The digests of an image in the directory dir_fd, which is to be size bytes long.  fresh: all of
 * it will be written; otherwise those of blocks that aren't stay what they are, or unknown if
 * there are none yet.  0 or a negative errno.
 */
int digest_update_begin(int dir_fd, const struct digests_key *key, uint64_t size, bool fresh,
			struct digest_update *ret);

/* Nobody knows those any more, or yet.  0 or a negative errno. */
int digest_update_forget(struct digest_update *update, uint64_t first_block, uint64_t nblocks);

/* Makes them durable (but not the name of a new file), if r is 0.  Returns r, or its own error. */
int digest_update_end(struct digest_update *update, int r);

/*
 * Copies the digests of an image from one directory to another, holes as holes, to be updated
 * there.  No error if there are none.
 */
int digest_update_copy(int from_dir_fd, int to_dir_fd, const struct bmf_uuid *image);

#endif
