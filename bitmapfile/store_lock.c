/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_lock.c - the lock of a state directory, and who holds it
 *
 * The kernel's lock on the open file is what counts.  The line in the file only tells
 * people who took it last, so nothing depends on its being written or read.
 */
#include "config.h"

#include "bitmapfile/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LOCK_PATH BMF_STATE_DIR "/" BMF_LOCK_NAME
#define HOLDER_NBYTES 256

static int open_lock(struct bmf_store *store, bool share, struct bmf_error *err)
{
	const struct bmf_io *io = store->io;
	struct stat st;
	int fd, r;

	fd = io->openat(io, store->dir_fd, BMF_LOCK_NAME,
			(share ? O_RDONLY : O_RDWR | O_CREAT) | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd == -EISDIR || fd == -ELOOP || fd == -ENXIO)
		return bmf_error_set(err, fd, "open '%s': not a regular file; remove it",
				     LOCK_PATH);
	if (fd < 0)
		return bmf_error_set(err, fd, "open '%s': %s", LOCK_PATH, bmf_errno_text(fd));
	r = io->fstat(io, fd, &st);
	if (r < 0)
		bmf_error_set(err, r, "open '%s': %s", LOCK_PATH, bmf_errno_text(r));
	else if (!S_ISREG(st.st_mode))
		r = bmf_error_set(err, -EINVAL, "open '%s': not a regular file; remove it",
				  LOCK_PATH);
	if (r < 0) {
		io->close(io, fd);
		return r;
	}
	return fd;
}

/* The holder's line as far as it can be printed; empty when it isn't known. */
static void read_holder(const struct bmf_io *io, int fd, char line[HOLDER_NBYTES])
{
	ssize_t got = io->pread(io, fd, line, HOLDER_NBYTES - 1, 0);
	size_t n = 0;

	while (got > 0 && n < (size_t)got && (unsigned char)line[n] >= ' ' && line[n] != 0x7f)
		n++;
	line[n] = '\0';
}

static void write_holder(const struct bmf_io *io, int fd, const char *holder)
{
	char line[HOLDER_NBYTES];
	size_t n = strnlen(holder, sizeof(line) - 1);

	memcpy(line, holder, n);
	line[n++] = '\n';
	/* not before it is cut, so that nobody reads half of the last holder's line */
	if (io->ftruncate(io, fd, 0) == 0)
		io->pwrite(io, fd, line, n, 0);
}

int bmf_store_lock(struct bmf_store *store, bool share, const char *holder, struct bmf_error *err)
{
	const struct bmf_io *io = store->io;
	char line[HOLDER_NBYTES];
	int fd, r;

	fd = open_lock(store, share, err);
	if (fd < 0)
		return fd;
	r = io->lock(io, fd, share ? F_RDLCK : F_WRLCK);
	if (r == 0) {
		if (!share)
			write_holder(io, fd, holder ? holder : "");
		store->lock_fd = fd;
		return 0;
	}
	if (r == -EAGAIN) {
		read_holder(io, fd, line);
		r = bmf_error_set(err, -EBUSY, "lock '%s': in use by %s", LOCK_PATH,
				  *line ? line : "another process");
	} else {
		bmf_error_set(err, r, "lock '%s': %s", LOCK_PATH, bmf_errno_text(r));
	}
	io->close(io, fd);
	return r;
}

void bmf_store_unlock(struct bmf_store *store)
{
	if (store->lock_fd < 0)
		return;
	/* closing alone would not do while a child process has inherited the descriptor */
	store->io->lock(store->io, store->lock_fd, F_UNLCK);
	store->io->close(store->io, store->lock_fd);
	store->lock_fd = -1;
}
