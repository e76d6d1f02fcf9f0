/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - mirrorfs: mounts a directory of images and records what changes in them
 *
 * From start to end: options; the places; the background; the source, with its
 * lock; the mount; the threads.  At the end the other way round: requests finish,
 * what is open is closed, the bitmaps are saved, the mount goes.
 */
#include "config.h"

#include "bitmapfile/store.h"
#include "fs/daemon.h"
#include "fs/dead_mount.h"
#include "fs/dentries.h"
#include "fs/dispatch.h"
#include "fs/fs.h"
#include "fs/keeper.h"
#include "fs/killpriv.h"
#include "fs/log.h"
#include "fs/loop.h"
#include "fs/mounts.h"
#include "fs/options.h"
#include "fs/places.h"
#include "fs/switchover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 2

/* What Linux allows a process at most, unless it was told otherwise. */
#define NOFILE_WANTED 1048576

/* How long to wait for a daemon that was unmounted and still saves. */
#define LOCK_WAIT_MS 10000
#define LOCK_POLL_MS 50

static void log_notice(void *arg, const char *text)
{
	(void)arg;
	mfs_log(LOG_WARNING, "%s", text);
}

/* One or two descriptors for every file that the kernel knows of: as many as we may have. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < NOFILE_WANTED) {
		const struct rlimit wanted = { NOFILE_WANTED, NOFILE_WANTED };

		if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
			return; /* root may */
	}
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * The lock of a daemon whose mount is gone will be free in a moment, when all is
 * saved; that of one whose mount is there won't.
 */
static int open_source_patiently(struct mfs *fs, const struct mfs_options *options,
				 const struct bmf_source_options *source_options,
				 struct bmf_error *err)
{
	const struct timespec poll = { .tv_nsec = LOCK_POLL_MS * 1000000L };
	int r;

	for (int waited_ms = 0;; waited_ms += LOCK_POLL_MS) {
		r = bmf_source_open(fs->io, fs->source_fd, source_options, &fs->source, err);
		if (r != -EBUSY || waited_ms >= LOCK_WAIT_MS ||
		    mfs_mounts_has_fsname(options->fsname))
			return r;
		nanosleep(&poll, NULL);
	}
}

/* What to do about a source that can't be opened; "" where that isn't known. */
static const char *way_out(const struct bmf_error *err)
{
	switch (err->code) {
	case -EROFS:
		return "; with -o ro it can be mounted, read-only";
	case -ENOSPC:
	case -EDQUOT:
		return "; make room on that filesystem";
	case -EBUSY:
		return "; try again when that has ended";
	}
	return "";
}

/* A holder's line reads as open_source() writes it. */
static void log_open_failure(const struct mfs_options *options, struct bmf_error *err)
{
	static const char holder[] = "in use by mirrorfs on '";
	const char *text = err->text;
	const char *path = err->code == -EBUSY ? strstr(text, holder) : NULL, *end = NULL;

	if (path) {
		path += strlen(holder);
		for (const char *at = path; (at = strstr(at, "' (pid ")); at++)
			end = at;
	}
	if (end)
		mfs_log(LOG_ERR, "open source '%s': %s; unmount it first: fusermount3 -u '%.*s'",
			options->source, text, (int)(end - path), path);
	else
		mfs_log(LOG_ERR, "open source '%s': %s%s", options->source, text, way_out(err));
}

/*
 * Half of an update may be there, and what guests wrote would be overwritten when the rest follows.
 * Asked before anything is made there, and again with the lock: nobody commits one from then on.
 */
static int check_published(const struct mfs *fs, const struct mfs_options *options)
{
	if (options->read_only || faccessat(fs->source_fd, BMF_STATE_DIR "/" BMF_JOURNAL_NAME, F_OK,
					    AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	mfs_log(LOG_ERR,
		"open source '%s': it is a replica, whose last update was interrupted: first run "
		"mirrorctl recover '%s'",
		options->source, options->source);
	return -EBUSY;
}

static int open_source(struct mfs *fs, const struct mfs_options *options)
{
	struct bmf_source_options source_options = {
		.block_shift = options->block_shift,
		.region_shift = options->region_shift,
		.create = true,
		.notice = log_notice,
	};
	struct bmf_error err = { 0 };
	char *holder;
	int r;

	r = check_published(fs, options);
	if (r < 0)
		return r;
	if (asprintf(&holder, "mirrorfs on '%s' (pid %d)", options->mountpoint, getpid()) < 0)
		return -ENOMEM;
	source_options.holder = holder;
	r = open_source_patiently(fs, options, &source_options, &err);
	free(holder);
	if (r == -EROFS && options->read_only) {
		fs->source = NULL; /* nothing can change, so there is nothing to track */
		return 0;
	}
	if (r < 0)
		log_open_failure(options, &err);
	else
		r = check_published(fs, options);
	return r;
}

/* In libfuse's words, or, for what it makes nothing of, in ours. */
static void log_bad_options(const char *why)
{
	static const char unknown[] = "unknown option(s): `";
	const char *list;

	if (strncmp(why, unknown, strlen(unknown)) != 0) {
		mfs_log(LOG_ERR, "read options: %s, see mirrorfs --help", why);
		return;
	}
	list = why + strlen(unknown);
	if (strncmp(list, "-o ", 3) == 0)
		list += 3;
	mfs_log(LOG_ERR, "read option '%.*s': unknown, see mirrorfs --help",
		(int)strcspn(list, "'"), list);
}

static struct fuse_session *new_session(struct mfs *fs, struct mfs_options *options)
{
	struct fuse_session *session = NULL;
	const char *why;

	if (mfs_options_complete(options) < 0) {
		mfs_log(LOG_ERR, "read options: out of memory");
		return NULL;
	}
	mfs_log_capture_begin();
	session = fuse_session_new(&options->args, &mfs_dispatch_ops, sizeof(mfs_dispatch_ops), fs);
	why = mfs_log_capture_end();
	if (!session)
		log_bad_options(why);
	return session;
}

/* Whatever was opened until now was opened beneath it. */
static int replace_dead_mount(struct mfs *fs, const struct mfs_options *options)
{
	const char *mountpoint = options->mountpoint;
	int r = mfs_dead_mount_remove(mountpoint);

	if (r < 0) {
		mfs_log(LOG_ERR,
			"mount '%s': can't unmount a dead mount: %s; first run umount -l '%s'",
			mountpoint, mfs_reason(r), mountpoint);
		return r;
	}
	mfs_log(LOG_WARNING, "mount '%s': in place of a dead mount, whose daemon is gone",
		mountpoint);
	r = mfs_places_reopen(options, fs->source_fd);
	if (r < 0)
		return r;
	r = mfs_nodes_move_root(&fs->nodes, fs->source_fd);
	if (r < 0)
		mfs_log(LOG_ERR, "open source '%s': %s", options->source, mfs_reason(r));
	return r;
}

static int mount_session(struct mfs *fs, struct fuse_session *session,
			 const struct mfs_options *options)
{
	const char *mountpoint = options->mountpoint;
	const char *why;
	int r;

	if (mfs_dead_mount_is_at(mountpoint)) {
		r = replace_dead_mount(fs, options);
		if (r < 0)
			return r;
	}
	mfs_log_capture_begin();
	r = fuse_session_mount(session, mountpoint);
	why = mfs_log_capture_end();
	if (r < 0)
		mfs_log(LOG_ERR, "mount '%s': %s", mountpoint, *why ? why : "it failed");
	return r < 0 ? -EIO : 0;
}

/*
 * Nobody is told that the mount can be used before the kernel and libfuse have agreed: that
 * comes last, and can fail.
 */
static int initialize(struct mfs *fs, struct fuse_session *session,
		      const struct mfs_options *options)
{
	const char *why = "";
	int r;

	if (!options->debug) /* who asked for every request is to see this one too */
		mfs_log_capture_begin();
	mfs_killpriv_prepare(session);
	r = mfs_loop_initialize(session, &fs->initialized);
	if (!options->debug)
		why = mfs_log_capture_end();
	if (r < 0)
		mfs_log(LOG_ERR, "mount '%s': %s", options->mountpoint, *why ? why : mfs_reason(r));
	return r;
}

static void end_serving(void *arg)
{
	struct mfs *fs = arg;

	mfs_dentries_stop(fs->dentries);
	mfs_seal_release(&fs->seal, NULL); /* who waits there would be waited for */
}

/* Mounted: serves until the session ends. */
static int serve(struct mfs *fs, struct fuse_session *session, const struct mfs_options *options)
{
	struct mfs_keeper *keeper = NULL;
	int r = 0;

	if (fs->source)
		r = mfs_keeper_start(fs, options->save_interval, &keeper);
	if (r == 0)
		r = mfs_dentries_start(session, &fs->dentries);
	if (r == 0) {
		if (!options->foreground) {
			mfs_log_to_syslog();
			mfs_daemon_ready();
		} else {
			mfs_daemon_notify("READY=1\nSTATUS=serving");
		}
		mfs_log(LOG_INFO, "mount '%s': serving '%s'", options->mountpoint, options->source);
		if (fs->notrack)
			mfs_log(LOG_WARNING,
				"mount '%s': notrack: no change is recorded, and each image that "
				"is "
				"opened for writing will be copied in full",
				options->mountpoint);
		r = mfs_loop(session, end_serving, fs);
		if (options->foreground)
			mfs_daemon_notify("STOPPING=1\nSTATUS=saving bitmaps");
	}
	if (r < 0)
		mfs_log(LOG_ERR, "serve '%s': %s", options->mountpoint, mfs_reason(r));
	mfs_keeper_stop(keeper);
	fs->session_in_use = !mfs_dentries_free(fs->dentries);
	fs->dentries = NULL;
	return r;
}

static int init(struct mfs *fs, struct fuse_session *session, int source_fd)
{
	pthread_rwlockattr_t attr;
	int r;

	*fs = (struct mfs){
		.session = session,
		.io = &bmf_io_posix,
		.source_fd = source_fd,
		.is_root = geteuid() == 0,
	};
	r = mfs_nodes_init(&fs->nodes, source_fd);
	if (r < 0) {
		mfs_log(LOG_ERR, "start: %s", mfs_reason(r));
		return r;
	}
	mfs_handles_init(&fs->handles);
	mfs_seal_init(&fs->seal);
	mfs_gate_init(&fs->gate);
	pthread_mutex_init(&fs->rollover, NULL);
	pthread_mutex_init(&fs->instant_lock, NULL);
	/* by default a snapshot would wait for as long as there are changes of names */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&fs->namespace, &attr);
	pthread_rwlockattr_destroy(&attr);
	return 0;
}

/* No request is running any more. */
static int finish(struct mfs *fs, const struct mfs_options *options)
{
	int r = 0;

	mfs_handles_destroy(&fs->handles);
	mfs_nodes_destroy(&fs->nodes);
	/* the bitmaps first: what was preserved may lie on a disk that hangs */
	if (fs->source)
		r = bmf_source_close(fs->source);
	if (r < 0)
		mfs_log(LOG_ERR,
			"save bitmaps of '%s': %s: what could not be saved will be copied in full",
			options->source, mfs_reason(r));
	mfs_snapshots_close(fs);
	pthread_rwlock_destroy(&fs->namespace);
	pthread_mutex_destroy(&fs->instant_lock);
	pthread_mutex_destroy(&fs->rollover);
	mfs_gate_destroy(&fs->gate);
	mfs_seal_destroy(&fs->seal);
	return r;
}

/*
 * Saves before it unmounts: who waits for the mount to go finds the source unlocked.
 * (After fusermount3 -u it is the other way round.)
 */
static int run_session(struct mfs *fs, struct fuse_session *session,
		       const struct mfs_options *options)
{
	const struct mfs_snapshots_options snapshots_options = {
		.preserve_limit = options->preserve_limit,
		.preserve_timeout = options->preserve_timeout,
	};
	bool mounted = false;
	int r, r_finish;

	r = open_source(fs, options);
	mfs_snapshots_open(fs, &snapshots_options);
	if (r == 0) {
		mfs_switchover_begin(fs, options->source);
		r = mount_session(fs, session, options);
		mounted = r == 0;
	}
	if (r == 0)
		r = initialize(fs, session, options);
	if (r == 0)
		r = serve(fs, session, options);
	r_finish = finish(fs, options);
	if (mounted)
		fuse_session_unmount(session);
	return r < 0 ? r : r_finish;
}

static int run(struct mfs_options *options)
{
	static struct mfs fs; /* one a process; its gate is aligned to cache lines */
	struct fuse_session *session;
	int source_fd, r;

	r = mfs_places_open(options, &source_fd);
	if (r < 0)
		return EXIT_FAILURE;
	session = new_session(&fs, options);
	if (!session) {
		close(source_fd);
		return EXIT_USAGE;
	}
	raise_limits();
	if (!options->foreground) {
		r = mfs_daemon_begin();
		if (r < 0)
			mfs_log(LOG_ERR, "start: %s", mfs_reason(r));
	}
	if (r == 0)
		r = init(&fs, session, source_fd);
	fs.notrack = options->notrack;
	if (r == 0)
		r = run_session(&fs, session, options);
	if (!fs.session_in_use)
		fuse_session_destroy(session);
	close(source_fd);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int print(const struct mfs_options *options)
{
	if (options->help)
		mfs_options_help();
	else
		printf("mirrorfs %s\nlibfuse %s\n", PACKAGE_VERSION, fuse_pkgversion());
	return fflush(stdout) < 0 || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct mfs_options options;
	int exit_code;

	mfs_log_attach_libfuse();
	mfs_loop_block_signals();
	if (mfs_options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	exit_code = options.help || options.version ? print(&options) : run(&options);
	mfs_options_destroy(&options);
	return exit_code;
}
