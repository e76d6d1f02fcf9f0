/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text.h - bytes, names and times as people read them
 *
 * Pure functions; those that take a buffer return it.
 */
#ifndef TOOLS_TEXT_H
#define TOOLS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_BYTES 32
#define TEXT_TIME 32
#define TEXT_DURATION 32
#define TEXT_PERCENT 16
#define TEXT_AGE 32
#define TEXT_NAME 400
#define TEXT_FILES (TEXT_NAME + 160)

/* "0 B", "512 B", "3.0 MiB". */
char *text_bytes(uint64_t nbytes, char buf[TEXT_BYTES]);

/*
 * "0", "512", "1.5K", "10M": bytes, with powers of 1024 up to T, of either case.  0; or -EINVAL
 * when it is none, or more than an EiB.
 */
int text_parse_bytes(const char *text, uint64_t *ret);

/* How much part is of whole: "0.07%"; never "0.00%" or "100.00%" for what isn't quite. */
char *text_percent(uint64_t part, uint64_t whole, char buf[TEXT_PERCENT]);

/* "0.1 s", "1:05", "2:00:00". */
char *text_duration(double seconds, char buf[TEXT_DURATION]);

/* How long ago something was, in two units at most: "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h".
 */
char *text_age(uint64_t seconds, char buf[TEXT_AGE]);

/* UTC, as RFC 3339 has it: "2025-01-31T23:59:59Z". */
char *text_time(int64_t time_ns, char buf[TEXT_TIME]);

/* The length of the UTF-8 sequence at s (1 to 4), or 0 when there is no valid one. */
size_t text_utf8(const char *s);
bool text_is_utf8(const char *s);

/* How many characters text has; bytes that are no UTF-8 are one each. */
size_t text_width(const char *text);

/*
 * A name for a terminal: a backslash is doubled, newline and tab are \n and \t, other
 * control characters and bytes that are not UTF-8 are \xHH.  Cut with "..." at size,
 * which is at least 4.
 */
char *text_quote(const char *name, char *buf, size_t size);

/* The same without a limit, for JSON; the caller frees it.  NULL: no memory. */
char *text_escape(const char *name);

/* A name for what has to be UTF-8: as it is if it is that, else escaped.  Likewise. */
char *text_for_utf8(const char *name);

/* Counts files that something is to be said of; *first: the path of the first, owned, or NULL. */
void text_note(uint64_t *n, char **first, const char *path);

/* "WHAT: 2 file(s), such as 'a'"; example is the path of one of n, or NULL if that got lost. */
char *text_files(const char *what, uint64_t n, const char *example, char buf[TEXT_FILES]);

#endif
