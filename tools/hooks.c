/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hooks.c - commands of the user around the making of a checkpoint: freeze guests, thaw them
 *
 * The guard is forked before anything is frozen.  The two ends of a socket pair:
 *
 *   guard      runs the pre-hook
 *   guard      how that ended             ->  hooks_begin returns
 *   hooks_end  what came of the checkpoint ->  guard
 *   guard      runs the post-hook, removes the list of images
 *   guard      how that ended             ->  hooks_end returns
 *
 * If this process dies anywhere, the guard reads the end of the stream instead of a verdict, which
 * stands for a checkpoint that failed.
 */
#include "config.h"

#include "tools/fail.h"
#include "tools/hook_images.h"
#include "tools/hooks.h"
#include "tools/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct hooks {
	const char *pre, *post; /* borrowed */
	pid_t guard;
	int fd; /* of the socket pair */
};

/* What the guard is told. */
struct verdict {
	uint64_t number; /* 0: there is no checkpoint */
	struct bmf_uuid uuid;
};

/* ---- the guard's side ---- */

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define NSIGNALS (sizeof(signals) / sizeof(signals[0]))

struct guard {
	const struct hooks_request *request;
	int fd;
	pid_t group; /* of mirrorctl */
	struct sigaction before[NSIGNALS];
};

/* So that nothing is kept open, or locked, that mirrorctl lets go of; hooks only need 0 to 2. */
static void close_all_but(int kept)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > STDERR_FILENO && fd != kept && fd != dirfd(dir))
			close(fd);
	}
	if (dir)
		closedir(dir);
}

/* Nobody waits for the end of what is written to standard output, or for input. */
static void redirect(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
}

/* A group of its own: what is sent to all of mirrorctl's, as a terminal does, passes it by. */
static void stand_apart(struct guard *guard)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	guard->group = getpgrp();
	setpgid(0, 0);
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaction(signals[i], &ignore, &guard->before[i]);
	close_all_but(guard->fd);
	redirect();
}

/* The pre-hook hears what mirrorctl hears, so that it can be interrupted; the post-hook doesn't. */
static void exec_hook(const struct guard *guard, const char *command, bool apart)
{
	if (apart)
		setsid();
	else
		setpgid(0, guard->group);
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaction(signals[i], &guard->before[i], NULL);
	signal(SIGPIPE, SIG_DFL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* Its status, as waitpid() has it. */
static int run_hook(const struct guard *guard, const char *command, bool apart)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		exec_hook(guard, command, apart);
	if (pid < 0)
		return 126 << 8;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126 << 8;
	return status;
}

static void set_number(const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	setenv(name, text, 1);
}

static void set_verdict(const struct verdict *verdict)
{
	char uuid[BMF_UUID_TEXT];

	setenv("MIRRORFS_RESULT", verdict->number ? "ok" : "failed", 1);
	if (verdict->number == 0)
		return;
	set_number("MIRRORFS_CHECKPOINT", verdict->number);
	setenv("MIRRORFS_CHECKPOINT_UUID", bmf_uuid_format(&verdict->uuid, uuid), 1);
}

static void set_environment(const struct guard *guard, const struct hook_images *images)
{
	char *source = realpath(guard->request->source, NULL);

	setenv("MIRRORFS_SOURCE", source ? source : guard->request->source, 1);
	free(source);
	set_number("MIRRORFS_CHECKPOINT", guard->request->number);
	unsetenv("MIRRORFS_CHECKPOINT_UUID");
	unsetenv("MIRRORFS_RESULT");
	unsetenv("MIRRORFS_IMAGES");
	if (images->lines)
		setenv("MIRRORFS_IMAGES", images->lines, 1);
	setenv("MIRRORFS_IMAGES_FILE", images->file, 1);
}

static void be_guard(struct guard *guard, const struct hook_images *images)
{
	const char *pre = guard->request->pre, *post = guard->request->post;
	struct verdict verdict = { 0 };
	int status;

	stand_apart(guard);
	set_environment(guard, images);
	status = pre ? run_hook(guard, pre, false) : 0;
	send(guard->fd, &status, sizeof(status), MSG_NOSIGNAL);
	if (recv(guard->fd, &verdict, sizeof(verdict), 0) != sizeof(verdict))
		verdict = (struct verdict){ 0 };
	set_verdict(&verdict);
	status = post ? run_hook(guard, post, true) : 0;
	unlink(images->file);
	send(guard->fd, &status, sizeof(status), MSG_NOSIGNAL);
	_exit(0);
}

/* ---- mirrorctl's side ---- */

static int fail_hook(struct bmf_error *err, const char *which, const char *command, int status)
{
	char quoted[TEXT_NAME];

	text_quote(command, quoted, sizeof(quoted));
	if (WIFSIGNALED(status))
		return bmf_error_set(err, -EIO, "run %s '%s': killed by signal %d", which, quoted,
				     WTERMSIG(status));
	return bmf_error_set(err, -EIO, "run %s '%s': it ended with exit code %d", which, quoted,
			     WEXITSTATUS(status));
}

/* How the hook that is running ended; somebody may have killed the guard. */
static int read_status(const struct hooks *hooks)
{
	int status;

	if (recv(hooks->fd, &status, sizeof(status), 0) != sizeof(status))
		return SIGKILL;
	return status;
}

static int start_guard(const struct hooks_request *request, const struct hook_images *images,
		       struct hooks *ret)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	ret->guard = fork();
	if (ret->guard == 0) {
		struct guard guard = { .request = request, .fd = fds[1] };

		close(fds[0]);
		be_guard(&guard, images);
	}
	close(fds[1]);
	ret->fd = fds[0];
	if (ret->guard < 0) {
		close(fds[0]);
		return -EAGAIN;
	}
	return 0;
}

/* The verdict; then the post-hook's status. */
static int end_guard(struct hooks *hooks, const struct verdict *verdict)
{
	int status;

	send(hooks->fd, verdict, sizeof(*verdict), MSG_NOSIGNAL);
	status = read_status(hooks);
	close(hooks->fd);
	while (waitpid(hooks->guard, NULL, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* After a pre-hook that failed: thaws what it may have frozen. */
static int give_up(struct hooks *hooks, int status, struct bmf_error *err)
{
	struct bmf_error first, second;

	fail_hook(&first, "pre-hook", hooks->pre ? hooks->pre : "", status);
	if (hooks_end(hooks, NULL, &second) < 0)
		return bmf_error_set(err, -EIO, "%.200s; %.200s", first.text, second.text);
	return bmf_error_set(err, -EIO, "%s", first.text);
}

int hooks_begin(const struct hooks_request *request, struct hooks **ret, struct bmf_error *err)
{
	struct hooks hooks = { .pre = request->pre, .post = request->post }, *copy;
	struct hook_images images = { 0 };
	int r, status;

	*ret = NULL;
	if (!request->pre && !request->post)
		return 0;
	copy = malloc(sizeof(*copy));
	r = copy ? hook_images_list(request->source_fd, request->source, &images, err)
		 : bmf_error_set(err, -ENOMEM, "run hooks: %s", fail_reason(-ENOMEM));
	if (r == 0) {
		r = start_guard(request, &images, &hooks);
		if (r < 0) {
			unlink(images.file);
			bmf_error_set(err, r, "run hooks: %s", fail_reason(r));
		}
	}
	hook_images_destroy(&images);
	if (r < 0) {
		free(copy);
		return r;
	}
	*copy = hooks;
	status = read_status(copy);
	if (status == 0) {
		*ret = copy;
		return 0;
	}
	return give_up(copy, status, err);
}

int hooks_end(struct hooks *hooks, const struct bmf_checkpoint *checkpoint, struct bmf_error *err)
{
	struct verdict verdict = { 0 };
	int r = 0, status;

	if (!hooks)
		return 0;
	if (checkpoint)
		verdict = (struct verdict){ checkpoint->number, checkpoint->uuid };
	status = end_guard(hooks, &verdict);
	if (status != 0)
		r = fail_hook(err, "post-hook", hooks->post ? hooks->post : "", status);
	free(hooks);
	return r;
}
