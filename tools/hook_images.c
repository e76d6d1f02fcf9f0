/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hook_images.c - the images of a source, as a hook gets to know of them */
#include "config.h"

#include "tools/fail.h"
#include "tools/hook_images.h"
#include "tools/text.h"

#include "bitmapfile/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the kernel takes of one string of the environment, with its name and its end. */
#define LINES_MAX ((size_t)128 * 1024 - sizeof("MIRRORFS_IMAGES="))

struct listing {
	FILE *names, *lines;
	size_t lines_nbytes;
};

static int visit(const struct bmf_walk_entry *entry, void *arg)
{
	struct listing *listing = arg;
	char *quoted;

	if (!S_ISREG(entry->st->st_mode))
		return 0;
	fwrite(entry->path, 1, strlen(entry->path) + 1, listing->names);
	quoted = text_escape(entry->path);
	if (!quoted)
		return -ENOMEM;
	listing->lines_nbytes += strlen(quoted) + 1;
	if (listing->lines_nbytes <= LINES_MAX)
		fprintf(listing->lines, "%s\n", quoted);
	free(quoted);
	return 0;
}

static int write_all(int fd, const char *buf, size_t nbytes)
{
	while (nbytes > 0) {
		ssize_t n = write(fd, buf, nbytes);

		if (n < 0 && errno != EINTR)
			return -errno;
		buf += n < 0 ? 0 : n;
		nbytes -= n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

/* As mktemp(1) would: below TMPDIR, or /tmp. */
static int write_file(const char *names, size_t nbytes, char **ret_path)
{
	const char *dir = getenv("TMPDIR");
	char *path;
	int fd, r;

	if (asprintf(&path, "%s/mirrorctl-images.XXXXXX", dir && *dir ? dir : "/tmp") < 0)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	r = fd < 0 ? -errno : write_all(fd, names, nbytes);
	if (fd >= 0 && close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0) {
		if (fd >= 0)
			unlink(path);
		free(path);
		return r;
	}
	*ret_path = path;
	return 0;
}

static int close_stream(FILE *stream)
{
	bool failed = stream && ferror(stream);

	return stream && fclose(stream) == 0 && !failed ? 0 : -ENOMEM;
}

int hook_images_list(int source_fd, const char *source, struct hook_images *ret,
		     struct bmf_error *err)
{
	char *names = NULL, *lines = NULL, *file = NULL;
	size_t names_nbytes = 0, lines_nbytes = 0;
	struct listing listing = { open_memstream(&names, &names_nbytes),
				   open_memstream(&lines, &lines_nbytes), 0 };
	int r = listing.names && listing.lines
			? bmf_walk(&bmf_io_posix, source_fd, visit, &listing, NULL)
			: -ENOMEM;

	if (close_stream(listing.names) < 0 && r == 0)
		r = -ENOMEM;
	if (close_stream(listing.lines) < 0 && r == 0)
		r = -ENOMEM;
	if (r < 0)
		fail_errno(err, r, "list images of", source, NULL);
	if (r == 0) {
		r = write_file(names, names_nbytes, &file);
		if (r < 0)
			bmf_error_set(err, r, "write list of images for hooks: %s", fail_reason(r));
	}
	free(names);
	if (r < 0 || listing.lines_nbytes > LINES_MAX) {
		free(lines);
		lines = NULL;
	}
	if (r == 0)
		*ret = (struct hook_images){ .lines = lines, .file = file };
	return r;
}

void hook_images_destroy(struct hook_images *images)
{
	free(images->lines);
	free(images->file);
	*images = (struct hook_images){ 0 };
}
