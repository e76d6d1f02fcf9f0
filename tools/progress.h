/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - one line on a terminal that tells how far the work is
 *
 * Written to stderr a few times a second, never wider than the terminal, and erased at the
 * end.  Nothing at all when stderr is no terminal.  Not thread safe.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *verb; /* "copying" */
	bool enabled, shown;
	int64_t begin_ns, last_ns;
};

/* wanted: false turns it off for good. */
void progress_begin(struct progress *progress, const char *verb, bool wanted);
void progress_update(struct progress *progress, uint64_t done, uint64_t total);
void progress_end(struct progress *progress);

/* The line as it would be shown, at most columns wide; text has room for size bytes. */
char *progress_format(const char *verb, uint64_t done, uint64_t total, double seconds,
		      unsigned int columns, char *text, unsigned long size);

#endif
