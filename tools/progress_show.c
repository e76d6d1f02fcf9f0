/* SPDX-License-Identifier: GPL-2.0-or-later */
/* progress_show.c - the forms in which progress is told */
#include "config.h"

#include "tools/json.h"
#include "tools/progress_show.h"
#include "tools/text.h"

#include <stdio.h>
#include <string.h>

/* A name that would be cut to fewer tells nobody anything. */
#define NAME_MIN 8

static const struct {
	const char *word, *text;
} phases[] = {
	[PROGRESS_OPENING] = { "opening", "opening" },
	[PROGRESS_WAITING] = { "waiting", "waiting for a lock" },
	[PROGRESS_HOOK] = { "hook", "running a hook" },
	[PROGRESS_CHECKPOINT] = { "checkpoint", "making the checkpoint" },
	[PROGRESS_PLANNING] = { "planning", "planning" },
	[PROGRESS_COPYING] = { "copying", "copying" },
	[PROGRESS_COMMITTING] = { "committing", "committing" },
	[PROGRESS_PUBLISHING] = { "publishing", "publishing" },
	[PROGRESS_KEEPING] = { "keeping", "keeping the checkpoint" },
	[PROGRESS_PROVING] = { "proving", "proving" },
	[PROGRESS_REPAIRING] = { "repairing", "repairing" },
	[PROGRESS_COMPARING] = { "comparing", "comparing" },
	[PROGRESS_RESTORING] = { "restoring", "restoring" },
	[PROGRESS_RESTING] = { "resting", "waiting until the next sync is due" },
};

const char *progress_word(enum progress_phase phase)
{
	return phases[phase].word;
}

/* false: nobody knows. */
static bool seconds_left(const struct progress_view *view, double *ret)
{
	if (view->rate <= 0 || view->total < view->done)
		return false;
	*ret = (double)(view->total - view->done) / view->rate;
	return true;
}

static void put_numbers(const struct progress_view *view, char text[PROGRESS_TEXT])
{
	char done[TEXT_BYTES], total[TEXT_BYTES], rate[TEXT_BYTES], left[TEXT_DURATION] = "?";
	const char *doing = phases[view->phase].text;
	double seconds;

	text_bytes(view->done, done);
	text_bytes((uint64_t)view->rate, rate);
	if (view->done == 0 && view->total == 0) {
		snprintf(text, PROGRESS_TEXT, "%s, %s", doing, text_duration(view->seconds, left));
	} else if (view->total == 0) {
		snprintf(text, PROGRESS_TEXT, "%s %s, %s/s", doing, done, rate);
	} else {
		if (seconds_left(view, &seconds))
			text_duration(seconds, left);
		snprintf(text, PROGRESS_TEXT, "%s %s of %s, %d%%, %s/s, %s left", doing, done,
			 text_bytes(view->total, total),
			 (int)(100.0 * (double)view->done / (double)view->total), rate, left);
	}
}

char *progress_text(const struct progress_view *view, unsigned int columns,
		    char text[PROGRESS_TEXT])
{
	/* the last column stays free: some terminals wrap when it is written to */
	size_t room = columns > 0 && columns < PROGRESS_TEXT ? columns : PROGRESS_TEXT, n;
	char name[PROGRESS_TEXT];

	put_numbers(view, text);
	n = strlen(text);
	if (n >= room) {
		text[room - 1] = '\0';
	} else if (view->image && room - n > sizeof(": ''") + NAME_MIN) {
		text_quote(view->image, name, room - n - strlen(": ''"));
		snprintf(text + n, room - n, ": '%s'", name);
	}
	return text;
}

json_t *progress_event(const struct progress_view *view)
{
	json_t *event = json_object();
	double seconds;

	json_put_text(event, "event", "progress");
	json_put_text(event, "phase", progress_word(view->phase));
	json_object_set_new(event, "seconds", json_real(view->seconds));
	json_put_number(event, "bytes_done", view->done);
	json_put_number(event, "bytes_total", view->total);
	json_put_number(event, "rate", (uint64_t)view->rate);
	json_object_set_new(event, "seconds_left",
			    seconds_left(view, &seconds) ? json_real(seconds) : json_null());
	if (view->image)
		json_put_name(event, "image", view->image);
	else
		json_object_set_new(event, "image", json_null());
	return event;
}
