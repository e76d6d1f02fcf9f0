/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * picture_file.h - a file that is there whole or not at all, for what users give the name of
 */
#ifndef TOOLS_PICTURE_FILE_H
#define TOOLS_PICTURE_FILE_H

#include "bitmapfile/error.h"

#include <stdio.h>

struct picture {
	const char *magic;			  /* what such files begin with, up to 63 bytes */
	int (*show)(const void *arg, FILE *file); /* writes it; 0 or a negative errno */
	const void *arg;
};

/*
 * Writes a picture to the file of that name; "-" is stdout.  A regular file is replaced when all
 * has been written, if it is a picture of that kind: by a slip it could be an image.  So could a
 * block device, which is refused.  Others (pipes, /dev/null) are written to.  Nothing is made
 * durable: it can be drawn again.  0 or a negative errno with a message.
 */
int picture_file_write(const char *path, const struct picture *picture, struct bmf_error *err);

#endif
