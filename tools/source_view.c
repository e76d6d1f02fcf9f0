/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source_view.c - a source as mirrorctl sees it: mounted, or not */
#include "config.h"

#include "bitmapfile/identity.h"
#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/lock_wait.h"
#include "tools/mounts.h"
#include "tools/source_view.h"
#include "tools/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A daemon that has just been unmounted still saves its bitmaps. */
#define BUSY_TRIES 100
#define BUSY_PAUSE_MS 100

/* In the name of a lock's holder that will soon be done: a sync is not to fail for it. */
#define LOOKING ", looking"

static int open_given(const char *path, struct bmf_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOTCONN:
		/* what it protects is not to be laid bare before there is another */
		return fail_text(err, -ENOTCONN, "open source", path, NULL,
				 "its mirrorfs is dead; mount it again%s: mirrorfs SOURCE "
				 "MOUNTPOINT; see mirrorfs(8)",
				 geteuid() == 0 ? "" : ", after fusermount3 -u -z MOUNTPOINT");
	case ENOTDIR:
		return fail_text(err, -ENOTDIR, "open source", path, NULL,
				 "not a directory; give the directory that holds the images");
	default:
		return fail_errno(err, -errno, "open source", path, NULL);
	}
}

/* Through the daemon's own descriptor: the mount may cover the directory. */
static int open_backing(struct source_view *view, struct bmf_error *err)
{
	char link[64];
	struct stat st;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)view->info.pid,
		 (int)view->info.source_fd);
	view->fd = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (view->fd >= 0 && fstat(view->fd, &st) == 0 && st.st_dev == view->info.source_dev &&
	    st.st_ino == view->info.source_ino) {
		if (view->info.flags & MFS_INFO_NOTRACK)
			return fail_text(err, -EOPNOTSUPP, "open source", view->path, NULL,
					 "it is mounted with -o notrack, so changes are not "
					 "recorded; mount it without");
		if (view->info.flags & MFS_INFO_READ_ONLY) {
			/* nothing changes, and its daemon knows of nothing: as if not mounted */
			view->read_only = true;
			close(view->mount_fd);
			view->mount_fd = -1;
		}
		return 0;
	}
	return fail_text(err, view->fd < 0 ? -errno : -EXDEV, "open source", view->path, NULL,
			 "can't reach the directory under the mount as %s%s%s; run as the user "
			 "that runs mirrorfs, or as root, and in the same container",
			 link, view->fd < 0 ? ": " : "", view->fd < 0 ? fail_reason(-errno) : "");
}

/* A directory inside a mount is no source. */
static int check_not_inside(struct source_view *view, struct bmf_error *err)
{
	struct stat st;
	char *point;

	if (fstat(view->fd, &st) < 0)
		return fail_errno(err, -errno, "stat source", view->path, NULL);
	point = mounts_of_dev(st.st_dev);
	if (!point)
		return 0;
	fail_text(err, -EINVAL, "open source", view->path, NULL,
		  "it is inside a mounted source; give the mount point '%s'", point);
	free(point);
	return -EINVAL;
}

/* Does it show a snapshot, or a part of one? */
static bool shows_snapshot(int fd)
{
	char link[BENEATH_PROC], target[PATH_MAX];
	ssize_t n = readlink(beneath_proc(fd, link), target, sizeof(target) - 1);

	target[n > 0 ? n : 0] = '\0';
	return strstr(target, "/" MFS_SNAPSHOT_DIR "/") != NULL;
}

/* What is kept in a state directory is no image. */
static int check_not_state(const struct source_view *view, struct bmf_error *err)
{
	char link[BENEATH_PROC], target[PATH_MAX];
	ssize_t n = readlink(beneath_proc(view->fd, link), target, sizeof(target) - 2);

	if (n < 0)
		return 0;
	memcpy(target + n, "/", 2); /* so that the last name ends like the others */
	if (!strstr(target, "/" BMF_STATE_DIR "/"))
		return 0;
	return fail_text(err, -EINVAL, "open source", view->path, NULL,
			 "it is, or lies in, the state directory of a source or replica; give the "
			 "directory above that");
}

/* A source is neither a part of one nor what mirrorfs keeps of it. */
static int check_no_part(struct source_view *view, struct bmf_error *err)
{
	int r = check_not_inside(view, err);

	return r < 0 ? r : check_not_state(view, err);
}

static int locate(const char *path, bool or_snapshot, struct source_view *ret,
		  struct bmf_error *err)
{
	struct source_view view = { .path = path, .fd = -1, .mount_fd = -1, .tree_fd = -1 };
	int r, fd = open_given(path, err);

	if (fd < 0)
		return fd;
	if (ioctl(fd, MFS_CONTROL_INFO, &view.info) == 0) {
		view.mount_fd = fd;
		if (view.info.version != MFS_CONTROL_VERSION)
			r = fail_text(err, -EPROTO, "open source", path, NULL,
				      "the mirrorfs there is of another version; mount it anew");
		else
			r = open_backing(&view, err);
	} else if (errno == EPERM || errno == EACCES) {
		view.fd = fd;
		r = fail_text(err, -EPERM, "open source", path, NULL,
			      "only the user that runs mirrorfs there, and root, may");
	} else {
		view.fd = fd;
		if (or_snapshot && shows_snapshot(fd))
			r = 0;
		else
			r = check_no_part(&view, err);
	}
	if (r < 0) {
		source_view_close(&view, NULL);
		return r;
	}
	view.tree_fd = view.fd;
	*ret = view;
	return 0;
}

int source_view_locate(const char *path, struct source_view *ret, struct bmf_error *err)
{
	return locate(path, false, ret, err);
}

int source_view_locate_tree(const char *path, struct source_view *ret, struct bmf_error *err)
{
	return locate(path, true, ret, err);
}

bool source_view_has_state(const struct source_view *view)
{
	struct stat st;

	return view->mount_fd >= 0 ||
	       fstatat(view->fd, BMF_STATE_DIR "/" BMF_STATE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

int source_view_identify(const struct source_view *view, struct bmf_uuid *ret)
{
	int r, dir_fd;

	if (view->mount_fd >= 0) {
		*ret = view->info.source;
		return 0;
	}
	dir_fd = beneath_open(view->fd, BMF_STATE_DIR, O_PATH | O_DIRECTORY, 0);
	if (dir_fd < 0)
		return dir_fd;
	r = bmf_identity_read(&bmf_io_posix, dir_fd, ret);
	close(dir_fd);
	return r;
}

static void pause_ms(long ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Is the lock's holder one that is about to go, or one that is waited for?  Then waits a moment. */
static bool wait_for_holder(const struct bmf_error *busy, int tries, struct lock_wait *wait)
{
	char *point = mounts_named_in(busy->text);
	bool mounted = point != NULL;

	free(point);
	if (mounted || stop_signal())
		return false;
	if ((strstr(busy->text, "mirrorctl") && !strstr(busy->text, LOOKING)) ||
	    tries >= BUSY_TRIES)
		return lock_wait_again(wait);
	pause_ms(BUSY_PAUSE_MS);
	return true;
}

static int busy_error(const struct source_view *view, const struct bmf_error *busy,
		      struct bmf_error *err)
{
	char *point = mounts_named_in(busy->text);

	if (point)
		fail_text(err, -EBUSY, "open source", view->path, NULL,
			  "it is mounted; use its mount point '%s'", point);
	else
		fail_text(err, -EBUSY, "open source", view->path, NULL,
			  "in use by another program; wait for it%s (%s)",
			  strstr(busy->text, "mirrorctl") ? "" : ", or use its mount point",
			  busy->text);
	free(point);
	return -EBUSY;
}

static void describe(bool track, char holder[64])
{
	snprintf(holder, 64, "mirrorctl%s (pid %d)", track ? "" : LOOKING, (int)getpid());
}

/* Opens for tracking, or the store for looking, as soon as the lock is free. */
static int open_unmounted(struct source_view *view, bool track, struct bmf_error *err)
{
	struct bmf_source_options options = { .create = true,
					      .notice = view->notice,
					      .notice_arg = view->notice_arg };
	struct bmf_error why = { 0 };
	struct lock_wait wait = { 0 };
	char holder[64];
	int r;

	describe(track, holder);
	options.holder = holder;
	for (int tries = 1;; tries++) {
		if (track)
			r = bmf_source_open(&bmf_io_posix, view->fd, &options, &view->source, &why);
		else
			r = bmf_store_open(&bmf_io_posix, view->fd, BMF_STORE_LOCK, holder,
					   &view->store, &why);
		if (r == -EROFS && !track) /* nobody else can write to it either */
			r = bmf_store_open(&bmf_io_posix, view->fd, 0, NULL, &view->store, &why);
		if (r != -EBUSY || !wait_for_holder(&why, tries, &wait))
			break;
	}
	lock_wait_end(&wait);
	if (r == -EBUSY && stop_signal())
		return -ECANCELED;
	if (r == -EBUSY)
		return busy_error(view, &why, err);
	if (r < 0)
		return fail_text(err, r, "open source", view->path, NULL, "%s%s", why.text,
				 r == -EACCES ? "; run as its owner, or as root" : "");
	return 0;
}

/* Sidecars and state are read through a store of our own, that locks nothing. */
static int open_store(struct source_view *view, struct bmf_error *err)
{
	struct bmf_error why = { 0 };
	int r = bmf_store_open(&bmf_io_posix, view->fd, 0, NULL, &view->store, &why);

	if (r < 0)
		return fail_text(err, r, "open source", view->path, NULL, "%s", why.text);
	return 0;
}

/* The generation to which a crash before now has to be charged. */
static int note_generation(struct source_view *view, struct bmf_error *err)
{
	struct bmf_state *state;
	int r = source_view_state(view, &state, err);

	if (r < 0)
		return r;
	view->crashed_at = state->generation;
	bmf_state_free(state);
	return 0;
}

/* The bits of a mounted source are in its daemon's memory until they are asked for. */
static int flush_mounted(struct source_view *view, struct bmf_error *err)
{
	struct mfs_control_flush flush = { .version = MFS_CONTROL_VERSION };

	if (view->mount_fd < 0 || ioctl(view->mount_fd, MFS_CONTROL_FLUSH, &flush) == 0)
		return 0;
	return fail_text(err, -errno, "open source", view->path, NULL,
			 "its mirrorfs can't save its bitmaps: %s", fail_reason(-errno));
}

int source_view_track(struct source_view *view, struct bmf_error *err)
{
	int r = 0;

	if (view->read_only)
		return fail_text(
			err, -EROFS, "open source", view->path, NULL,
			"its filesystem is read-only, so it can't have checkpoints; mount it "
			"writable");
	if (view->mount_fd < 0)
		r = open_unmounted(view, true, err);
	if (r == 0)
		r = open_store(view, err);
	if (r == 0)
		r = note_generation(view, err);
	return r;
}

int source_view_read(struct source_view *view, struct bmf_error *err)
{
	struct stat st;
	int r;

	if (view->mount_fd >= 0) {
		/* flushed first: what vouches for a sidecar is read when the store is opened */
		r = flush_mounted(view, err);
		if (r == 0)
			r = open_store(view, err);
	} else {
		if (fstatat(view->fd, BMF_STATE_DIR "/" BMF_STATE_NAME, &st, AT_SYMLINK_NOFOLLOW) <
		    0) {
			if (errno == ENOENT)
				return -ENOENT;
			return fail_errno(err, -errno, "open source", view->path, BMF_STATE_DIR);
		}
		r = open_unmounted(view, false, err);
	}
	return r < 0 ? r : note_generation(view, err);
}

int source_view_state(struct source_view *view, struct bmf_state **ret, struct bmf_error *err)
{
	struct bmf_error why = { 0 };
	const char *way_out = "";
	int r;

	r = view->source ? bmf_source_state(view->source, ret)
			 : bmf_store_load_state(view->store, ret, &why);
	if (r == -EBADMSG)
		way_out = view->mount_fd >= 0
				  ? "; unmount it, and the next sync or mount begins anew"
				  : "; the next sync or mount begins anew";
	if (r < 0)
		return fail_text(err, r, "open source", view->path, NULL, "%s%s",
				 why.code ? why.text : fail_reason(r), way_out);
	return 0;
}

int source_view_none(const char *path, struct bmf_error *err)
{
	return fail_text(err, -ENOENT, "open source", path, NULL,
			 "it is no source: it has never been mounted or synced from");
}

int source_view_peek(const char *path, struct bmf_state **ret, struct bmf_error *err)
{
	struct source_view view;
	int r = source_view_locate(path, &view, err);

	if (r < 0)
		return r;
	r = source_view_read(&view, err);
	if (r == -ENOENT)
		r = source_view_none(path, err);
	if (r == 0)
		r = source_view_state(&view, ret, err);
	source_view_close(&view, NULL);
	return r;
}

int source_view_moves(struct source_view *view, struct bmf_moves *ret, struct bmf_error *err)
{
	struct mfs_control_info info = { 0 };

	if (view->mount_fd >= 0 && ioctl(view->mount_fd, MFS_CONTROL_INFO, &info) < 0)
		return fail_text(err, -errno, "read source", view->path, NULL,
				 "its mirrorfs does not answer: %s", fail_reason(-errno));
	*ret = (struct bmf_moves){ .begun = info.moves_begun, .ended = info.moves_ended };
	return 0;
}

/* What tells of the history of an image of the snapshot, O_PATH; or a negative errno. */
static int reach(struct source_view *view, uint64_t inode)
{
	const struct mfs_control_listed *listed;
	int r = 0;

	if (!view->listed.images)
		r = source_listed_read(view->mount_fd, view->snapshot, &view->listed);
	if (r < 0)
		return r;
	listed = source_listed_find(&view->listed, inode);
	return listed ? source_image_reach(view->info.pid, listed->image_fd) : -ESTALE;
}

bool source_view_has_no_xattrs(const struct source_view *view, uint64_t inode)
{
	const struct mfs_control_listed *listed = source_listed_find(&view->listed, inode);

	return listed && (listed->flags & MFS_LISTED_NO_XATTRS);
}

int source_view_history(struct source_view *view, const struct bmf_state *state, int fd,
			uint64_t inode, bool estimate, struct bmf_history *ret,
			struct bmf_error *err)
{
	bool live = view->mount_fd >= 0;
	int r, image_fd = fd;

	if (source_view_has_snapshot(view)) {
		image_fd = reach(view, inode);
		if (image_fd < 0)
			return image_fd;
	}
	r = bmf_history_load(view->store, state, image_fd, view->crashed_at,
			     live ? BMF_HISTORY_LIVE : 0, ret, err);
	if (image_fd != fd)
		close(image_fd);
	/* What a checkpoint would make the daemon find out, of an image that it hasn't met. */
	if (r == 0 && live && estimate && ret->sidecar &&
	    !bmf_history_is_vouched_for(view->store, ret)) {
		ret->reason = ret->sidecar->in_use ? BMF_REASON_UNWATCHED : BMF_REASON_BEHIND;
		bmf_history_destroy(ret);
	}
	return r;
}

int source_view_close(struct source_view *view, struct bmf_error *err)
{
	int r = 0;

	source_listed_destroy(&view->listed);
	bmf_store_close(view->store);
	view->store = NULL;
	if (view->source)
		r = bmf_source_close(view->source);
	view->source = NULL;
	if (view->tree_fd >= 0 && view->tree_fd != view->fd)
		close(view->tree_fd);
	if (view->fd >= 0)
		close(view->fd);
	if (view->mount_fd >= 0)
		close(view->mount_fd); /* and the snapshot that it owns goes */
	view->fd = view->mount_fd = view->tree_fd = -1;
	if (r < 0)
		return fail_text(err, r, "save source", view->path, NULL, "%s", fail_reason(r));
	return 0;
}
