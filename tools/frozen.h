/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frozen.h - the hooks of a verb that makes a checkpoint and nothing else
 *
 *   frozen_begin    runs the pre-hook
 *   frozen_ask      so that the commit of that request ends it at the instant
 *     ... source_view_commit
 *   frozen_end      in any case, if it wasn't ended yet
 *
 * That the post-hook failed is said at once, as guests may be frozen still.  See hooks.h.
 */
#ifndef TOOLS_FROZEN_H
#define TOOLS_FROZEN_H

#include "tools/command.h"
#include "tools/hooks.h"
#include "tools/source_view.h"

struct frozen {
	struct hooks *hooks; /* NULL: they have been ended, or there are none */
	uint64_t ns;	     /* that guests were held */
	bool failed;	     /* the post-hook; that has been said */
};

/* generation: of the source; the checkpoint gets the number after it.  0, or as hooks_begin(). */
int frozen_begin(const struct source_view *view, uint64_t generation, const struct options *options,
		 struct frozen *ret, struct bmf_error *err);
void frozen_ask(struct frozen *frozen, struct source_view_request *request);
void frozen_end(struct frozen *frozen);

#endif
