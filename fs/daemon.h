/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * daemon.h - not leaving who started the daemon in the dark: a terminal, or a service manager
 *
 * The child is made first and does all the work: locks, threads and the process
 * id that others see are then its own from the start.  The parent waits until the
 * child is ready, or has failed, and exits with its exit code.
 */
#ifndef FS_DAEMON_H
#define FS_DAEMON_H

/*
 * Forks.  Returns in the child only, with 0, or in the only process with -errno.  The
 * parent exits when the child says it is ready (0) or ends (its exit code).
 */
int mfs_daemon_begin(void);

/*
 * Tells a service manager (sd_notify(3): NOTIFY_SOCKET in the environment) how things are, such as
 * "READY=1", in lines.  Of a process in the foreground: another isn't its own.  Does nothing where
 * there is none, or it doesn't listen.
 */
void mfs_daemon_notify(const char *state);

/*
 * Lets the parent go, and cuts the ties to its terminal: a session of its own, / as
 * working directory, /dev/null as standard streams.  Does nothing in the foreground, where
 * begin was not called.
 */
void mfs_daemon_ready(void);

#endif
