/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checkpoints.h - older checkpoints of a replica: DEST/.mirrorfs/checkpoint/
 *
 *   NUMBER/       the tree as it was, as plain files that share their blocks with the replica's.
 *                 In its own .mirrorfs/ is a document, "checkpoint", that says which one it is
 *   NUMBER.delta  a delta stream (stream.h) that leads back to that checkpoint from the one that
 *                 came after it: for filesystems that can't clone
 *   *.tmp         what a crash has left of one that was being made or removed
 *
 * The document's magic is "MFSCHECK", its version 1, and its body:
 *
 *   uuid  of the replica
 *   u64   number of the checkpoint
 *   uuid  of the checkpoint
 *   u64   time at which it was made, ns since 1970
 *
 * A name without .tmp is always whole: it is made by a rename when all of it is durable, and
 * removed by way of a name with .tmp.  Who changes anything here holds the replica's lock.
 * Functions return 0 or a negative errno, with a message.  Not thread safe.
 */
#ifndef TOOLS_CHECKPOINTS_H
#define TOOLS_CHECKPOINTS_H

#include "tools/replica.h"

#include <stdbool.h>

#define CHECKPOINTS_DIR "checkpoint"
#define CHECKPOINTS_DELTA ".delta"
#define CHECKPOINTS_NAME 32 /* bytes of a name in it, with what is put behind */

struct checkpoint {
	uint64_t number;
	struct bmf_uuid uuid;
	int64_t time_ns;
	bool is_delta;
	struct bmf_uuid from; /* of a delta: the checkpoint that it leads back from */
	uint64_t nbytes;      /* of a delta: allocated; of a tree: the sizes of its files */
};

struct checkpoints {
	struct checkpoint *items; /* newest first */
	size_t n, room;
};

/*
 * Those of the replica with that UUID which is open as fd; none is no error.  measure: find out
 * nbytes too, which takes a walk.  Changes nothing, and needs no lock: what goes meanwhile is
 * left out.
 */
int checkpoints_read(int fd, const char *path, const struct bmf_uuid *replica, bool measure,
		     struct checkpoints *ret, struct bmf_error *err);
void checkpoints_destroy(struct checkpoints *list);

/* Text is a number or a UUID.  NULL: there is none. */
const struct checkpoint *checkpoints_find(const struct checkpoints *list, const char *text);

/* Is it that one, by a number or a UUID? */
bool checkpoints_is(const char *text, uint64_t number, const struct bmf_uuid *uuid);

/* The tree of a checkpoint with that UUID, or NULL. */
const struct checkpoint *checkpoints_tree(const struct checkpoints *list,
					  const struct bmf_uuid *uuid);

/* The delta that leads back from a checkpoint, or NULL. */
const struct checkpoint *checkpoints_delta_from(const struct checkpoints *list,
						const struct bmf_uuid *uuid);

/* The name in the directory. */
char *checkpoints_name(const struct checkpoint *checkpoint, char buf[CHECKPOINTS_NAME]);

/* Opens the directory, and makes it if need be.  A descriptor. */
int checkpoints_open(const struct replica *replica, struct bmf_error *err);

/* Removes what a crash has left there. */
int checkpoints_clean(const struct replica *replica, int fd, struct bmf_error *err);

/* Makes the tree of the replica as it is now, which is complete; any other of that number goes. */
int checkpoints_keep(const struct replica *replica, int fd, int64_t time_ns, struct bmf_error *err);

int checkpoints_remove(const struct replica *replica, int fd, const struct checkpoint *checkpoint,
		       struct bmf_error *err);

/*
 * Has somebody changed or removed an image of a complete replica, whose tree (with stamps) that is?
 * The path of one, or NULL.
 */
const char *checkpoints_touched(const struct replica *replica, const struct tree *tree);

#endif
