/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status_watch.c - a status again and again, until a signal
 *
 * A frame for a terminal is made in memory and written at once: from the top left corner, each line
 * over the old one, then what is left of the old frame is erased.  Nothing is blank in between.
 * Lines that are too long are cut by the terminal, which isn't to wrap them for that long.
 */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/status_show.h"
#include "tools/status_watch.h"
#include "tools/stop.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BEGIN "\033[?7l\033[H" /* no wrapping; the top left corner */
#define LINE_END "\033[K\n"	     /* erases what is right of it */
#define FRAME_END "\033[J\033[?7h"   /* erases what is below; wrapping again */

#define HEAD_LINES 2 /* of a frame: the time, a blank line */

/* What is shown of one look: a status, or why there is none. */
struct look {
	const char *path;
	struct status status;
	struct bmf_error err;
	int r;
};

static void look(struct look *look)
{
	look->err = (struct bmf_error){ 0 };
	look->r = status_read(look->path, &look->status, &look->err);
}

static const char *why(const struct look *look)
{
	return look->err.code ? look->err.text : fail_reason(look->r);
}

static bool is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

/* ---- a frame on a terminal ---- */

static struct status_room size_of_terminal(void)
{
	struct winsize window = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
	return (struct status_room){ .columns = window.ws_col ? window.ws_col : 80,
				     .rows = window.ws_row ? window.ws_row : 24 };
}

/* The last row stays free: a newline there would scroll. */
static void put_lines(const char *text, unsigned int rows)
{
	for (unsigned int row = 1; *text && row < rows; row++) {
		size_t n = strcspn(text, "\n");

		fwrite(text, 1, n, stdout);
		fputs(LINE_END, stdout);
		text += n + (text[n] == '\n');
	}
}

static int fill_frame(const struct look *look, struct status_room room, FILE *out)
{
	char when[TEXT_TIME];

	fprintf(out, "%s\n\n", text_time((int64_t)time(NULL) * 1000000000, when));
	if (look->r < 0) {
		fprintf(out, "%s\n", why(look));
		return 0;
	}
	room.rows = room.rows > HEAD_LINES + 1 ? room.rows - HEAD_LINES - 1 : 1;
	return status_table_print(&look->status, look->path, room, out);
}

static int show_frame(const struct look *look)
{
	struct status_room room = size_of_terminal();
	char *text = NULL;
	size_t size;
	FILE *frame = open_memstream(&text, &size);
	int r;

	if (!frame)
		return -ENOMEM;
	r = fill_frame(look, room, frame);
	if (fclose(frame) != 0)
		r = -ENOMEM;
	if (r == 0) {
		fputs(FRAME_BEGIN, stdout);
		put_lines(text, room.rows);
		fputs(FRAME_END, stdout);
		r = output_finish();
	}
	free(text);
	return r;
}

/* ---- elsewhere ---- */

static int show_block(const struct look *look, bool first)
{
	const struct status_room all = { 0 };
	char when[TEXT_TIME];
	int r;

	printf("%s%s\n", first ? "" : "\n", text_time(look->status.time_ns, when));
	r = status_table_print(&look->status, look->path, all, stdout);
	return r < 0 ? r : output_finish();
}

static int show(const struct look *look, bool as_json, bool in_place, bool first)
{
	if (in_place)
		return show_frame(look);
	if (look->r < 0) {
		output_error("%s", why(look));
		return 0;
	}
	if (as_json)
		return json_print_line(status_json(&look->status, look->path));
	return show_block(look, first);
}

int status_watch(const char *path, uint64_t interval_ms, bool as_json)
{
	bool in_place = !as_json && is_terminal();
	struct look now = { .path = path };

	stop_catch();
	for (bool first = true; !stop_signal(); first = false) {
		int r;

		look(&now);
		if (now.r < 0 && first) {
			output_error("%s", why(&now));
			return EXIT_FAILURE;
		}
		r = show(&now, as_json, in_place, first);
		if (now.r == 0)
			status_destroy(&now.status);
		if (r < 0) {
			output_error("write to standard output: %s", fail_reason(r));
			return EXIT_FAILURE;
		}
		stop_wait(interval_ms);
	}
	return EXIT_SIGNAL + stop_signal();
}
