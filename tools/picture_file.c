/* SPDX-License-Identifier: GPL-2.0-or-later */
/* picture_file.c - a file that is there whole or not at all, for what users give the name of */
#include "config.h"

#include "tools/fail.h"
#include "tools/output.h"
#include "tools/picture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All of it is where it goes, or there was an error. */
static int finish(FILE *file)
{
	bool failed = ferror(file) != 0;

	errno = 0;
	if (fclose(file) != 0 || failed)
		return errno ? -errno : -EIO;
	return 0;
}

/* Takes fd over. */
static int write_fd(int fd, const struct picture *picture)
{
	FILE *file = fdopen(fd, "w");
	int r, closed;

	if (!file) {
		r = -errno;
		close(fd);
		return r;
	}
	r = picture->show(picture->arg, file);
	closed = finish(file);
	return r < 0 ? r : closed;
}

/* Is it empty, or does it begin as such a picture does?  1, 0 or a negative errno. */
static int is_picture(const char *path, const char *magic)
{
	char begin[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, begin, sizeof(begin) - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? (int)n : n == 0 || strncmp(begin, magic, strlen(magic)) == 0;
}

/* mkstemp() lets nobody else read it. */
static mode_t usual_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

/* The temporary file is fd, and called temp; fd is closed. */
static int fill(const char *temp, int fd, mode_t mode, const char *path,
		const struct picture *picture)
{
	int r = 0;

	if (fchmod(fd, mode) < 0) {
		r = -errno;
		close(fd);
	}
	if (r == 0)
		r = write_fd(fd, picture);
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temp);
	return r;
}

static int replace(const char *path, mode_t mode, const struct picture *picture)
{
	char *temp;
	int fd, r;

	if (asprintf(&temp, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	fd = mkostemp(temp, O_CLOEXEC);
	r = fd < 0 ? -errno : fill(temp, fd, mode, path, picture);
	free(temp);
	return r;
}

/* A pipe, a terminal: what somebody may have put in its place meanwhile is left as it is. */
static int write_device(const char *path, const struct picture *picture)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		close(fd);
		return -EEXIST;
	}
	return write_fd(fd, picture);
}

static int write_path(const char *path, const struct picture *picture, struct bmf_error *err)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0) {
		r = errno == ENOENT ? replace(path, usual_mode(), picture) : -errno;
	} else if (S_ISREG(st.st_mode)) {
		r = is_picture(path, picture->magic);
		if (r == 0)
			return fail_text(err, -EEXIST, "write", path, NULL,
					 "it is there, and no such picture; remove it first, or "
					 "give another name");
		if (r > 0)
			r = replace(path, st.st_mode & 0777, picture);
	} else if (S_ISBLK(st.st_mode)) {
		return fail_text(err, -EEXIST, "write", path, NULL,
				 "it is a block device, and no picture; give another name");
	} else {
		r = write_device(path, picture);
	}
	return r < 0 ? fail_errno(err, r, "write", path, NULL) : 0;
}

int picture_file_write(const char *path, const struct picture *picture, struct bmf_error *err)
{
	int r, finished;

	if (strcmp(path, "-") != 0)
		return write_path(path, picture, err);
	r = picture->show(picture->arg, stdout);
	finished = output_finish();
	if (r == 0)
		r = finished;
	return r < 0 ? bmf_error_set(err, r, "write to standard output: %s", fail_reason(r)) : 0;
}
