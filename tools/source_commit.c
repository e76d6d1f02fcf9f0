/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source_commit.c - checkpoints of a source, and the snapshot that one of a mounted source is */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/source_view.h"
#include "tools/text.h"

#include "bitmapfile/tracker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* How often the daemon is asked whether the instant is over. */
#define POLL_NS 2000000

static int commit_failed(const struct source_view *view, const char *name, int code,
			 struct bmf_error *err)
{
	const char *verb = "make checkpoint of";

	if (code == -ETIMEDOUT)
		return fail_text(err, code, verb, view->path, NULL,
				 "a write has been in flight for too long, so no checkpoint was "
				 "made: try again when the storage answers");
	if (code == -EEXIST && name)
		return fail_text(err, code, "make snapshot of", view->path, NULL,
				 "there is one named '%s'; choose another name, or delete that",
				 name);
	if (code == -EMFILE)
		return fail_text(
			err, code, verb, view->path, NULL,
			"mirrorfs can't hold that many images open; mount it with a limit "
			"of open files (ulimit -Hn) of ten times their number, or as root");
	return fail_text(err, code, verb, view->path, NULL, "%s; the log of mirrorfs says more",
			 fail_reason(code));
}

static void fill(const struct source_view_request *request, struct mfs_control_commit *commit)
{
	*commit = (struct mfs_control_commit){ .version = MFS_CONTROL_VERSION,
					       .flags = MFS_COMMIT_HOLD,
					       .from = request->from };
	if (request->replica)
		commit->replica = *request->replica;
	if (request->label)
		snprintf(commit->label, sizeof(commit->label), "%s", request->label);
	if (request->name)
		snprintf(commit->name, sizeof(commit->name), "%s", request->name);
	else
		commit->flags |= MFS_COMMIT_OWNED;
	if (request->nwhole > MFS_CONTROL_WHOLE) {
		commit->from = 0; /* more than there is room for: then all of all */
		return;
	}
	commit->nwhole = (uint32_t)request->nwhole;
	if (request->nwhole > 0)
		memcpy(commit->whole, request->whole, request->nwhole * sizeof(*request->whole));
}

/* From here on the view's tree is that of the snapshot. */
static int enter_snapshot(struct source_view *view, const char *name, struct bmf_error *err)
{
	char path[sizeof(MFS_SNAPSHOT_DIR) + MFS_SNAPSHOT_NAME_MAX + 1];
	int fd;

	snprintf(path, sizeof(path), "%s/%.*s", MFS_SNAPSHOT_DIR, MFS_SNAPSHOT_NAME_MAX, name);
	fd = beneath_open(view->mount_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fail_errno(err, fd, "open snapshot", view->path, path);
	view->tree_fd = fd;
	snprintf(view->snapshot, sizeof(view->snapshot), "%s", name);
	return 0;
}

/* ---- the instant, seen from outside ---- */

struct asking {
	const struct source_view *view;
	struct mfs_control_commit *commit;
	int r;
	atomic_bool returned;
};

/* In a thread, or not. */
static void *commit_it(void *arg)
{
	struct asking *asking = arg;

	asking->r =
		ioctl(asking->view->mount_fd, MFS_CONTROL_COMMIT, asking->commit) < 0 ? -errno : 0;
	atomic_store(&asking->returned, true);
	return NULL;
}

/* Signals are for the thread that has always had them. */
static int start_thread(struct asking *asking, pthread_t *ret)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret, NULL, commit_it, asking);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_setname_np(*ret, "commit");
	return -r;
}

/* Until the instant is over, or all of it is. */
static bool await_instant(struct asking *asking)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	struct mfs_control_info info;

	for (;;) {
		bool returned = atomic_load(&asking->returned);

		if (ioctl(asking->view->mount_fd, MFS_CONTROL_INFO, &info) == 0 &&
		    bmf_uuid_equal(&info.instant, &asking->commit->token))
			return true;
		if (returned)
			return false;
		nanosleep(&pause, NULL);
	}
}

static int commit_and_tell(const struct source_view *view,
			   const struct source_view_request *request,
			   struct mfs_control_commit *commit)
{
	struct asking asking = { .view = view, .commit = commit };
	struct bmf_uuid token;
	pthread_t thread;
	bool reached = false, threaded = false;

	if (request->reached && bmf_uuid_generate(&token) == 0) {
		commit->token = token;
		threaded = start_thread(&asking, &thread) == 0;
	}
	if (!threaded)
		commit_it(&asking); /* who is frozen has to wait for it all */
	else
		reached = await_instant(&asking);
	if (reached)
		request->reached(request->reached_arg);
	if (threaded)
		pthread_join(thread, NULL);
	/* another checkpoint may have followed at once */
	if (request->reached && !reached && asking.r == 0)
		request->reached(request->reached_arg);
	return asking.r;
}

static int commit_mounted(struct source_view *view, const struct source_view_request *request,
			  struct source_view_commit *ret, struct bmf_error *err)
{
	struct mfs_control_commit commit;
	int r;

	fill(request, &commit);
	r = commit_and_tell(view, request, &commit);
	if (r < 0)
		return commit_failed(view, request->name, r, err);
	commit.name[MFS_SNAPSHOT_NAME_MAX] = '\0';
	if (!request->name || request->reads)
		r = enter_snapshot(view, commit.name, err);
	if (r < 0)
		return r;
	view->checkpoint = commit.uuid;
	*ret = (struct source_view_commit){ .checkpoint = { .number = commit.number,
							    .uuid = commit.uuid,
							    .time_ns = commit.time_ns },
					    .gate_ns = commit.gate_ns,
					    .names_ns = commit.names_ns,
					    .images = commit.images,
					    .untrackable = commit.untrackable };
	return 0;
}

int source_view_commit(struct source_view *view, const struct source_view_request *request,
		       struct source_view_commit *ret, struct bmf_error *err)
{
	struct bmf_commit commit;
	struct bmf_error why = { 0 };
	int r;

	if (view->mount_fd >= 0)
		return commit_mounted(view, request, ret, err);
	bmf_source_advance(view->source);
	if (request->reached)
		request->reached(request->reached_arg);
	r = bmf_source_commit(view->source, request->replica, request->label, &commit, &why);
	if (r < 0)
		return fail_text(err, r, "make checkpoint of", view->path, NULL, "%s", why.text);
	*ret = (struct source_view_commit){ .checkpoint = commit.checkpoint,
					    .images = commit.images,
					    .untrackable = commit.untrackable };
	return 0;
}

/* Of the snapshot that the view reads: -ENOENT if there is none of that name any more. */
static int ask(struct source_view *view, struct mfs_control_snapshot_info *ret)
{
	*ret = (struct mfs_control_snapshot_info){ .version = MFS_CONTROL_VERSION };
	snprintf(ret->name, sizeof(ret->name), "%s", view->snapshot);
	if (ioctl(view->mount_fd, MFS_CONTROL_SNAPSHOT_INFO, ret) < 0)
		return -errno;
	ret->reason[sizeof(ret->reason) - 1] = '\0';
	return 0;
}

static const char *way_out_of(int error)
{
	switch (error) {
	case -E2BIG:
		return "mount with a larger -o preserve_limit, or sync when less is written";
	case -ENOSPC:
	case -EDQUOT:
		return "make room on the source's filesystem, or sync when less is written";
	case -ETIMEDOUT:
		return "mount with a larger -o preserve_timeout, or sync when less is written";
	default:
		return "see to the source's storage, and sync again";
	}
}

/* The reason is the daemon's text, and may have an image's name in it. */
static int broke(const struct source_view *view, const struct mfs_control_snapshot_info *info,
		 struct bmf_error *err)
{
	char reason[TEXT_NAME];

	if (info->reason[0])
		text_quote(info->reason, reason, sizeof(reason));
	else
		snprintf(reason, sizeof(reason), "%s", fail_reason(info->broken));
	return fail_text(err, info->broken, "read source", view->path, NULL,
			 "the snapshot that the sync reads broke: %.300s; %s", reason,
			 way_out_of(info->broken));
}

int source_view_confirm(struct source_view *view, bool *ret_broken, struct bmf_error *err)
{
	struct mfs_control_snapshot_info info;
	int r;

	*ret_broken = false;
	if (!source_view_has_snapshot(view))
		return 0;
	r = ask(view, &info);
	if (r == 0 && !bmf_uuid_equal(&info.uuid, &view->checkpoint))
		r = -ENOENT;
	if (r == -ENOENT)
		return fail_text(err, r, "read source", view->path, NULL,
				 "somebody deleted the snapshot that the sync reads; sync again");
	if (r < 0)
		return fail_text(err, r, "read source", view->path, NULL,
				 "its mirrorfs does not answer any more: %s; mount it again, and "
				 "sync again",
				 fail_reason(r));
	*ret_broken = info.broken != 0;
	return *ret_broken ? broke(view, &info, err) : 0;
}

int source_view_suspect(struct source_view *view, const struct source_image *image)
{
	struct bmf_tracker *tracker;
	int r;

	if (source_view_has_snapshot(view))
		return source_image_suspect(image);
	r = bmf_source_track(view->source, image->fd, &tracker);
	if (r < 0)
		return r;
	bmf_tracker_fail(tracker, -EIO);
	bmf_tracker_put(tracker);
	return 0;
}

/*
 * A failure is told only once, and it was us whom the kernel told: the next fdatasync, of a sync or
 * of a guest, would succeed without having written anything.  So the source is told.
 */
int source_view_flush(struct source_view *view, const struct source_image *image, const char *path,
		      bool doubted, struct bmf_error *err)
{
	char reason[128];
	int r, error;

	if (fdatasync(image->fd) == 0) {
		/* pages that couldn't be written are clean in the cache */
		if (doubted)
			posix_fadvise(image->fd, 0, 0, POSIX_FADV_DONTNEED);
		return 0;
	}
	error = -errno;
	snprintf(reason, sizeof(reason), "%s", fail_reason(error));
	r = source_view_suspect(view, image);
	if (r == 0)
		return fail_errno(err, error, "flush", view->path, path);
	return fail_text(err, error, "flush", view->path, path,
			 "%s; and it couldn't be noted that its content is in doubt (%s): check it "
			 "before the next sync",
			 reason, fail_reason(r));
}

int source_view_arrived(struct source_view *view, const struct bmf_uuid *replica,
			const struct bmf_checkpoint *checkpoint, const char *label,
			struct bmf_error *err)
{
	struct mfs_control_arrived arrived = { .version = MFS_CONTROL_VERSION,
					       .replica = *replica,
					       .uuid = checkpoint->uuid,
					       .number = checkpoint->number };
	int r = 0;

	if (view->mount_fd >= 0) {
		snprintf(arrived.label, sizeof(arrived.label), "%s", label);
		if (ioctl(view->mount_fd, MFS_CONTROL_ARRIVED, &arrived) < 0)
			r = -errno;
	} else {
		r = bmf_source_arrived(view->source, replica, checkpoint, label);
	}
	if (r < 0)
		return fail_text(err, r, "note sync in source", view->path, NULL, "%s",
				 fail_reason(r));
	return 0;
}

int source_view_forget(struct source_view *view, const struct bmf_uuid *replica,
		       struct bmf_error *err)
{
	struct mfs_control_forget forget = { .version = MFS_CONTROL_VERSION, .replica = *replica };
	int r = 0;

	if (view->mount_fd < 0)
		r = bmf_source_forget(view->source, replica);
	else if (ioctl(view->mount_fd, MFS_CONTROL_FORGET, &forget) < 0)
		r = -errno;
	if (r == -ENOENT)
		return fail_text(err, r, "forget replica of", view->path, NULL,
				 "somebody else just did");
	return r < 0 ? fail_errno(err, r, "forget replica of", view->path, NULL) : 0;
}

int source_view_name(struct source_view *view, const struct bmf_checkpoint *checkpoint,
		     const char *name, struct bmf_error *err)
{
	struct mfs_control_checkpoint_name message = { .version = MFS_CONTROL_VERSION,
						       .number = checkpoint->number,
						       .uuid = checkpoint->uuid };
	int r = 0;

	if (view->mount_fd < 0) {
		r = bmf_source_name(view->source, checkpoint, name);
	} else {
		if (name)
			snprintf(message.name, sizeof(message.name), "%s", name);
		if (ioctl(view->mount_fd, MFS_CONTROL_CHECKPOINT_NAME, &message) < 0)
			r = -errno;
	}
	if (r < 0 && r != -EEXIST && r != -ENOENT)
		fail_errno(err, r, "name checkpoint of", view->path, NULL);
	return r;
}
