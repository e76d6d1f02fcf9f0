/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hook_run.c - one command of the user, and what it finds in its environment */
#include "config.h"

#include "tools/hook_run.h"
#include "tools/io_priority.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void hook_redirect(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
}

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void set_environment(const struct hook_scene *scene)
{
	char *source = realpath(scene->source, NULL), number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)scene->number);
	set("MIRRORFS_SOURCE", source ? source : scene->source);
	set("MIRRORFS_CHECKPOINT", number);
	set("MIRRORFS_IMAGES", scene->images);
	set("MIRRORFS_IMAGES_FILE", scene->images_file);
	set("MIRRORFS_RESULT", scene->result);
	free(source);
}

void hook_exec(const struct hook_scene *scene, const char *command)
{
	sigset_t usr1;

	set_environment(scene);
	signal(SIGPIPE, SIG_DFL);
	io_priority_reset(); /* guests wait for it */
	/* progress_init() has blocked it */
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

int hook_wait(int pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126 << 8;
	return status;
}
