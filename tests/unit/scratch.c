/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scratch.c - a directory for a test case, gone when it ends */
#include "config.h"

#include "tests/unit/scratch.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

char scratch_path[4096];
int scratch_fd = -1;

void scratch_make(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(scratch_path, sizeof(scratch_path), "%s/mirrorfs-unit-XXXXXX",
		 parent && *parent ? parent : "/tmp");
	ck_assert_msg(mkdtemp(scratch_path), "mkdtemp '%s': %m", scratch_path);
	scratch_fd = open(scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(scratch_fd, 0);
}

/* By rm, which copes with trees of any depth. */
void scratch_remove(void)
{
	pid_t pid;

	close(scratch_fd);
	pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--", scratch_path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}
