/* SPDX-License-Identifier: GPL-2.0-or-later */
/* journal.c - what an update has in DEST/.mirrorfs/ before it is published */
#include "config.h"

#include "tools/clone.h"
#include "tools/journal.h"

#include "bitmapfile/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP JOURNAL_NAME BMF_TEMP_SUFFIX

char *journal_staged_name(uint64_t number, char buf[JOURNAL_STAGED])
{
	snprintf(buf, JOURNAL_STAGED, "%" PRIu64, number);
	return buf;
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static int ignore_missing(int r)
{
	return r == -ENOENT ? 0 : r;
}

static int remove_staged(const char *name, void *arg)
{
	return result(unlinkat(*(const int *)arg, name, 0));
}

static int remove_staging(int dir_fd)
{
	int r, fd = openat(dir_fd, JOURNAL_STAGING,
			   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ignore_missing(-errno);
	r = bmf_io_posix.each_name(&bmf_io_posix, fd, remove_staged, &fd);
	close(fd);
	return r < 0 ? r : result(unlinkat(dir_fd, JOURNAL_STAGING, AT_REMOVEDIR));
}

int journal_discard(int dir_fd)
{
	int r = ignore_missing(result(unlinkat(dir_fd, TEMP, 0)));

	return r < 0 ? r : remove_staging(dir_fd);
}

int journal_begin(int dir_fd, struct journal *ret)
{
	struct journal journal = { .dir_fd = dir_fd, .staging_fd = -1, .fd = -1 };
	int r = journal_discard(dir_fd);

	if (r == 0)
		r = result(mkdirat(dir_fd, JOURNAL_STAGING, 0700));
	if (r < 0)
		return r;
	journal.staging_fd =
		openat(dir_fd, JOURNAL_STAGING, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (journal.staging_fd >= 0)
		journal.fd = openat(dir_fd, TEMP, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (journal.fd < 0) {
		r = -errno;
		journal_end(&journal);
		return r;
	}
	*ret = journal;
	return 0;
}

int journal_make(struct journal *journal)
{
	char name[JOURNAL_STAGED];
	int fd = openat(journal->staging_fd, journal_staged_name(journal->nstaged + 1, name),
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	journal->nstaged++;
	return fd;
}

/* The file is of no use as it is. */
static void unmake(struct journal *journal, int fd)
{
	char name[JOURNAL_STAGED];

	close(fd);
	unlinkat(journal->staging_fd, journal_staged_name(journal->nstaged--, name), 0);
}

int journal_clone(struct journal *journal, int from_fd)
{
	int r, fd;

	if (journal->no_clones)
		return -EOPNOTSUPP;
	fd = journal_make(journal);
	if (fd < 0)
		return fd;
	r = clone_file(fd, from_fd);
	if (r == 0)
		return fd;
	unmake(journal, fd);
	if (r == -EOPNOTSUPP)
		journal->no_clones = true;
	return r;
}

int journal_reopen(const struct journal *journal, uint64_t number)
{
	char name[JOURNAL_STAGED];
	int fd = openat(journal->staging_fd, journal_staged_name(number, name),
			O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int journal_commit(struct journal *journal)
{
	int r = result(fsync(journal->staging_fd));

	if (r == 0)
		r = result(fsync(journal->fd));
	/* the name of staging/ too: one flush after the rename might leave only the journal's */
	if (r == 0)
		r = result(fsync(journal->dir_fd));
	if (r == 0)
		r = result(close(journal->fd));
	if (r == 0) {
		journal->fd = -1;
		r = result(renameat(journal->dir_fd, TEMP, journal->dir_fd, JOURNAL_NAME));
	}
	return r < 0 ? r : result(fsync(journal->dir_fd));
}

void journal_end(struct journal *journal)
{
	bool begun = journal->staging_fd >= 0;

	if (journal->fd >= 0)
		close(journal->fd);
	if (begun)
		close(journal->staging_fd);
	if (begun && faccessat(journal->dir_fd, JOURNAL_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		journal_discard(journal->dir_fd);
	*journal = (struct journal){ .dir_fd = -1, .staging_fd = -1, .fd = -1 };
}

int journal_open(int dir_fd)
{
	int fd = openat(dir_fd, JOURNAL_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int journal_remove(int dir_fd)
{
	int r = ignore_missing(result(unlinkat(dir_fd, JOURNAL_NAME, 0)));

	if (r == 0)
		r = remove_staging(dir_fd);
	return r < 0 ? r : result(fsync(dir_fd));
}
