/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * locker.c - takes a lock on a file, as QEMU (ofd), scripts (flock) and others (posix) do
 *
 *   locker flock|ofd|posix FILE try    exit 0: got it, 3: held by another
 *   locker flock|ofd|posix FILE hold   says "held" and keeps it until stdin ends
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define EXIT_HELD 3

static int take(const char *kind, int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1 };

	if (strcmp(kind, "flock") == 0)
		return flock(fd, LOCK_EX | LOCK_NB);
	return fcntl(fd, strcmp(kind, "ofd") == 0 ? F_OFD_SETLK : F_SETLK, &lock);
}

int main(int argc, char **argv)
{
	char c;
	int fd;

	if (argc != 4)
		return 2;
	fd = open(argv[2], O_RDWR);
	if (fd < 0) {
		perror(argv[2]);
		return 2;
	}
	if (take(argv[1], fd) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return EXIT_HELD;
		perror(argv[1]);
		return 2;
	}
	if (strcmp(argv[3], "hold") == 0) {
		printf("held\n");
		fflush(stdout);
		while (read(STDIN_FILENO, &c, 1) > 0)
			;
	}
	return 0;
}
