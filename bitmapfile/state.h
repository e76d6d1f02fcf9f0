/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.h - what a source knows of itself: its checkpoints and its replicas
 *
 * Touches no disk (store.h does).  Not thread safe: the owner locks.
 * The format's authority is mirrorfs-sidecar(5), "The state file".
 */
#ifndef BITMAPFILE_STATE_H
#define BITMAPFILE_STATE_H

#include "bitmapfile/error.h"
#include "bitmapfile/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bmf_checkpoint {
	uint64_t number; /* from 1; only ever grows */
	struct bmf_uuid uuid;
	int64_t time_ns; /* since 1970 */
	char *name;	 /* owned; NULL unless the user named it: then it is kept */
};

/*
 * May a checkpoint be called that?  Letters, digits and "_-.:@+", at most
 * BMF_CHECKPOINT_NAME_MAX, no dot first; and nobody may take it for a number or the beginning of a
 * UUID: it isn't all digits, and if it is as long as the first part of one, it isn't like that.
 */
#define BMF_CHECKPOINT_NAME_MAX 63
bool bmf_checkpoint_name_ok(const char *name);

/* What the source knows of a replica.  Only a hint: the replica itself is asked. */
struct bmf_cursor {
	struct bmf_uuid replica;
	uint64_t at;	  /* checkpoint that it is at; 0: none yet */
	uint64_t pending; /* checkpoint that a running sync is bringing it to; 0: none */
	int64_t time_ns;  /* of the last completed sync; 0: none */
	char *label;	  /* owned; where it is, for people; empty if unknown */
};

struct bmf_state {
	struct bmf_uuid source;
	uint64_t generation; /* current: changes since the checkpoint of this number */
	unsigned int block_shift;
	struct bmf_checkpoint *checkpoints; /* ascending, only those still needed */
	size_t ncheckpoints;
	struct bmf_cursor *cursors; /* ascending by the bytes of replica */
	size_t ncursors;
};

/* A new source with a fresh UUID at generation 0.  0, -ENOMEM, -EINVAL, or of getrandom. */
int bmf_state_new(unsigned int block_shift, struct bmf_state **ret);
void bmf_state_free(struct bmf_state *state);
int bmf_state_copy(const struct bmf_state *state, struct bmf_state **ret);

/* 0, -ENOMEM; -EINVAL for a state that decode would refuse, -EMSGSIZE for too long a string. */
int bmf_state_encode(const struct bmf_state *state, void **ret_buf, size_t *ret_nbytes);
/* Errors as bmf_doc_open(). */
int bmf_state_decode(const void *buf, size_t nbytes, struct bmf_state **ret, struct bmf_error *err);

/*
 * Appends a checkpoint with number generation + 1 and makes that the current
 * generation.  *ret (if not NULL) gets a copy without the name.  0, -ENOMEM; -EINVAL
 * when uuid is none; -EOVERFLOW.
 */
int bmf_state_add_checkpoint(struct bmf_state *state, const struct bmf_uuid *uuid, int64_t time_ns,
			     struct bmf_checkpoint *ret);

/* The checkpoint of that number, or NULL when it is not kept. */
const struct bmf_checkpoint *bmf_state_checkpoint(const struct bmf_state *state, uint64_t number);

/* The checkpoint of that name, or NULL. */
const struct bmf_checkpoint *bmf_state_named(const struct bmf_state *state, const char *name);

/*
 * Names the checkpoint (number, uuid), or with NULL takes its name away.  0, -ENOMEM; -ENOENT: it
 * is not kept, or there is no name to be taken away; -EEXIST: it has a name, or another has that
 * one; -EINVAL: see bmf_checkpoint_name_ok().
 */
int bmf_state_name(struct bmf_state *state, const struct bmf_checkpoint *checkpoint,
		   const char *name);

/*
 * The cursor of a replica, or NULL; get_or_add makes one (0, -ENOMEM; -EINVAL when replica is
 * none).  The pointer is good until the next get_or_add or forget.
 */
struct bmf_cursor *bmf_state_cursor(const struct bmf_state *state, const struct bmf_uuid *replica);
int bmf_state_cursor_get_or_add(struct bmf_state *state, const struct bmf_uuid *replica,
				struct bmf_cursor **ret);

/* Removes the cursor of a replica.  0; -ENOENT when there is none. */
int bmf_state_forget(struct bmf_state *state, const struct bmf_uuid *replica);

/*
 * Is the checkpoint of that number needed: named, the newest, or one that a
 * cursor is at or bound for?
 */
bool bmf_state_needs(const struct bmf_state *state, uint64_t number);

/* Drops the checkpoints that nobody needs. */
void bmf_state_trim(struct bmf_state *state);

#endif
