/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * holder.c - holder MOUNT TIMEOUT_MS: holds a source's changes, as mirrorctl switchover does
 *
 * Says "held", or why not; then does what lines of standard input say, and after each says "done"
 * or why not, and ends where they do:
 *
 *   hold         once more, by another descriptor
 *   checkpoint   makes one
 *   seal         seals it at the checkpoint that was made last
 *   stale        likewise at the one before that
 *   hostile      what must be refused
 *   release      lets go
 */
#include "config.h"

#include "expect.h"

#include "fs/control.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct mfs_control_commit made[2]; /* the last one first */

static int hold(int fd, uint32_t timeout_ms)
{
	struct mfs_control_hold hold = { .version = MFS_CONTROL_VERSION, .timeout_ms = timeout_ms };

	return ioctl(fd, MFS_CONTROL_HOLD, &hold) < 0 ? -errno : 0;
}

static int checkpoint(int fd)
{
	struct mfs_control_commit commit = { .version = MFS_CONTROL_VERSION };

	if (ioctl(fd, MFS_CONTROL_COMMIT, &commit) < 0)
		return -errno;
	made[1] = made[0];
	made[0] = commit;
	return 0;
}

static int seal(int fd, const struct mfs_control_commit *commit)
{
	struct mfs_control_seal seal = { .version = MFS_CONTROL_VERSION,
					 .number = commit->number,
					 .uuid = commit->uuid,
					 .label = "/elsewhere" };

	return ioctl(fd, MFS_CONTROL_SEAL, &seal) < 0 ? -errno : 0;
}

static int hostile(int fd)
{
	struct mfs_control_hold hold = { .version = MFS_CONTROL_VERSION,
					 .timeout_ms = MFS_HOLD_MAX_MS + 1 };
	struct mfs_control_seal seal = { .version = MFS_CONTROL_VERSION, .flags = 2 };

	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_HOLD, &hold), EINVAL);
	hold.version++;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_HOLD, &hold), EPROTONOSUPPORT);
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_SEAL, &seal), EINVAL);
	memset(&seal, 'x', sizeof(seal));
	seal.version = MFS_CONTROL_VERSION;
	seal.flags = 0;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_SEAL, &seal), EINVAL);
	seal.flags = MFS_SEAL_UNDO;
	seal.label[0] = '\0';
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_SEAL, &seal), EINVAL);
	return 0;
}

static int carry_out(int fd, const char *mount, const char *line)
{
	if (strcmp(line, "hold\n") == 0)
		return hold(open(mount, O_RDONLY), 1000);
	if (strcmp(line, "checkpoint\n") == 0)
		return checkpoint(fd);
	if (strcmp(line, "seal\n") == 0)
		return seal(fd, &made[0]);
	if (strcmp(line, "stale\n") == 0)
		return seal(fd, &made[1]);
	if (strcmp(line, "hostile\n") == 0)
		return hostile(fd);
	return strcmp(line, "release\n") == 0 ? hold(fd, 0) : -EINVAL;
}

int main(int argc, char **argv)
{
	char line[64];
	int fd, r;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_RDONLY);
	EXPECT(fd >= 0);
	EXPECT(checkpoint(fd) == 0 && checkpoint(fd) == 0);
	r = hold(fd, (uint32_t)strtoul(argv[2], NULL, 0));
	puts(r < 0 ? strerror(-r) : "held");
	while (fflush(stdout) == 0 && fgets(line, sizeof(line), stdin)) {
		r = carry_out(fd, argv[1], line);
		puts(r < 0 ? strerror(-r) : "done");
	}
	return 0;
}
