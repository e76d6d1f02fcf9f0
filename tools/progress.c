/* SPDX-License-Identifier: GPL-2.0-or-later */
/* progress.c - one line on a terminal that tells how far the work is */
#include "config.h"

#include "tools/progress.h"
#include "tools/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_NS 200000000

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void progress_begin(struct progress *progress, const char *verb, bool wanted)
{
	const char *term = wanted ? getenv("TERM") : NULL;

	*progress = (struct progress){ .verb = verb };
	/* a dumb terminal can't erase the line again */
	progress->enabled = wanted && isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
	progress->begin_ns = progress->last_ns = now_ns();
}

char *progress_format(const char *verb, uint64_t done, uint64_t total, double seconds,
		      unsigned int columns, char *text, unsigned long size)
{
	char done_text[TEXT_BYTES], total_text[TEXT_BYTES], rate_text[TEXT_BYTES];
	char left_text[TEXT_DURATION] = "?";
	double rate = seconds > 0 ? (double)done / seconds : 0;

	if (rate > 0 && total >= done)
		text_duration((double)(total - done) / rate, left_text);
	snprintf(text, size, "%s %s of %s, %d%%, %s/s, %s left", verb, text_bytes(done, done_text),
		 text_bytes(total, total_text),
		 total ? (int)(100.0 * (double)done / (double)total) : 100,
		 text_bytes((uint64_t)rate, rate_text), left_text);
	/* the last column stays free: some terminals wrap when it is written to */
	if (columns > 0 && strlen(text) >= columns)
		text[columns - 1] = '\0';
	return text;
}

void progress_update(struct progress *progress, uint64_t done, uint64_t total)
{
	struct winsize window = { 0 };
	int64_t now;
	char text[200];

	if (!progress->enabled)
		return;
	now = now_ns();
	if (now - progress->last_ns < INTERVAL_NS)
		return;
	progress->last_ns = now;
	ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
	progress_format(progress->verb, done, total, (double)(now - progress->begin_ns) / 1e9,
			window.ws_col ? window.ws_col : 80, text, sizeof(text));
	fprintf(stderr, "\r%s\033[K", text);
	fflush(stderr);
	progress->shown = true;
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
