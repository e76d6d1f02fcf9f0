/* SPDX-License-Identifier: GPL-2.0-or-later */
/* counterpart.c - what the replica has of a file that is planned, opened to be changed */
#include "config.h"

#include "tools/beneath.h"
#include "tools/counterpart.h"
#include "tools/fail.h"

#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Inode numbers are used again at once; that there is another file by now is told by its handle. */
static bool is_counterpart(const struct plan_node *node, int fd)
{
	const struct tree_node *dest = node->dest;
	struct bmf_stamp now;
	struct stat st;

	if (fstat(fd, &st) < 0 || bmf_stamp_take(&bmf_io_posix, fd, &now) < 0 ||
	    ((st.st_mode ^ node->source->st.st_mode) & S_IFMT) != 0)
		return false;
	if (!dest)
		return st.st_dev == node->made_dev && bmf_stamp_same_file(&now, &node->made);
	return st.st_dev == dest->st.st_dev && st.st_ino == dest->st.st_ino &&
	       (!S_ISREG(st.st_mode) || bmf_stamp_same_file(&now, &dest->stamp));
}

int counterpart_open(int dest_fd, const struct plan_node *node)
{
	int fd = beneath_open(dest_fd, node->source->first->path, O_PATH, 0);

	if (fd < 0 || is_counterpart(node, fd))
		return fd;
	close(fd);
	return -ESTALE;
}

int counterpart_open_rw(int dest_fd, const struct plan_node *node)
{
	int fd, path_fd = counterpart_open(dest_fd, node);
	char link[BENEATH_PROC];

	if (path_fd < 0)
		return path_fd;
	fd = beneath_reopen(path_fd, O_RDWR);
	if (fd == -EACCES && chmod(beneath_proc(path_fd, link), 0600) == 0)
		fd = beneath_reopen(path_fd, O_RDWR);
	close(path_fd);
	return fd;
}

bool counterpart_is_touched(const struct bmf_stamp *was, const struct timespec *mtime,
			    const struct bmf_stamp *now)
{
	return now->size != was->size ||
	       (now->mtime_ns != was->mtime_ns && now->mtime_ns != bmf_stamp_time(mtime));
}

int counterpart_fail(struct bmf_error *err, const char *top, const struct plan_node *node, int code)
{
	const char *path = node->source->first->path;

	if (code != -ESTALE)
		return fail_errno(err, code, "open", top, path);
	return fail_text(err, code, "open", top, path,
			 "somebody put another file there while the sync went on; keep others out "
			 "of the replica, and sync again");
}
