/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * quote.h - what comes from outside, as one line of UTF-8
 *
 * Names may have any bytes.  In a log or on a terminal a newline in one makes an event of its own,
 * and an escape character does what it likes.  Pure functions.
 */
#ifndef BITMAPFILE_QUOTE_H
#define BITMAPFILE_QUOTE_H

#include <stddef.h>

/* The length of the UTF-8 sequence at s (1 to 4), or 0 when there is no valid one. */
size_t bmf_utf8(const char *s);

/*
 * Text with a backslash doubled, newline and tab as \n and \t, and other control characters and
 * bytes that are not UTF-8 as \xHH.  Cut with "..." at size, which is at least 4.  Returns buf.
 */
char *bmf_quote(const char *text, char *buf, size_t size);

#endif
