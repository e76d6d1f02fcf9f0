/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dead_mount.c - what a mirrorfs that was killed has left at its mount point */
#include "config.h"

#include "fs/dead_mount.h"
#include "fs/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Between the end of its connection and the unmount a daemon does nothing else. */
#define ENDING_MS 1000
#define POLL_MS 50

/* Not from the kernel's cache, which outlives the daemon. */
static bool is_dead(int dir_fd, const char *path)
{
	struct statx stx;

	return statx(dir_fd, path, AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) <
		       0 &&
	       errno == ENOTCONN;
}

bool mfs_dead_mount_is_at(const char *path)
{
	return mfs_mounts_is_seen_at(path) && is_dead(AT_FDCWD, path);
}

/* ---- beneath ---- */

struct look {
	const char *path;
	void (*look)(void *arg);
	void *arg;
	int r;
};

/* Gives this thread a mount namespace without it. */
static int leave_it(const char *path)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	do
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return -errno;
	while (is_dead(AT_FDCWD, path)); /* there may be several */
	return 0;
}

static void *look_beneath(void *arg)
{
	struct look *look = arg;

	look->r = leave_it(look->path);
	if (look->r == 0)
		look->look(look->arg);
	return NULL;
}

int mfs_dead_mount_look_beneath(const char *path, void (*look)(void *arg), void *arg)
{
	struct look beneath = { .path = path, .look = look, .arg = arg };
	pthread_t thread;
	int r = -pthread_create(&thread, NULL, look_beneath, &beneath);

	if (r < 0)
		return r;
	pthread_join(thread, NULL);
	return beneath.r;
}

/* ---- its end ---- */

/* The one that was seen, and no other that came meanwhile. */
static int unmount(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r = 0;
	char link[32];

	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (is_dead(fd, "") && umount2(link, MNT_DETACH) < 0)
		r = -errno;
	close(fd);
	return r;
}

int mfs_dead_mount_remove(const char *path)
{
	const struct timespec poll = { .tv_nsec = POLL_MS * 1000000L };
	int r = 0;

	for (int ms = 0; ms < ENDING_MS && mfs_dead_mount_is_at(path); ms += POLL_MS)
		nanosleep(&poll, NULL);
	while (r == 0 && mfs_dead_mount_is_at(path))
		r = unmount(path);
	return r;
}
