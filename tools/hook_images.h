/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hook_images.h - the images of a source, as a hook gets to know of them */
#ifndef TOOLS_HOOK_IMAGES_H
#define TOOLS_HOOK_IMAGES_H

#include "bitmapfile/error.h"

struct hook_images {
	char *lines; /* one a line, quoted; NULL when that is too long for an environment */
	char *file;  /* path of a temporary file with all of them, each ended by a NUL */
};

/* Makes the temporary file; whoever is the last to need it removes it. */
int hook_images_list(int source_fd, const char *source, struct hook_images *ret,
		     struct bmf_error *err);
void hook_images_destroy(struct hook_images *images);

#endif
