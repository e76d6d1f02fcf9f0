/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fail.h - messages of the form: verb 'path': reason
 *
 * Each fills err (which may be NULL) and returns code, a negative errno.  The path is
 * made of top and below (NULL or "" for the top itself), and quoted for a terminal.
 */
#ifndef TOOLS_FAIL_H
#define TOOLS_FAIL_H

#include "bitmapfile/error.h"

/* The reason is the errno's text. */
int fail_errno(struct bmf_error *err, int code, const char *verb, const char *top,
	       const char *below);

int fail_text(struct bmf_error *err, int code, const char *verb, const char *top, const char *below,
	      const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The errno's text with a lower-case first letter; valid until the thread's next call. */
const char *fail_reason(int code);

#endif
