/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status_warnings.h - what of a status somebody should look at
 *
 * Images of which the next sync goes through everything, though bitmaps should have told; and a
 * replica that was given up, perhaps, and for which a lot is kept.  A pure function of the status.
 */
#ifndef TOOLS_STATUS_WARNINGS_H
#define TOOLS_STATUS_WARNINGS_H

#include "tools/status.h"

struct status_warning {
	const struct status_image *image; /* NULL: it is of a replica */
	const struct bmf_cursor *replica;
	const char *reason; /* a word for JSON */
	char *text;	    /* for people; owned */
};

struct status_warnings {
	struct status_warning *items;
	size_t n;
};

/* path: of the directory, for what text says to type.  0 or -ENOMEM. */
int status_warnings_find(const struct status *status, const char *path,
			 struct status_warnings *ret);
void status_warnings_destroy(struct status_warnings *warnings);

#endif
