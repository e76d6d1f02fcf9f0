/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore_out.h - the directory that a restore fills: marked until it is whole
 *
 * The mark is an empty file .mirrorfs at its top.  Functions return 0 or a negative errno, with
 * a message.
 */
#ifndef TOOLS_RESTORE_OUT_H
#define TOOLS_RESTORE_OUT_H

#include "bitmapfile/error.h"

#include <stdbool.h>

struct restore_out {
	const char *path; /* borrowed */
	int fd;
	bool made; /* it wasn't there before */
};

/* Opens it, or makes it; refuses what isn't empty or is in a replica.  Marked when this returns. */
int restore_out_open(const char *path, struct restore_out *ret, struct bmf_error *err);

/* All that is in it is durable, and it has no mark any more. */
int restore_out_finish(struct restore_out *out, struct bmf_error *err);

/* Removes what is in it; and itself, if it was made.  Says in err if that can't be done. */
void restore_out_undo(struct restore_out *out, struct bmf_error *err);

void restore_out_close(struct restore_out *out);

#endif
