/* SPDX-License-Identifier: GPL-2.0-or-later */
/* places.c - may this source be mounted at this mount point? */
#include "config.h"

#include "fs/places.h"

#include "bitmapfile/store.h"
#include "fs/dead_mount.h"
#include "fs/log.h"
#include "fs/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FUSE_SUPER_MAGIC 0x65735546

static bool is_in_mirrorfs(int fd)
{
	struct statfs sfs;
	struct stat st;

	return fstatfs(fd, &sfs) == 0 && sfs.f_type == FUSE_SUPER_MAGIC && fstat(fd, &st) == 0 &&
	       mfs_mounts_has_dev(st.st_dev);
}

static int refuse(int code, const char *verb, const char *path, const char *reason)
{
	mfs_log(LOG_ERR, "%s '%s': %s", verb, path, reason);
	return code;
}

/* A mount whose daemon was killed: every access to it gives ENOTCONN. */
static int refuse_dead(const char *verb, const char *path)
{
	mfs_log(LOG_ERR,
		"%s '%s': it is a dead mount, its daemon is gone: first run fusermount3 -u -z '%s'",
		verb, path, path);
	return -ENOTCONN;
}

static int open_place(const char *verb, const char *path, int flags, int *ret_fd)
{
	int fd = open(path, flags | O_DIRECTORY | O_CLOEXEC);
	int r = -errno;

	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (r == -ENOTCONN)
		return refuse_dead(verb, path);
	if (r == -ENOENT)
		return refuse(
			r, verb, path,
			"no such file or directory; make it first, or give another directory");
	return refuse(r, verb, path, mfs_reason(r));
}

static int make_absolute(const char *verb, char **path)
{
	char *absolute = realpath(*path, NULL);
	int r = -errno;

	if (!absolute)
		return refuse(r, verb, *path, mfs_reason(r));
	free(*path);
	*path = absolute;
	return 0;
}

/* Is it a state directory, or in one?  What mirrorfs keeps there is no image. */
static int check_not_state(const char *verb, const char *path)
{
	const size_t n = strlen("/" BMF_STATE_DIR);
	const char *at = path;

	while ((at = strstr(at, "/" BMF_STATE_DIR)) && at[n] != '/' && at[n] != '\0')
		at += n;
	if (!at)
		return 0;
	if (at[n] == '\0')
		return refuse(-EINVAL, verb, path,
			      "it is the state directory of a source or replica; give the "
			      "directory above it");
	mfs_log(LOG_ERR,
		"%s '%s': it lies in '%.*s', the state directory of a source or replica; give "
		"the directory above that",
		verb, path, (int)(at - path + (ptrdiff_t)n), path);
	return -EINVAL;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Does the way up from the directory below lead through the directory above? */
static bool is_strictly_inside(int below, int above)
{
	struct stat target, here, parent;
	int fd = fcntl(below, F_DUPFD_CLOEXEC, 3), up;
	bool inside = false;

	if (fd < 0 || fstat(above, &target) < 0 || fstat(fd, &here) < 0)
		goto out;
	for (;;) {
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0)
			break;
		close(fd);
		fd = up;
		if (fstat(fd, &parent) < 0 || is_same(&parent, &here))
			break;
		inside = is_same(&parent, &target);
		if (inside)
			break;
		here = parent;
	}
out:
	if (fd >= 0)
		close(fd);
	return inside;
}

static int check_nesting(const struct mfs_options *options, int source_fd, int mountpoint_fd)
{
	const char *source = options->source, *mountpoint = options->mountpoint;

	if (is_strictly_inside(mountpoint_fd, source_fd)) {
		mfs_log(LOG_ERR,
			"mount '%s': it lies inside the source '%s': use the source itself, or a "
			"directory outside of it",
			mountpoint, source);
		return -ELOOP;
	}
	if (is_strictly_inside(source_fd, mountpoint_fd)) {
		mfs_log(LOG_ERR,
			"mount '%s': the source '%s' lies inside it: use the source itself, or a "
			"directory that does not hold it",
			mountpoint, source);
		return -ELOOP;
	}
	return 0;
}

static int check(struct mfs_options *options, int source_fd, int mountpoint_fd)
{
	int r;

	if (is_in_mirrorfs(source_fd))
		return refuse(-ELOOP, "open source", options->source,
			      "it lies in a mirrorfs mount: mount the directory beneath it");
	r = make_absolute("open source", &options->source);
	if (r == 0)
		r = make_absolute("mount", &options->mountpoint);
	if (r == 0)
		r = check_not_state("open source", options->source);
	if (r == 0)
		r = check_not_state("mount", options->mountpoint);
	if (r < 0)
		return r;
	if (geteuid() != 0 && faccessat(mountpoint_fd, ".", W_OK, AT_EACCESS) < 0)
		return refuse(-EACCES, "mount", options->mountpoint,
			      "you may not write to the mount point: use a directory of yours");
	return check_nesting(options, source_fd, mountpoint_fd);
}

/* What is looked at, and what comes of it. */
struct look {
	struct mfs_options *options;
	int source_fd;
	int r;
};

static void look(void *arg)
{
	struct look *look = arg;
	struct mfs_options *options = look->options;
	int mountpoint_fd = -1;

	look->r = open_place("open source", options->source, O_RDONLY, &look->source_fd);
	if (look->r < 0)
		return;
	look->r = open_place("mount", options->mountpoint, O_PATH, &mountpoint_fd);
	if (look->r == 0)
		look->r = check(options, look->source_fd, mountpoint_fd);
	if (mountpoint_fd >= 0)
		close(mountpoint_fd);
	if (look->r < 0)
		close(look->source_fd);
}

/* Looked at first of all: with the source at the same place, that can't even be opened. */
static int look_at_places(const char *path, struct look *ret)
{
	if (!mfs_mounts_is_seen_at(path)) {
		look(ret);
		return ret->r;
	}
	if (!mfs_dead_mount_is_at(path)) {
		mfs_log(LOG_ERR,
			"mount '%s': a mirrorfs is mounted there already: to unmount it, run "
			"fusermount3 -u '%s'",
			path, path);
		return -EBUSY;
	}
	if (mfs_dead_mount_look_beneath(path, look, ret) < 0)
		return refuse_dead("mount", path);
	return ret->r;
}

int mfs_places_open(struct mfs_options *options, int *ret_source_fd)
{
	char *absolute = realpath(options->mountpoint, NULL);
	struct look look = { .options = options, .source_fd = -1 };
	int r = look_at_places(absolute ? absolute : options->mountpoint, &look);

	free(absolute);
	if (r == 0)
		*ret_source_fd = look.source_fd;
	return r;
}

/* 0 or -errno; -ESTALE: fd is another directory. */
static int replace(int fd, int source_fd)
{
	struct stat was, now;

	if (fstat(source_fd, &was) < 0 || fstat(fd, &now) < 0)
		return -errno;
	if (!is_same(&was, &now))
		return -ESTALE;
	return dup3(fd, source_fd, O_CLOEXEC) < 0 ? -errno : 0;
}

int mfs_places_reopen(const struct mfs_options *options, int source_fd)
{
	static const char verb[] = "open source";
	int fd, r = open_place(verb, options->source, O_RDONLY, &fd);

	if (r < 0)
		return r;
	r = replace(fd, source_fd);
	close(fd);
	if (r == -ESTALE)
		return refuse(r, verb, options->source,
			      "another directory took its place meanwhile; try again");
	return r < 0 ? refuse(r, verb, options->source, mfs_reason(r)) : 0;
}
