/* SPDX-License-Identifier: GPL-2.0-or-later */
/* progress_show.h - the forms in which progress is told; pure, internal to progress.c */
#ifndef TOOLS_PROGRESS_SHOW_H
#define TOOLS_PROGRESS_SHOW_H

#include "tools/progress.h"

#include <jansson.h>
#include <stddef.h>

struct progress_view {
	enum progress_phase phase;
	double seconds; /* in that phase */
	uint64_t done, total;
	double rate;	   /* bytes a second, of late */
	const char *image; /* NULL: none in particular */
};

#define PROGRESS_TEXT 512

/*
 * "copying 1.0 MiB of 4.0 MiB, 25%, 1.0 MiB/s, 3.0 s left: 'a.img'", in fewer than columns; 0: as
 * long as it takes.
 */
char *progress_text(const struct progress_view *view, unsigned int columns,
		    char text[PROGRESS_TEXT]);

/* A stable word for the phase. */
const char *progress_word(enum progress_phase phase);

/* The event "progress".  NULL: no memory. */
json_t *progress_event(const struct progress_view *view);

#endif
