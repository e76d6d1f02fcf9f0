/* SPDX-License-Identifier: GPL-2.0-or-later */
/* restore_out.c - the directory that a restore fills: marked until it is whole */
#include "config.h"

#include "tools/fail.h"
#include "tools/replica.h"
#include "tools/replica_place.h"
#include "tools/restore_out.h"
#include "tools/tree_make.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const struct restore_out *out, int code, const char *verb, struct bmf_error *err)
{
	return fail_errno(err, code, verb, out->path, NULL);
}

/* The next sync would remove it again. */
static int check_place(const struct restore_out *out, int fd, bool self, struct bmf_error *err)
{
	if (!replica_is_above(fd, self))
		return 0;
	return fail_text(err, -EINVAL, "restore to", out->path, NULL,
			 "it is inside a replica, whose next sync would remove it; choose another "
			 "directory");
}

static int make_directory(struct restore_out *out, struct bmf_error *err)
{
	char *copy = strdup(out->path);
	int r, parent = copy ? open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (parent < 0) {
		r = copy ? -errno : -ENOMEM;
		free(copy);
		return fail_text(err, r, "make", out->path, NULL,
				 "its parent directory: %s; make that first", fail_reason(r));
	}
	free(copy);
	r = check_place(out, parent, true, err);
	close(parent);
	if (r == 0 && mkdir(out->path, 0700) < 0)
		r = failed(out, -errno, "make", err);
	out->made = r == 0;
	return r;
}

static int visit_name(const char *name, void *arg)
{
	(void)arg;
	return !replica_ignores(name);
}

static int check_empty(const struct restore_out *out, struct bmf_error *err)
{
	int r = bmf_io_posix.each_name(&bmf_io_posix, out->fd, visit_name, NULL);

	if (r > 0)
		return fail_text(err, -ENOTEMPTY, "restore to", out->path, NULL,
				 "it is not empty; choose an empty directory, or one that doesn't "
				 "exist yet");
	return r < 0 ? failed(out, r, "read", err) : 0;
}

static int mark(const struct restore_out *out, struct bmf_error *err)
{
	int fd = openat(out->fd, BMF_STATE_DIR, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return failed(out, -errno, "write to", err);
	close(fd);
	return fsync(out->fd) < 0 ? failed(out, -errno, "flush", err) : 0;
}

int restore_out_open(const char *path, struct restore_out *ret, struct bmf_error *err)
{
	struct restore_out out = { .path = path };
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0 && errno == ENOENT)
		r = make_directory(&out, err);
	if (r < 0)
		return r;
	out.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out.fd < 0)
		return failed(&out, -errno, "open", err);
	r = check_place(&out, out.fd, false, err);
	if (r == 0)
		r = check_empty(&out, err);
	if (r == 0)
		r = mark(&out, err);
	if (r < 0) {
		restore_out_close(&out);
		return r;
	}
	*ret = out;
	return 0;
}

/* The top has the metadata that it is to have already, and may not be writable by its mode. */
static int unmark(const struct restore_out *out)
{
	struct timespec times[2];
	struct stat st;
	int r = 0;

	if (fstat(out->fd, &st) < 0)
		return -errno;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (geteuid() != 0 && fchmod(out->fd, (st.st_mode & 07777) | S_IRWXU) < 0)
		return -errno;
	if (unlinkat(out->fd, BMF_STATE_DIR, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0 && geteuid() != 0 && fchmod(out->fd, st.st_mode & 07777) < 0)
		r = -errno;
	if (r == 0 && futimens(out->fd, times) < 0)
		r = -errno;
	return r;
}

int restore_out_finish(struct restore_out *out, struct bmf_error *err)
{
	int r = syncfs(out->fd) < 0 ? -errno : 0;

	if (r == 0)
		r = unmark(out);
	if (r == 0 && fsync(out->fd) < 0)
		r = -errno;
	return r < 0 ? failed(out, r, "finish", err) : 0;
}

#define STILL_THERE "what was made until then is there, and marked as unfinished: remove it"

void restore_out_undo(struct restore_out *out, struct bmf_error *err)
{
	struct bmf_error cause = *err;
	int r = tree_clear(out->path, out->fd, NULL);

	if (r == 0 && out->made)
		r = unlinkat(out->fd, BMF_STATE_DIR, 0) < 0 || rmdir(out->path) < 0 ? -errno : 0;
	else if (r == 0)
		r = unmark(out);
	if (r == 0)
		return;
	if (cause.code)
		bmf_error_set(err, cause.code, "%s; " STILL_THERE, cause.text);
	else
		fail_text(err, r, "restore to", out->path, NULL,
			  "stopped by a signal; " STILL_THERE);
}

void restore_out_close(struct restore_out *out)
{
	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
}
