/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.h - threads that receive requests and carry them out
 *
 * As many as are needed, up to a limit (crew.h): one while requests come one at a time, a few
 * where they are short, as many as there are requests where these block.  Each has its own umask,
 * and its own receive buffer, laid out such that the payload of a write lies at a page boundary,
 * as O_DIRECT on the backing file demands.
 *
 * The session ends when it is unmounted, or by a SIGTERM, SIGINT or SIGHUP, which must be
 * blocked in the calling thread from the start of the process on.
 */
#ifndef FS_LOOP_H
#define FS_LOOP_H

#include <stdbool.h>

struct fuse_session;

/*
 * Carries out INIT, which the kernel sends at the mount, in the calling thread, and before
 * any other: *initialized is set by it.  0, or -errno: the session is of no use.
 */
int mfs_loop_initialize(struct fuse_session *session, const bool *initialized);

/*
 * Serves until the session ends, and returns when the last request has been
 * carried out: 0, or -errno of what ended it.  When the end has come, and while requests are
 * still served, ending(arg) is called.
 */
int mfs_loop(struct fuse_session *session, void (*ending)(void *arg), void *arg);

/*
 * The calling thread, which carries out a request, is about to wait for something that may take
 * long, and has waited.  Meanwhile it is not counted, so that others are served at once, and not
 * only when it is seen that nobody gets on.  Calls pair up; for other threads they do nothing.
 */
void mfs_loop_wait_begin(void);
void mfs_loop_wait_end(void);

/* Blocks the signals that end a session; for main(), before any thread is made. */
void mfs_loop_block_signals(void);

#endif
