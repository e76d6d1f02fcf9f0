/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_priority.h - how this process stands with those that use the same disks, as ionice(1) has it
 *
 * Threads and processes have what the one had that made them, so it is to be set before there are
 * any. The kernel's own, for io_uring, have what the thread has that hands a request in.
 */
#ifndef TOOLS_IO_PRIORITY_H
#define TOOLS_IO_PRIORITY_H

/*
 * "idle", "best-effort" and "realtime", the last two perhaps with ":" and a level from 0, the
 * highest, to 7; 4 without.  0 or -EINVAL.
 */
int io_priority_parse(const char *text, int *ret);

/* 0 or a negative errno; -EPERM: that takes rights. */
int io_priority_set(int priority);

/* Back to what it was before, if it was set: for a process that is to be another program. */
void io_priority_reset(void);

#endif
