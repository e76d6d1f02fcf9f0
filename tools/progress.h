/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - what this process is doing and how far it is, for whoever wants to know
 *
 * Process-wide, as stop.h.  Engines say where they are; nothing comes of that unless a verb has
 * begun to tell.  Then a thread of its own does so on stderr, also while all others wait for a
 * lock, a hook or a disk:
 *
 *   - a line on a terminal, never wider than it, and erased at the end;
 *   - or events, a JSON object a line (mirrorctl-sync(8) describes them);
 *   - and at each SIGUSR1 one line or event at once, whatever else is told.
 *
 * SIGUSR1 is blocked in all threads, so that it interrupts nobody, and nobody dies of it who has
 * nothing to tell yet; who starts another program lets it through again.
 *
 * Thread safe, but for begin and end, which are the main thread's.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_phase {
	PROGRESS_OPENING,
	PROGRESS_WAITING, /* for a lock */
	PROGRESS_HOOK,
	PROGRESS_CHECKPOINT,
	PROGRESS_PLANNING,
	PROGRESS_COPYING,
	PROGRESS_COMMITTING,
	PROGRESS_PUBLISHING,
	PROGRESS_KEEPING, /* the tree of a checkpoint */
	PROGRESS_PROVING,
	PROGRESS_REPAIRING,
	PROGRESS_COMPARING,
	PROGRESS_RESTORING,
	PROGRESS_RESTING, /* until the next sync is due */
};

enum progress_how {
	PROGRESS_NONE, /* but when asked by SIGUSR1 */
	PROGRESS_LINE, /* if stderr is a terminal that can erase it again */
	PROGRESS_EVENTS,
};

/* Blocks SIGUSR1: before there is any other thread. */
void progress_init(void);

/* verb is borrowed until the end. */
void progress_begin(const char *verb, enum progress_how how);

/* status: the exit code.  No error if it wasn't begun. */
void progress_end(int status);

/* From now on; nothing of it is done yet.  Returns the phase that there was. */
enum progress_phase progress_enter(enum progress_phase phase);

/* The image that it is about by now, relative to the top. */
void progress_image(const char *path);

/* Bytes since the phase was entered, and how many there will be; total 0: nobody knows. */
void progress_update(uint64_t done, uint64_t total);

/* For who doesn't count: so many more. */
void progress_add(uint64_t nbytes);

/* Something is about to be printed: the line makes room for it. */
void progress_clear(void);

#endif
