/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * error.h - the reason of a failure that errno alone can't tell
 *
 * A function that takes a struct bmf_error fills it whenever it fails; the
 * text reads "verb 'path': reason", lower case and without a full stop, so that
 * a caller can print it as it is.  NULL is allowed wherever one is taken.
 */
#ifndef BITMAPFILE_ERROR_H
#define BITMAPFILE_ERROR_H

struct bmf_error {
	int code; /* the negative errno that was returned */
	char text[512];
};

/* What a negative errno is, in lower case, as messages have it.  Valid until the thread's next
 * call. */
const char *bmf_errno_text(int code);

/* Fills *err (if any) and returns code, which is a negative errno. */
int bmf_error_set(struct bmf_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
