/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - what the daemon says, one event a line, and one line an event
 *
 * To stderr until mfs_log_to_syslog(), to syslog from then on.  Messages read
 * "verb 'path': reason", lower case, without a full stop or newline.  They are quoted
 * as a whole (quote.h), so names go into them as they are.  Thread safe
 * except mfs_log_to_syslog(), which is called while there is one thread.
 */
#ifndef FS_LOG_H
#define FS_LOG_H

#include <syslog.h>

/* priority: LOG_ERR, LOG_WARNING, LOG_INFO or LOG_DEBUG of syslog(3). */
void mfs_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

void mfs_log_to_syslog(void);

/* What an error is, in lower case, as messages have it.  Valid until the thread's next call. */
const char *mfs_reason(int code);

/*
 * libfuse speaks through this log too.  While a capture is on, the last line of
 * what it says (and of what a child process writes to stderr) is kept instead,
 * so that the caller can make it part of one message.  Single-threaded use.
 */
void mfs_log_attach_libfuse(void);
void mfs_log_capture_begin(void);
/* Ends it, and returns the line; "" if there was none.  Valid until the next capture. */
const char *mfs_log_capture_end(void);

#endif
