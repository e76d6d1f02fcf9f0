/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listing.h - which images a source had at a named checkpoint: SOURCE/.mirrorfs/named/UUID
 *
 * Bitmaps know an image by its id.  Whoever has copied a source by other means at a checkpoint has
 * files with names; so each named checkpoint has a list of which image had which name then, and
 * how large it was.  Without it a copy can't be believed: images may have been renamed since, may
 * have swapped names, or may be others by now (I1).
 *
 * A document (bitmapfile/doc.h), magic "MFSNAMED", version 1; UUID is that of the checkpoint.  Its
 * body:
 *
 *   uuid  of the source
 *   uuid  of the checkpoint
 *   u64   its number
 *   u64   number of names, and for each:
 *     uuid    of the image; none if it had no id: then it has no history either
 *     string  its path in the source
 *     u64     its size in bytes
 *
 * It is durable before the checkpoint has its name, and removed after it has lost it.  What is
 * there for a checkpoint that the source doesn't have is what a crash left, and is removed by
 * whoever comes next.  mirrorctl alone reads and writes it.  Not thread safe.
 */
#ifndef TOOLS_LISTING_H
#define TOOLS_LISTING_H

#include "bitmapfile/error.h"
#include "bitmapfile/state.h"

#include <stddef.h>
#include <stdint.h>

struct listing_item {
	struct bmf_uuid image;
	char *path; /* owned */
	uint64_t size;
};

struct listing {
	struct bmf_uuid source, checkpoint;
	uint64_t number;
	struct listing_item *items; /* in the order of paths, from load */
	size_t n, room;
};

#define LISTING_DIR "named" /* in the state directory */

void listing_destroy(struct listing *listing);

/* path is copied.  0 or -ENOMEM. */
int listing_add(struct listing *listing, const struct bmf_uuid *image, const char *path,
		uint64_t size);

/* The item with that path, of one that was loaded; or NULL. */
const struct listing_item *listing_find(const struct listing *listing, const char *path);

/* dir_fd: of the state directory.  Durable when it returns 0; else -errno, without a message. */
int listing_save(int dir_fd, const struct listing *listing);

/*
 * That of a checkpoint of that state.  -ENOENT: there is none; -EBADMSG: it is damaged, or another
 * source's or checkpoint's; -EPROTONOSUPPORT: it is newer; with a message.
 */
int listing_load(int dir_fd, const struct bmf_state *state, const struct bmf_checkpoint *checkpoint,
		 struct listing *ret, struct bmf_error *err);

/*
 * Removes those of checkpoints that the source doesn't keep.  read_state is called after the
 * directory was read: who makes one commits its checkpoint first, so what isn't in that state is
 * not about to be named by somebody else.  What can't be removed now will be another time.
 */
void listing_sweep(int dir_fd, int (*read_state)(void *arg, struct bmf_state **ret), void *arg);

/* Removes one, not durably; no error if there is none. */
void listing_remove(int dir_fd, const struct bmf_uuid *checkpoint);

int listing_encode(const struct listing *listing, void **ret_buf, size_t *ret_nbytes);
int listing_decode(const void *buf, size_t nbytes, struct listing *ret, struct bmf_error *err);

#endif
