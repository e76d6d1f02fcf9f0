/* SPDX-License-Identifier: GPL-2.0-or-later */
/* daemon.c - not leaving who started the daemon in the dark: a terminal, or a service manager */
#include "config.h"

#include "fs/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

void mfs_daemon_notify(const char *state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;
	ssize_t sent;
	int fd;

	if (n == 0 || n > sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, n);
	if (path[0] == '@') /* an abstract one */
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)sent; /* who doesn't listen isn't told */
	close(fd);
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
