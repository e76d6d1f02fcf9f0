/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output.h - stdout and its errors, and the one form that messages on stderr have
 */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include "bitmapfile/error.h"

/* Everything printed so far has got to where stdout leads: 0 or a negative errno. */
int output_finish(void);

/* r of what came last, such as output_finish(): the exit code; an error is told. */
int output_status(int r);

/* "mirrorctl: ..." on stderr. */
void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "mirrorctl: warning: ..."; for those who call back, with whatever arg. */
void output_warning(void *arg, const char *text);

/*
 * verb failed at path, with r: says what err says, or that a signal stopped it, and what to do then
 * (NULL: nothing).  Returns the exit code: status, but after a signal that signal's.
 */
int output_failure(const char *verb, const char *path, const char *again, int status, int r,
		   const struct bmf_error *err);

#endif
