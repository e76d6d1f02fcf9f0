/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.c - what this process is doing and how far it is, for whoever wants to know
 *
 * The thread sleeps in sigtimedwait(2): it wakes up when it is time for another line, and when
 * somebody sends SIGUSR1, which it alone takes.  Its end is such a signal too.
 */
#include "config.h"

#include "tools/json.h"
#include "tools/monotonic.h"
#include "tools/progress.h"
#include "tools/progress_show.h"
#include "tools/rate.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LINE_INTERVAL_NS 200000000
#define EVENT_INTERVAL_NS 500000000
#define STACK_NBYTES ((size_t)256 << 10)

static struct {
	pthread_mutex_t lock;
	/* Below: lock. */
	const char *verb;
	enum progress_how how;
	bool begun, ending;
	bool shown; /* the line is on the terminal */
	int64_t begin_ns, phase_ns;
	int64_t quiet_ns; /* until then the line stays away */
	enum progress_phase phase;
	uint64_t done, total;
	struct rate rate;
	char *image; /* owned */
	/* The main thread's. */
	bool threaded;
	pthread_t thread;
} progress = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- telling; all with the lock held ---- */

static struct progress_view view_locked(int64_t now)
{
	return (struct progress_view){ .phase = progress.phase,
				       .seconds = (double)(now - progress.phase_ns) / 1e9,
				       .done = progress.done,
				       .total = progress.total,
				       .rate = rate_get(&progress.rate, now, progress.done),
				       .image = progress.image };
}

static void erase_locked(void)
{
	if (progress.shown)
		fputs("\r\033[K", stderr);
	progress.shown = false;
}

static void draw_line_locked(int64_t now)
{
	struct progress_view view = view_locked(now);
	struct winsize window = { 0 };
	char text[PROGRESS_TEXT];

	if (now < progress.quiet_ns)
		return;
	ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
	fprintf(stderr, "\r%s\033[K",
		progress_text(&view, window.ws_col ? window.ws_col : 80, text));
	fflush(stderr);
	progress.shown = true;
}

/* Lets go of it.  Without memory it is left out. */
static void put_event_locked(json_t *event)
{
	char *text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(9));

	if (text)
		fprintf(stderr, "%s\n", text);
	fflush(stderr);
	free(text);
	json_decref(event);
}

static void put_named_event_locked(const char *name, const char *key, const char *value)
{
	json_t *event = json_object();

	json_put_text(event, "event", name);
	json_put_text(event, key, value);
	put_event_locked(event);
}

static void answer_locked(int64_t now)
{
	struct progress_view view = view_locked(now);
	char text[PROGRESS_TEXT];

	if (progress.how == PROGRESS_EVENTS) {
		put_event_locked(progress_event(&view));
		return;
	}
	erase_locked();
	fprintf(stderr, "mirrorctl: %s: %s\n", progress.verb, progress_text(&view, 0, text));
	fflush(stderr);
}

static void tell_locked(int64_t now)
{
	struct progress_view view = view_locked(now);

	if (progress.how == PROGRESS_EVENTS)
		put_event_locked(progress_event(&view));
	else
		draw_line_locked(now);
}

/* ---- the thread ---- */

static sigset_t usr1(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return set;
}

void progress_init(void)
{
	sigset_t set = usr1();

	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int wait_for_signal(const sigset_t *set, enum progress_how how)
{
	struct timespec time = { .tv_nsec = how == PROGRESS_LINE ? LINE_INTERVAL_NS
								 : EVENT_INTERVAL_NS };

	return sigtimedwait(set, NULL, how == PROGRESS_NONE ? NULL : &time);
}

static void *serve(void *arg)
{
	const enum progress_how *how = arg;
	bool ending = false;
	sigset_t set = usr1();

	while (!ending) {
		int number = wait_for_signal(&set, *how);

		pthread_mutex_lock(&progress.lock);
		ending = progress.ending;
		if (!ending && number == SIGUSR1)
			answer_locked(monotonic_ns());
		else if (!ending && *how != PROGRESS_NONE)
			tell_locked(monotonic_ns());
		pthread_mutex_unlock(&progress.lock);
	}
	return NULL;
}

/* All signals but the one that it waits for are for the main thread. */
static void start_thread(void)
{
	pthread_attr_t attr;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_NBYTES);
	progress.threaded = pthread_create(&progress.thread, &attr, serve, &progress.how) == 0;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- begin and end ---- */

/* A dumb one can't erase the line again. */
static bool is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static void reset_locked(enum progress_phase phase)
{
	progress.phase = phase;
	progress.phase_ns = monotonic_ns();
	progress.done = progress.total = 0;
	rate_begin(&progress.rate, progress.phase_ns);
	free(progress.image);
	progress.image = NULL;
}

void progress_begin(const char *verb, enum progress_how how)
{
	if (how == PROGRESS_LINE && !is_terminal())
		how = PROGRESS_NONE;
	pthread_mutex_lock(&progress.lock);
	progress.verb = verb;
	progress.how = how;
	progress.begun = true;
	progress.ending = false;
	reset_locked(PROGRESS_OPENING);
	progress.begin_ns = progress.phase_ns;
	if (how == PROGRESS_EVENTS)
		put_named_event_locked("begin", "verb", verb);
	pthread_mutex_unlock(&progress.lock);
	start_thread();
}

static void put_end_locked(int status)
{
	json_t *event = json_object();

	json_put_text(event, "event", "end");
	json_put_text(event, "verb", progress.verb);
	json_object_set_new(event, "exit_code", json_integer(status));
	json_object_set_new(event, "seconds",
			    json_real((double)(monotonic_ns() - progress.begin_ns) / 1e9));
	put_event_locked(event);
}

void progress_end(int status)
{
	if (!progress.begun)
		return;
	pthread_mutex_lock(&progress.lock);
	progress.ending = true;
	pthread_mutex_unlock(&progress.lock);
	if (progress.threaded) {
		pthread_kill(progress.thread, SIGUSR1);
		pthread_join(progress.thread, NULL);
	}
	pthread_mutex_lock(&progress.lock);
	erase_locked();
	if (progress.how == PROGRESS_EVENTS)
		put_end_locked(status);
	reset_locked(PROGRESS_OPENING);
	progress.begun = progress.threaded = false;
	pthread_mutex_unlock(&progress.lock);
}

/* ---- what engines say ---- */

enum progress_phase progress_enter(enum progress_phase phase)
{
	enum progress_phase before;

	pthread_mutex_lock(&progress.lock);
	before = progress.phase;
	reset_locked(phase);
	if (progress.begun && progress.how == PROGRESS_EVENTS)
		put_named_event_locked("phase", "phase", progress_word(phase));
	pthread_mutex_unlock(&progress.lock);
	return before;
}

void progress_image(const char *path)
{
	pthread_mutex_lock(&progress.lock);
	free(progress.image);
	progress.image = progress.begun ? strdup(path) : NULL;
	pthread_mutex_unlock(&progress.lock);
}

void progress_update(uint64_t done, uint64_t total)
{
	pthread_mutex_lock(&progress.lock);
	progress.done = done;
	progress.total = total;
	rate_note(&progress.rate, monotonic_ns(), done);
	pthread_mutex_unlock(&progress.lock);
}

void progress_add(uint64_t nbytes)
{
	pthread_mutex_lock(&progress.lock);
	progress.done += nbytes;
	rate_note(&progress.rate, monotonic_ns(), progress.done);
	pthread_mutex_unlock(&progress.lock);
}

void progress_clear(void)
{
	pthread_mutex_lock(&progress.lock);
	erase_locked();
	progress.quiet_ns = monotonic_ns() + LINE_INTERVAL_NS;
	pthread_mutex_unlock(&progress.lock);
}
