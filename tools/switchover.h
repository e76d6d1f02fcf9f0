/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * switchover.h - the last sync of a source, after which it is read-only, and the replica all that
 * it was
 *
 * The engine of mirrorctl switchover: no argv, no output.  Not thread safe.
 */
#ifndef TOOLS_SWITCHOVER_H
#define TOOLS_SWITCHOVER_H

#include "tools/sync.h"

struct switchover_options {
	const struct sync_options *sync; /* mounted, pair and switching are its own */
	uint64_t timeout_ms;		 /* for which changes may be held, at most */
	/* Told of each sync that was complete; may be NULL. */
	void (*synced)(void *arg, const struct sync_result *result);
	void *arg;
};

struct switchover_result {
	bool mounted;
	struct sync_pair pair;
	uint64_t checkpoint; /* at which the replica is */
	struct bmf_uuid checkpoint_uuid;
	uint64_t nsyncs;
	double held_seconds; /* changes were, up to the seal; 0 if it isn't mounted */
};

/*
 * 0: every change that was acknowledged is in the replica, durably, and there will be no more until
 * that is undone.  A negative errno, with a message: the source goes on as it was, and the replica
 * is as after any sync, or one that failed; -ECANCELED: a signal asked to stop.
 */
int switchover_run(const char *source, const char *dest, const struct switchover_options *options,
		   struct switchover_result *ret, struct bmf_error *err);

/* The source can be written to again.  Likewise; -EINVAL: it wasn't switched over. */
int switchover_undo(const char *source, struct bmf_error *err);

#endif
