/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replica_place.c - may that directory be a replica's? */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/manifest.h"
#include "tools/mounts.h"
#include "tools/replica_place.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is fd the directory ancestor, or somewhere inside it?  Goes up through mounts. */
static bool is_within(int fd, const struct stat *ancestor)
{
	struct stat here, last = { 0 };
	int at = beneath_reopen(fd, O_PATH | O_DIRECTORY);
	bool within = false;

	while (at >= 0 && fstat(at, &here) == 0 && !same_file(&here, &last)) {
		int up;

		within = same_file(&here, ancestor);
		if (within)
			break;
		up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = up;
		last = here;
	}
	if (at >= 0)
		close(at);
	return within;
}

bool replica_is_above(int fd, bool self)
{
	struct stat here, last = { 0 }, st;
	int at = beneath_reopen(fd, O_PATH | O_DIRECTORY);
	bool found = false, counts = self;

	while (!found && at >= 0 && fstat(at, &here) == 0 && !same_file(&here, &last)) {
		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		found = counts &&
			fstatat(at, BMF_STATE_DIR "/" MANIFEST_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0;
		counts = true;
		close(at);
		at = up;
		last = here;
	}
	if (at >= 0)
		close(at);
	return found;
}

static bool dirs_overlap(int source_fd, int dest_fd, bool *ret_equal, bool *ret_source_inside)
{
	struct stat source, dest;

	if (source_fd < 0 || fstat(source_fd, &source) < 0 || fstat(dest_fd, &dest) < 0)
		return false;
	*ret_equal = same_file(&source, &dest);
	*ret_source_inside = is_within(source_fd, &dest);
	return *ret_source_inside || is_within(dest_fd, &source);
}

/* The source must not be inside the replica, nor the other way round, nor equal to it. */
static int check_apart(const char *path, int fd, bool parent, const struct source_view *view,
		       struct bmf_error *err)
{
	bool equal = false, inside = false;

	if (replica_is_above(fd, parent))
		return fail_text(err, -EINVAL, "open destination", path, NULL,
				 "it is inside another replica, whose next sync would remove it; "
				 "choose another directory");
	if (!dirs_overlap(view->fd, fd, &equal, &inside) &&
	    !dirs_overlap(view->mount_fd, fd, &equal, &inside))
		return 0;
	if (parent && inside && !equal)
		return 0; /* a sibling, or further up: the new directory is not on the way */
	return fail_text(err, -EINVAL, "open destination", path, NULL,
			 equal && !parent ? "it is the source itself; choose another directory"
			 : inside && !parent
				 ? "the source is inside it; choose a directory outside of both"
				 : "it is inside the source; choose a directory outside");
}

/* Writing into a mounted source would be a change of that source. */
static bool is_mounted(int fd)
{
	struct mfs_control_info info;
	struct stat st;
	char *point;

	if (fstat(fd, &st) < 0 || ioctl(fd, MFS_CONTROL_INFO, &info) == 0)
		return true; /* in doubt too */
	point = mounts_of_dev(st.st_dev);
	if (!point)
		return false;
	free(point);
	return true;
}

/* Who has mistaken it for a replica is not to unmount it: guests run from there. */
static int check_not_mounted(const char *path, int fd, struct bmf_error *err)
{
	if (!is_mounted(fd))
		return 0;
	return fail_text(err, -EINVAL, "open destination", path, NULL,
			 "it is a source itself, or inside one: a mirrorfs is mounted there; "
			 "choose another directory, or, if it is to be a replica and nothing "
			 "else, unmount it");
}

int replica_place_open_parent(const char *path, struct bmf_error *err)
{
	char *copy = strdup(path);
	int fd;

	if (!copy)
		return fail_errno(err, -ENOMEM, "open destination", path, NULL);
	fd = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = fail_text(err, -errno, "make destination", path, NULL,
			       "its parent directory: %s; make that first", fail_reason(-errno));
	free(copy);
	return fd;
}

int replica_place_open(const char *path, const struct source_view *view, bool make, int *ret_fd,
		       struct bmf_error *err)
{
	int r, parent, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		parent = replica_place_open_parent(path, err);
		if (parent < 0)
			return parent;
		r = check_apart(path, parent, true, view, err);
		if (r == 0)
			r = check_not_mounted(path, parent, err);
		close(parent);
		if (r < 0)
			return r;
		if (!make) {
			*ret_fd = -1;
			return 0;
		}
		if (mkdir(path, 0777) < 0)
			return fail_errno(err, -errno, "make destination", path, NULL);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0 && errno == ENOTDIR)
		return fail_text(err, -ENOTDIR, "open destination", path, NULL,
				 "not a directory; choose one");
	if (fd < 0 && errno == ENOTCONN)
		return fail_text(err, -ENOTCONN, "open destination", path, NULL,
				 "it is a source itself, whose mirrorfs is dead; choose another "
				 "directory");
	if (fd < 0)
		return fail_errno(err, -errno, "open destination", path, NULL);
	r = check_apart(path, fd, false, view, err);
	if (r == 0)
		r = check_not_mounted(path, fd, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int replica_place_open_alone(const char *path, int *ret_fd, struct bmf_error *err)
{
	int r = 0, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, -errno, "open replica", path, NULL);
	if (is_mounted(fd))
		r = fail_text(err, -EINVAL, "open replica", path, NULL,
			      "it is a source itself, or inside one: a mirrorfs is mounted there; "
			      "give a replica, or, if it is one too, unmount it");
	else if (replica_is_above(fd, false))
		r = fail_text(err, -EINVAL, "open replica", path, NULL,
			      "it is inside another replica; give the top directory of that");
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}
