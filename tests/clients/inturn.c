/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inturn.c - inturn LOG FILE...: writes 1, 2, 3, ... to each FILE, one file after the other
 *
 * A number is durable in one file before the next file gets it, and in all of them before
 * it is written to LOG, as a line.  So at every instant no file's number is smaller than that of
 * the files after it, nor larger by more than one, nor is any smaller than the log's last.
 *
 * It has no end.  If anything fails, it says "guest: FAIL" and why, and exits with 1.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NFILES 8
#define LINE 21 /* a number of a fixed length, so that a file is always written in place */

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "guest: FAIL: inturn: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	int log_fd, fds[NFILES], nfiles = argc - 2;
	char line[LINE + 1];

	if (nfiles < 1 || nfiles > NFILES)
		return 2;
	log_fd = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
	must(log_fd >= 0, argv[1]);
	for (int i = 0; i < nfiles; i++) {
		fds[i] = open(argv[2 + i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		must(fds[i] >= 0, argv[2 + i]);
	}
	for (unsigned long long n = 1;; n++) {
		snprintf(line, sizeof(line), "%020llu\n", n);
		for (int i = 0; i < nfiles; i++) {
			must(pwrite(fds[i], line, LINE, 0) == LINE, argv[2 + i]);
			must(fsync(fds[i]) == 0, "fsync");
		}
		must(write(log_fd, line, LINE) == LINE, "write the log");
	}
}
