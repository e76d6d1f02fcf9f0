/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.c - control DIRECTORY COMMAND: speaks to a mirrorfs as mirrorctl does, and worse
 *
 *   info | commit | flush         says what came back
 *   hostile                       sends what must be refused
 */
#include "config.h"

#include "expect.h"

#include "fs/control.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int info(int fd)
{
	struct mfs_control_info info;

	if (ioctl(fd, MFS_CONTROL_INFO, &info) < 0)
		return -errno;
	printf("version %u pid %d source_fd %d block_shift %u generation %llu flags %u\n",
	       info.version, info.pid, info.source_fd, info.block_shift,
	       (unsigned long long)info.generation, info.flags);
	return 0;
}

static int commit(int fd)
{
	struct mfs_control_commit commit = { .version = MFS_CONTROL_VERSION };

	if (ioctl(fd, MFS_CONTROL_COMMIT, &commit) < 0)
		return -errno;
	printf("checkpoint %llu images %llu untrackable %llu\n", (unsigned long long)commit.number,
	       (unsigned long long)commit.images, (unsigned long long)commit.untrackable);
	return 0;
}

static int flush(int fd)
{
	struct mfs_control_flush flush = { .version = MFS_CONTROL_VERSION };

	return ioctl(fd, MFS_CONTROL_FLUSH, &flush) < 0 ? -errno : 0;
}

static int hostile(int fd)
{
	static union {
		struct mfs_control_commit commit;
		struct mfs_control_arrived arrived;
		struct mfs_control_flush flush;
		char bytes[16384];
	} m;

	EXPECT_ERROR(ioctl(fd, _IO('m', 1)), ENOTTY);
	EXPECT_ERROR(ioctl(fd, _IOR('m', 1, char), &m), ENOTTY);
	EXPECT_ERROR(ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'm', 2, 16383), &m), ENOTTY);
	EXPECT_ERROR(ioctl(fd, _IOW('m', 2, struct mfs_control_commit), &m), ENOTTY);
	EXPECT_ERROR(ioctl(fd, _IOR('m', 99, int), &m), ENOTTY);
	EXPECT_ERROR(ioctl(fd, _IOR('f', 1, long), &m), ENOTTY);
	EXPECT_ERROR(ioctl(fd, 0xffffffff, &m), ENOTTY);
	/* of another version */
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_COMMIT, &m), EPROTONOSUPPORT);
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_FLUSH, &m), EPROTONOSUPPORT);
	/* a string that does not end */
	memset(&m, 'x', sizeof(m));
	m.commit.version = MFS_CONTROL_VERSION;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_COMMIT, &m), EINVAL);
	memset(&m, 'x', sizeof(m));
	m.arrived.version = MFS_CONTROL_VERSION;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_ARRIVED, &m), EINVAL);
	/* a checkpoint that is not one */
	memset(&m, 0, sizeof(m));
	m.arrived.version = MFS_CONTROL_VERSION;
	m.arrived.number = UINT64_MAX;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_ARRIVED, &m), ENOENT);
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_INFO, NULL), EFAULT);
	return 0;
}

int main(int argc, char **argv)
{
	int fd, r = -EINVAL;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_RDONLY);
	EXPECT(fd >= 0);
	if (strcmp(argv[2], "info") == 0)
		r = info(fd);
	else if (strcmp(argv[2], "commit") == 0)
		r = commit(fd);
	else if (strcmp(argv[2], "flush") == 0)
		r = flush(fd);
	else if (strcmp(argv[2], "hostile") == 0)
		r = hostile(fd);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", argv[2], strerror(-r));
	close(fd);
	return r < 0 ? 1 : 0;
}
