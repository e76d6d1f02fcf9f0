/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hooks.c - commands of the user around the instant of a checkpoint: freeze guests, thaw them
 *
 * The guard is forked before anything is frozen.  The two ends of a socket pair:
 *
 *   guard      runs the pre-hook
 *   guard      how that ended         ->  hooks_begin returns
 *   hooks_end  what came of it         ->  guard
 *   guard      runs the post-hook, removes the list of images
 *   guard      how that ended         ->  hooks_end returns
 *
 * If this process dies anywhere, the guard reads the end of the stream instead of a verdict, which
 * stands for an instant that was never reached.
 *
 * If the guard dies, this process reads the end of the stream instead of a report, and does what is
 * left to do.  Each hook has told its own process id before, which is this process's child then, as
 * that takes in what the guard leaves behind (PR_SET_CHILD_SUBREAPER).  So it can wait for a
 * pre-hook that is still freezing, and for a post-hook that the guard had begun.
 */
#include "config.h"

#include "tools/fail.h"
#include "tools/hook_images.h"
#include "tools/hook_run.h"
#include "tools/hooks.h"
#include "tools/monotonic.h"
#include "tools/text.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct hooks {
	const char *pre, *post; /* borrowed */
	struct hook_scene scene;
	struct hook_images images;
	pid_t guard;	  /* 0: it is gone */
	int fd;		  /* of the socket pair */
	int64_t begun_ns; /* when the pre-hook had ended */
};

/* What the guard is told. */
struct verdict {
	bool reached;
};

/* What it tells, and each hook of itself. */
struct report {
	pid_t begun; /* a hook's process; 0: the hook has ended */
	int status;  /* as waitpid() has it */
};

static const char *result_of(bool reached)
{
	return reached ? "ok" : "failed";
}

/* ---- the guard's side ---- */

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define NSIGNALS (sizeof(signals) / sizeof(signals[0]))

struct guard {
	struct hook_scene scene;
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

/* A group of its own: what is sent to all of mirrorctl's, as a terminal does, passes it by. */
static void stand_apart(struct guard *guard)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	guard->group = getpgrp();
	setpgid(0, 0);
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaction(signals[i], &ignore, &guard->before[i]);
	close_all_but(guard->fd);
	hook_redirect();
}

static void tell(int fd, pid_t begun, int status)
{
	struct report report = { begun, status };

	send(fd, &report, sizeof(report), MSG_NOSIGNAL);
}

/* The pre-hook hears what mirrorctl hears, so that it can be interrupted; the post-hook doesn't. */
static void be_hook(const struct guard *guard, const char *command, bool is_post)
{
	if (is_post)
		setsid();
	else
		setpgid(0, guard->group);
	for (size_t i = 0; i < NSIGNALS; i++)
		sigaction(signals[i], &guard->before[i], NULL);
	/* by itself: there is no end of the stream while its end is open here */
	tell(guard->fd, getpid(), 0);
	hook_exec(&guard->scene, command);
}

static void run_hook(const struct guard *guard, const char *command, bool is_post)
{
	int status = 0;

	if (command) {
		pid_t pid = fork();

		if (pid == 0)
			be_hook(guard, command, is_post);
		status = pid < 0 ? 126 << 8 : hook_wait(pid);
	}
	if (is_post)
		unlink(guard->scene.images_file);
	tell(guard->fd, 0, status);
}

static void be_guard(struct guard *guard, const char *pre, const char *post)
{
	struct verdict verdict;

	stand_apart(guard);
	run_hook(guard, pre, false);
	if (recv(guard->fd, &verdict, sizeof(verdict), 0) != sizeof(verdict))
		verdict.reached = false;
	guard->scene.result = result_of(verdict.reached);
	run_hook(guard, post, true);
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

static void bury(struct hooks *hooks)
{
	if (hooks->guard > 0)
		hook_wait(hooks->guard);
	hooks->guard = 0;
}

/*
 * Waits until the hook whose turn it is has ended.  false: it was never begun, as somebody has
 * killed the guard.
 */
static bool await_hook(struct hooks *hooks, int *ret_status)
{
	struct report report;
	pid_t running = 0;

	while (recv(hooks->fd, &report, sizeof(report), 0) == sizeof(report)) {
		if (report.begun == 0) {
			*ret_status = report.status;
			return true;
		}
		running = report.begun;
	}
	bury(hooks); /* from now on its children are ours */
	if (running == 0)
		return false;
	*ret_status = hook_wait(running);
	return true;
}

static int start_guard(struct hooks *hooks)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	hooks->guard = fork();
	if (hooks->guard == 0) {
		struct guard guard = { .scene = hooks->scene, .fd = fds[1] };

		close(fds[0]);
		be_guard(&guard, hooks->pre, hooks->post);
	}
	close(fds[1]);
	hooks->fd = fds[0];
	if (hooks->guard < 0) {
		close(fds[0]);
		return -EAGAIN;
	}
	return 0;
}

/* What the guard would have done. */
static int run_post_hook(struct hooks *hooks, bool reached)
{
	int status = 0;

	if (hooks->post) {
		pid_t pid = fork();

		if (pid == 0) {
			setsid();
			hook_redirect();
			hooks->scene.result = result_of(reached);
			hook_exec(&hooks->scene, hooks->post);
		}
		status = pid < 0 ? 126 << 8 : hook_wait(pid);
	}
	unlink(hooks->images.file);
	return status;
}

/* The verdict; then the post-hook's status. */
static int end_guard(struct hooks *hooks, bool reached)
{
	struct verdict verdict = { reached };
	int status;

	send(hooks->fd, &verdict, sizeof(verdict), MSG_NOSIGNAL);
	if (!await_hook(hooks, &status))
		status = run_post_hook(hooks, reached);
	bury(hooks);
	return status;
}

static void destroy(struct hooks *hooks)
{
	if (hooks->fd >= 0)
		close(hooks->fd);
	hook_images_destroy(&hooks->images);
	free(hooks);
}

/* After a pre-hook that failed: thaws what it may have frozen. */
static int give_up(struct hooks *hooks, int status, struct bmf_error *err)
{
	struct bmf_error first, second;

	fail_hook(&first, "pre-hook", hooks->pre ? hooks->pre : "", status);
	if (hooks_end(hooks, false, NULL, &second) < 0)
		return bmf_error_set(err, -EIO, "%.200s; %.200s", first.text, second.text);
	return bmf_error_set(err, -EIO, "%s", first.text);
}

static int start(struct hooks *hooks, const struct hooks_request *request, struct bmf_error *err)
{
	int r = hook_images_list(request->source_fd, request->source, &hooks->images, err);

	if (r < 0)
		return r;
	hooks->scene = (struct hook_scene){ .source = request->source,
					    .number = request->number,
					    .images = hooks->images.lines,
					    .images_file = hooks->images.file };
	r = start_guard(hooks);
	if (r < 0) {
		unlink(hooks->images.file);
		bmf_error_set(err, r, "run hooks: %s", fail_reason(r));
	}
	return r;
}

int hooks_begin(const struct hooks_request *request, struct hooks **ret, struct bmf_error *err)
{
	struct hooks *hooks;
	int r, status;

	*ret = NULL;
	if (!request->pre && !request->post)
		return 0;
	hooks = malloc(sizeof(*hooks));
	if (!hooks)
		return bmf_error_set(err, -ENOMEM, "run hooks: %s", fail_reason(-ENOMEM));
	*hooks = (struct hooks){ .pre = request->pre, .post = request->post, .fd = -1 };
	r = start(hooks, request, err);
	if (r < 0) {
		destroy(hooks);
		return r;
	}
	if (!await_hook(hooks, &status))
		status = SIGKILL;
	/* without a guard nothing is begun: the next kill would leave guests frozen */
	if (status == 0 && hooks->guard == 0)
		status = SIGKILL;
	if (status != 0)
		return give_up(hooks, status, err);
	hooks->begun_ns = monotonic_ns();
	*ret = hooks;
	return 0;
}

int hooks_end(struct hooks *hooks, bool reached, uint64_t *ret_frozen_ns, struct bmf_error *err)
{
	int r = 0, status;

	if (!hooks)
		return 0;
	if (ret_frozen_ns && hooks->pre)
		*ret_frozen_ns = (uint64_t)(monotonic_ns() - hooks->begun_ns);
	status = end_guard(hooks, reached);
	if (status != 0)
		r = fail_hook(err, "post-hook", hooks->post ? hooks->post : "", status);
	destroy(hooks);
	return r;
}
