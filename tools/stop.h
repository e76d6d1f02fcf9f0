/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stop.h - SIGINT, SIGTERM and SIGHUP end a sync or a verify soon, and in order
 *
 * After stop_catch() the first such signal only sets a flag, which long loops look at;
 * they return -ECANCELED.  The second one ends the process at once: that is safe too.
 */
#ifndef TOOLS_STOP_H
#define TOOLS_STOP_H

#include <stdint.h>

void stop_catch(void);

/* The number of the signal that asked to stop; 0: none did. */
int stop_signal(void);

/* Waits so long; not at all, or no longer, once a signal has asked to stop. */
void stop_wait(uint64_t ms);

#endif
