/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.c - what the daemon says, to stderr or syslog */
#include "config.h"

#include "fs/log.h"

#include "bitmapfile/error.h"
#include "bitmapfile/quote.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fuse_log.h>

#define LINE 4096	  /* of a message, before it is quoted */
#define QUOTED (2 * LINE) /* and after */

static bool to_syslog;
static int capture_fd = -1; /* what stands in for stderr during a capture */
static int stderr_fd = -1;  /* the real one meanwhile */
static char captured[LINE];

static void log_text(int priority, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));
static void libfuse_log(enum fuse_log_level level, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void log_text(int priority, const char *format, va_list ap)
{
	char said[LINE], text[QUOTED];
	size_t n;

	vsnprintf(said, sizeof(said), format, ap);
	n = strlen(said);
	while (n > 0 && said[n - 1] == '\n') /* libfuse ends its messages with one */
		said[--n] = '\0';
	bmf_quote(said, text, sizeof(text));
	if (to_syslog)
		syslog(priority, "%s", text);
	else
		dprintf(stderr_fd >= 0 ? stderr_fd : STDERR_FILENO, "mirrorfs: %s\n", text);
}

void mfs_log(int priority, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_text(priority, format, ap);
	va_end(ap);
}

void mfs_log_to_syslog(void)
{
	openlog("mirrorfs", LOG_PID, LOG_DAEMON);
	to_syslog = true;
}

const char *mfs_reason(int code)
{
	return bmf_errno_text(code);
}

/* libfuse's levels have syslog's numbers. */
static void libfuse_log(enum fuse_log_level level, const char *format, va_list ap)
{
	if (capture_fd >= 0)
		vdprintf(STDERR_FILENO, format, ap);
	else
		log_text((int)level, format, ap);
}

void mfs_log_attach_libfuse(void)
{
	fuse_set_log_func(libfuse_log);
}

void mfs_log_capture_begin(void)
{
	captured[0] = '\0';
	capture_fd = memfd_create("stderr", MFD_CLOEXEC);
	stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (capture_fd >= 0 && stderr_fd >= 0)
		dup2(capture_fd, STDERR_FILENO);
}

/* Keeps the last line of text, without the name of the library in front of it. */
static void keep_last_line(char text[LINE])
{
	size_t n = strlen(text);
	const char *line;

	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	if (strncmp(line, "fuse: ", 6) == 0)
		line += 6;
	memcpy(captured, line, strlen(line) + 1); /* line is no longer than text is */
}

const char *mfs_log_capture_end(void)
{
	char text[LINE];
	off_t end, from;
	ssize_t n;

	if (stderr_fd >= 0) {
		dup2(stderr_fd, STDERR_FILENO);
		close(stderr_fd);
		stderr_fd = -1;
	}
	if (capture_fd >= 0) {
		end = lseek(capture_fd, 0, SEEK_END);
		from = end < LINE ? 0 : end - (LINE - 1);
		n = pread(capture_fd, text, LINE - 1, from);
		text[n > 0 ? n : 0] = '\0';
		keep_last_line(text);
		close(capture_fd);
		capture_fd = -1;
	}
	return captured;
}
