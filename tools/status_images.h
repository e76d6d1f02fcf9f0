/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_images.h - a source's images as a table, with their sum */
#ifndef TOOLS_STATUS_IMAGES_H
#define TOOLS_STATUS_IMAGES_H

#include "tools/status.h"

#include <stdio.h>

/* Lines that the table takes beside those of images: a blank one, titles, sum, "and N more". */
#define STATUS_IMAGES_LINES 4

/*
 * limit: how many images at most, those of which most has to be copied; 0: all, in the tree's
 * order.  columns: as many as the terminal has; 0: it is none.  0 or -ENOMEM.
 */
int status_images_print(const struct status *status, size_t limit, unsigned int columns, FILE *out);

#endif
