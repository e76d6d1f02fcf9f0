/* SPDX-License-Identifier: GPL-2.0-or-later */
/* daemon.c - going into the background without leaving the caller in the dark */
#include "config.h"

#include "fs/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_fd = -1;

/* The parent: never returns. */
static void wait_for_child(int fd, pid_t child)
{
	int status = 0;
	char byte;
	ssize_t n;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int mfs_daemon_begin(void)
{
	int pipe_fds[2];
	pid_t child;
	int r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		r = -errno;
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		return r;
	}
	if (child > 0) {
		close(pipe_fds[1]);
		wait_for_child(pipe_fds[0], child);
	}
	close(pipe_fds[0]);
	ready_fd = pipe_fds[1];
	return 0;
}

void mfs_daemon_ready(void)
{
	int null_fd;
	ssize_t n;

	if (ready_fd < 0)
		return;
	setsid();
	n = chdir("/");
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd >= 0) {
		dup2(null_fd, STDIN_FILENO);
		dup2(null_fd, STDOUT_FILENO);
		dup2(null_fd, STDERR_FILENO);
		close(null_fd);
	}
	n += write(ready_fd, "", 1);
	(void)n; /* a directory kept busy, a parent that is gone: nothing to stop for */
	close(ready_fd);
	ready_fd = -1;
}
