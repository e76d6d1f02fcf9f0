/* SPDX-License-Identifier: GPL-2.0-or-later */
/* places.c - may this source be mounted at this mount point? */
#include "config.h"

#include "fs/places.h"

#include "bitmapfile/store.h"
#include "fs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FSTYPE "fuse.mirrorfs"
#define FUSE_SUPER_MAGIC 0x65735546

/* One line of /proc/self/mountinfo. */
struct mount_line {
	dev_t dev;
	char *mountpoint, *fsname; /* escaped: \040 and the like */
	bool is_mirrorfs;
};

/* Takes a line of mountinfo apart, in place.  False if it is none. */
static bool parse_mount_line(char *line, struct mount_line *ret)
{
	unsigned int major_number, minor_number;
	char *rest, *word, *save = NULL;

	rest = strstr(line, " - ");
	if (!rest || sscanf(line, "%*u %*u %u:%u", &major_number, &minor_number) != 2)
		return false;
	*rest = '\0';
	word = strtok_r(rest + 3, " ", &save);
	if (!word)
		return false;
	ret->is_mirrorfs = strcmp(word, FSTYPE) == 0;
	ret->fsname = strtok_r(NULL, " ", &save);

	word = strtok_r(line, " ", &save);
	for (int field = 1; word && field < 5; field++)
		word = strtok_r(NULL, " ", &save);
	ret->mountpoint = word;
	ret->dev = makedev(major_number, minor_number);
	return ret->fsname && ret->mountpoint;
}

/* Calls found for each mount, the last one last, until it returns true, and returns that. */
static bool find_mount(bool (*found)(const struct mount_line *, void *), void *arg)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct mount_line mount;
	char *line = NULL;
	size_t size = 0;
	bool result = false;

	while (!result && f && getline(&line, &size, f) >= 0)
		result = parse_mount_line(line, &mount) && found(&mount, arg);
	free(line);
	if (f)
		fclose(f);
	return result;
}

/* Undoes mountinfo's octal escapes in place. */
static char *unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return text;
}

static bool is_escaped(const char *escaped, const char *text)
{
	char *copy = strdup(escaped);
	bool same = copy && strcmp(unescape(copy), text) == 0;

	free(copy);
	return same;
}

static bool has_fsname(const struct mount_line *mount, void *fsname)
{
	return mount->is_mirrorfs && is_escaped(mount->fsname, *(const char **)fsname);
}

bool mfs_places_is_mounted(const char *fsname)
{
	return find_mount(has_fsname, &fsname);
}

static bool has_dev(const struct mount_line *mount, void *dev)
{
	return mount->is_mirrorfs && mount->dev == *(dev_t *)dev;
}

static bool is_in_mirrorfs(int fd)
{
	struct statfs sfs;
	struct stat st;

	return fstatfs(fd, &sfs) == 0 && sfs.f_type == FUSE_SUPER_MAGIC && fstat(fd, &st) == 0 &&
	       find_mount(has_dev, &st.st_dev);
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
		"%s '%s': it is a dead mount, its daemon is gone: first run fusermount3 -u '%s'",
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

struct place {
	const char *path;
	bool is_mirrorfs;
};

/* Later ones cover earlier ones. */
static bool see_mount(const struct mount_line *mount, void *arg)
{
	struct place *place = arg;

	if (is_escaped(mount->mountpoint, place->path))
		place->is_mirrorfs = mount->is_mirrorfs;
	return false;
}

/* Is a mirrorfs seen there? */
static bool is_covered(const char *path)
{
	struct place place = { .path = path };

	find_mount(see_mount, &place);
	return place.is_mirrorfs;
}

/* Not from the kernel's cache, which outlives the daemon. */
static bool is_dead(const char *path)
{
	struct statx stx;

	return statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) < 0 &&
	       errno == ENOTCONN;
}

/*
 * What a daemon that was killed has left is of no use to anybody, and in the way of who starts
 * again by himself.  Only root may unmount it without asking who had mounted it.
 */
static int remove_dead(const char *path)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return refuse_dead("mount", path);
	mfs_log(LOG_WARNING, "mount '%s': unmounted a dead mount, whose daemon is gone", path);
	return 0;
}

/* Looked at first of all: with the source at the same place, that can't even be opened. */
static int check_not_mounted(const char *mountpoint)
{
	char *absolute = realpath(mountpoint, NULL);
	const char *path = absolute ? absolute : mountpoint;
	int r = 0;

	while (r == 0 && is_covered(path)) {
		if (is_dead(path)) {
			r = remove_dead(path);
			continue;
		}
		r = -EBUSY;
		mfs_log(LOG_ERR,
			"mount '%s': a mirrorfs is mounted there already: to unmount it, run "
			"fusermount3 -u '%s'",
			path, path);
	}
	free(absolute);
	return r;
}

int mfs_places_open(struct mfs_options *options, int *ret_source_fd)
{
	int source_fd = -1, mountpoint_fd = -1;
	int r;

	r = check_not_mounted(options->mountpoint);
	if (r == 0)
		r = open_place("open source", options->source, O_RDONLY, &source_fd);
	if (r < 0)
		return r;
	r = open_place("mount", options->mountpoint, O_PATH, &mountpoint_fd);
	if (r == 0)
		r = check(options, source_fd, mountpoint_fd);
	if (mountpoint_fd >= 0)
		close(mountpoint_fd);
	if (r < 0)
		close(source_fd);
	else
		*ret_source_fd = source_fd;
	return r;
}
