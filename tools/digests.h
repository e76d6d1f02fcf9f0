/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digests.h - the digests of one image of a replica: DEST/.mirrorfs/digests/IMAGE-UUID
 *
 * A header, and pages of 4096 bytes, each with the digests of 255 blocks and a check of its
 * own; mirrorfs-replica(5) is the authority.  They are read and written in ranges, and
 * one page is in memory.
 *
 * A digest is known or unknown (digest.h), and a known one is one that was written for that
 * block of that image of that replica.  Damage, whatever it is, makes digests unknown:
 * those of a page whose check fails or that can't be read; those beyond the end of a file
 * that is too short; all, when it is the header (-EBADMSG at open).  Writing some digests
 * into a damaged page leaves its others unknown.
 *
 * A page that is a hole means 255 zero blocks, so the digests of a sparse image are sparse.
 * It has no check.  Where a page got lost and reads as zeros it says "zero blocks" of blocks
 * that aren't: they are called damaged without need, or copied without need.  Only where
 * their content reads as zeros too, by the same mishap, would that pass; a crash can do
 * that to what wasn't flushed, and to nothing else (see below).
 *
 * Durability: nothing is durable before digests_flush() returned 0, and the name of a new
 * file not before its directory was synced.  After a crash without it each page written
 * since the last flush is the old one, the new one, a hole, or damaged, and so the digests
 * of all blocks in those pages (not only those written) may be stale, zero or unknown; the
 * number of blocks is the old or the new one, and the header, in which only the last 24
 * bytes change, could be torn only by a disk that tears sectors.  A stale digest fits the
 * block as it was.  So the caller must
 * not believe what was written and not flushed: it has a journal or marks the replica
 * incomplete before it writes, and flushes before it calls it complete; afterwards it writes
 * the same blocks again, and neighbours are those of an earlier flush, or unknown.
 *
 * Not thread safe, and one writer of a file at a time: the replica's lock.
 */
#ifndef TOOLS_DIGESTS_H
#define TOOLS_DIGESTS_H

#include "bitmapfile/error.h"
#include "bitmapfile/io.h"
#include "bitmapfile/uuid.h"
#include "tools/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGESTS_DIR "digests" /* in DEST/.mirrorfs; the caller makes it, mode 0700 */
#define DIGESTS_BLOCKS_MAX (UINT64_C(1) << 51)

struct digests;

/* Whose they are: all of it is in the header, and compared with it. */
struct digests_key {
	struct bmf_uuid replica, image;
	unsigned int block_shift; /* 12 to 21 */
};

/*
 * Opens the file of an image in the directory dir_fd, which must stay open as long as
 * *ret.  -ENOENT: there is none; -EBADMSG: its header is damaged, or it is another
 * replica's, image's or block size's; -EPROTONOSUPPORT: it is newer; or as from the disk;
 * err says it.  In any case create makes one anew.  Without writable nothing is written.
 */
int digests_open(const struct bmf_io *io, int dir_fd, const struct digests_key *key, bool writable,
		 struct digests **ret, struct bmf_error *err);

/*
 * Replaces what there is, if any, by a file of no blocks, writable.  Its header is durable,
 * its name not before the caller syncs the directory: either file may be found after
 * a crash.
 */
int digests_create(const struct bmf_io *io, int dir_fd, const struct digests_key *key,
		   struct digests **ret, struct bmf_error *err);

/*
 * Writes what is still in memory (no flush), closes, frees.  0, or the first error: then
 * what was written since the last flush is in doubt.  NULL is allowed.
 */
int digests_close(struct digests *digests);

uint64_t digests_nblocks(const struct digests *digests);

/*
 * Sets the number of blocks, as ftruncate does of an image: those that are new are zero
 * blocks.  The digest of a last block that isn't whole is the caller's to write.  0,
 * -EFBIG, or an error of the disk, after which the number is the old or the new one, and new
 * blocks may be unknown.
 */
int digests_set_nblocks(struct digests *digests, uint64_t nblocks);

/*
 * Digests of n blocks; those that aren't known are all ones (digest_is_known()), also all
 * beyond the number of blocks.  0, or an error that isn't damage: of the system, or of an
 * earlier write, whose page was in memory; ret has then been written to in part.
 */
int digests_read(struct digests *digests, uint64_t first_block, size_t n, struct digest *ret);

/*
 * Writes digests of n blocks, all below the number of blocks (-EINVAL); from NULL: all
 * are zero blocks, which costs next to nothing however many they are.  Unknown ones may be
 * written too.  An error may be that of an earlier write, whose page was in memory;
 * after one any of the digests written since the last flush may be old, new or unknown.
 */
int digests_write(struct digests *digests, uint64_t first_block, uint64_t n,
		  const struct digest *from);

/* Makes all that was written durable (fsync).  Errors as those of write. */
int digests_flush(struct digests *digests);

/* Removes the file of an image, not durably; no error if there is none. */
int digests_remove(const struct bmf_io *io, int dir_fd, const struct bmf_uuid *image);

/*
 * Removes, not durably, the files of all images but those in keep, n UUIDs in ascending
 * order of their bytes, and what a crash left of a create.  Other names stay.  0, or the
 * first error, after all were tried.
 */
int digests_remove_others(const struct bmf_io *io, int dir_fd, const struct bmf_uuid *keep,
			  size_t n);

#endif
