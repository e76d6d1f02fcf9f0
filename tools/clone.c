/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clone.c - a file that shares its blocks with another: reflinks */
#include "config.h"

#include "tools/clone.h"

#include "bitmapfile/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

int clone_file(int to_fd, int from_fd)
{
	if (ioctl(to_fd, FICLONE, from_fd) == 0)
		return 0;
	switch (errno) {
	case ENOTTY:
	case EINVAL:
	case EXDEV:
	case ENOSYS:
		return -EOPNOTSUPP;
	default:
		return -errno;
	}
}

/* Some filesystems that can clone have no O_TMPFILE. */
static int make_nameless(int dir_fd)
{
	static const char name[] = "clone" BMF_TEMP_SUFFIX;
	int fd = openat(dir_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	unlinkat(dir_fd, name, 0);
	return fd;
}

int clone_works(int dir_fd)
{
	int from, to = -1, r = make_nameless(dir_fd);

	if (r < 0)
		return r;
	from = r;
	/* some have nothing against an empty one */
	r = pwrite(from, "x", 1, 0) == 1 ? 0 : -EIO;
	if (r == 0)
		r = to = make_nameless(dir_fd);
	if (to >= 0) {
		r = clone_file(to, from);
		close(to);
	}
	close(from);
	return r == -EOPNOTSUPP ? 0 : r < 0 ? r : 1;
}
