/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hooks.h - commands of the user around the instant of a checkpoint: freeze guests, thaw them
 *
 *   hooks_begin   runs the pre-hook
 *     ... the instant is reached: what is written from here on is not in the checkpoint
 *   hooks_end     runs the post-hook, and waits for it
 *     ... the checkpoint is made durable, which takes longer
 *
 * What the pre-hook froze must be thawed whatever happens.  So both are run by a guard, a
 * process of its own that no signal to this one or to its process group reaches.  It waits for
 * hooks_end, or for this process to be gone, kill -9 included; and this process does what is left
 * to do if the guard is killed.  The post-hook is never run before the pre-hook has ended.
 *
 * A hook is run by /bin/sh -c, with nothing on standard input and standard output
 * leading to standard error.  mirrorctl-sync(8) says what is in its environment.  Not thread safe.
 */
#ifndef TOOLS_HOOKS_H
#define TOOLS_HOOKS_H

#include "bitmapfile/error.h"

#include <stdbool.h>
#include <stdint.h>

struct hooks;

struct hooks_request {
	const char *pre, *post; /* NULL: there is none; strings last until hooks_end */
	const char *source;	/* as given */
	int source_fd;		/* images are listed below it */
	uint64_t number;	/* that the checkpoint will get */
};

/*
 * 0, with *ret NULL when there is no hook at all.  When the pre-hook fails or is killed, the
 * post-hook has been run as well; there is nothing to end then.
 */
int hooks_begin(const struct hooks_request *request, struct hooks **ret, struct bmf_error *err);

/*
 * reached: the instant was.  *ret_frozen_ns, which may be NULL: since the pre-hook ended; untouched
 * if there was none.  0, or -EIO when the post-hook failed.  Frees hooks, which may be NULL.
 */
int hooks_end(struct hooks *hooks, bool reached, uint64_t *ret_frozen_ns, struct bmf_error *err);

#endif
