/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pace.h - how fast this process may read and write what images hold: --bwlimit
 *
 * Process-wide, as stop.h: whatever reads or writes content, be it images, journals or deltas, asks
 * before each piece.  Reads and writes have a limit each, the same, so that a copy goes at that
 * rate, and what disks see of it is at most twice as much.  Metadata, digests and what a filesystem
 * shares instead of copying don't count.
 *
 * Not thread safe: who begins pieces is the main thread.
 */
#ifndef TOOLS_PACE_H
#define TOOLS_PACE_H

#include <stddef.h>
#include <stdint.h>

/* 0, as when it isn't set: no limit. */
void pace_set_limit(uint64_t bytes_a_second);

/* Return when so much may be read, or written; at once if a signal asks to stop. */
void pace_read(uint64_t nbytes);
void pace_write(uint64_t nbytes);

/*
 * How many of n pieces of that size are worth being under way at a time: no more than a moment's,
 * so that it is known how far it is, and little is waited for when a signal asks to stop.
 */
size_t pace_pieces(size_t n, size_t piece_nbytes);

#endif
