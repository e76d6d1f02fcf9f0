/* SPDX-License-Identifier: GPL-2.0-or-later */
/* beneath.c - opens paths below a directory, never following a symlink */
#include "config.h"

#include "tools/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A path that fits into one system call. */
static int open_short(int top_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd;

	do {
		fd = syscall(SYS_openat2, top_fd, *path ? path : ".", &how, sizeof(how));
		/* EAGAIN: a rename elsewhere raced with the look-up */
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

/* Opens the directory that is the first nbytes of path, in steps that the kernel takes. */
static int open_directory(int top_fd, const char *path, size_t nbytes)
{
	char part[PATH_MAX];
	int fd = -1, next;

	do {
		size_t n = nbytes;

		if (n >= sizeof(part))
			for (n = sizeof(part) - 1; n > 0 && path[n] != '/'; n--)
				;
		memcpy(part, path, n);
		part[n] = '\0';
		next = open_short(fd < 0 ? top_fd : fd, part, O_PATH | O_DIRECTORY, 0);
		if (fd >= 0)
			close(fd);
		fd = next;
		if (n < nbytes)
			n++; /* the slash */
		path += n;
		nbytes -= n;
	} while (fd >= 0 && nbytes > 0);
	return fd;
}

int beneath_parent(int top_fd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	int fd = open_directory(top_fd, path, slash ? (size_t)(slash - path) : 0);

	if (fd >= 0)
		*ret_name = slash ? slash + 1 : path;
	return fd;
}

int beneath_open(int top_fd, const char *path, int flags, mode_t mode)
{
	const char *name;
	int parent, fd;

	if (strlen(path) < PATH_MAX)
		return open_short(top_fd, path, flags, mode);
	parent = beneath_parent(top_fd, path, &name);
	if (parent < 0)
		return parent;
	fd = open_short(parent, name, flags, mode);
	close(parent);
	return fd;
}

char *beneath_proc(int fd, char buf[BENEATH_PROC])
{
	snprintf(buf, BENEATH_PROC, "/proc/self/fd/%d", fd);
	return buf;
}

int beneath_reopen(int fd, int flags)
{
	char path[BENEATH_PROC];
	int r;

	do
		r = open(beneath_proc(fd, path), flags | O_CLOEXEC);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}
