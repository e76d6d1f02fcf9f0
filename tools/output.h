/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * output.h - stdout and its errors, and the one form that messages on stderr have
 */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

/* Everything printed so far has got to where stdout leads: 0 or a negative errno. */
int output_finish(void);

/* "mirrorctl: ..." on stderr. */
void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
