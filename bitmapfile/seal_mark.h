/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal_mark.h - the mark of a source that was switched over: SOURCE/.mirrorfs/sealed
 *
 * Whoever finds it lets nothing change in the source, until it is removed: the guests may go on
 * from the replica, and what the source took meanwhile would be lost, or they would be both.  So
 * a mark that can't be read counts as one.
 *
 * The file is a document (doc.h); its content is in mirrorfs-sidecar(5), "The mark of a
 * switchover". Not thread safe.
 */
#ifndef BITMAPFILE_SEAL_MARK_H
#define BITMAPFILE_SEAL_MARK_H

#include "bitmapfile/error.h"
#include "bitmapfile/io.h"
#include "bitmapfile/uuid.h"

#define BMF_SEAL_NAME "sealed" /* in the state directory */

struct bmf_seal {
	struct bmf_uuid replica;    /* from which guests may go on */
	uint64_t number;	    /* of the checkpoint that it is at; 0: it isn't yet */
	struct bmf_uuid checkpoint; /* likewise; none */
	int64_t time_ns;	    /* when it was sealed, since 1970 */
	char *label;		    /* where the replica is, "" if that isn't known; owned */
};

/*
 * That of the source directory open as source_fd.  0, and bmf_seal_destroy() is to be called;
 * -ENOENT: it isn't sealed; any other error: it is, and err says what is wrong with the mark.
 */
int bmf_seal_load(const struct bmf_io *io, int source_fd, struct bmf_seal *ret,
		  struct bmf_error *err);

/*
 * Makes one, or replaces it; durable when it returns 0.  After a failure there is none, as far as
 * that could be seen to: where even its removal failed, it may be found later.
 */
int bmf_seal_save(const struct bmf_io *io, int source_fd, const struct bmf_seal *seal);

/* Durable when it returns 0; -ENOENT: there was none. */
int bmf_seal_remove(const struct bmf_io *io, int source_fd);

void bmf_seal_destroy(struct bmf_seal *seal);

#endif
