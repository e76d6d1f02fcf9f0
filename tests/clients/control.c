/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.c - control DIRECTORY COMMAND: speaks to a mirrorfs as mirrorctl does, and worse
 *
 *   info | commit | flush         says what came back
 *   snapshot NAME [FROM]          makes one, of what changed since a checkpoint or of all
 *   delete NAME | snapshot-info NAME | snapshot-images NAME
 *   image                         of a file in a snapshot
 *   release OFFSET NBYTES         of the same
 *   hostile | hostile-image       sends what must be refused
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

static int snapshot(int fd, const char *name, const char *from)
{
	static struct mfs_control_commit commit = { .version = MFS_CONTROL_VERSION,
						    .flags = MFS_COMMIT_HOLD };

	snprintf(commit.name, sizeof(commit.name), "%s", name);
	commit.from = strtoull(from, NULL, 0);
	if (ioctl(fd, MFS_CONTROL_COMMIT, &commit) < 0)
		return -errno;
	printf("snapshot %s checkpoint %llu images %llu\n", commit.name,
	       (unsigned long long)commit.number, (unsigned long long)commit.images);
	return 0;
}

static int delete (int fd, const char *name)
{
	struct mfs_control_snapshot_delete delete = { .version = MFS_CONTROL_VERSION };

	snprintf(delete.name, sizeof(delete.name), "%s", name);
	return ioctl(fd, MFS_CONTROL_SNAPSHOT_DELETE, &delete) < 0 ? -errno : 0;
}

static int snapshot_info(int fd, const char *name)
{
	struct mfs_control_snapshot_info info = { .version = MFS_CONTROL_VERSION };

	snprintf(info.name, sizeof(info.name), "%s", name);
	if (ioctl(fd, MFS_CONTROL_SNAPSHOT_INFO, &info) < 0)
		return -errno;
	printf("checkpoint %llu images %llu preserved %llu owned %u broken %d %s\n",
	       (unsigned long long)info.number, (unsigned long long)info.images,
	       (unsigned long long)info.preserved, info.owned, info.broken, info.reason);
	return 0;
}

/* How many there are; and nothing from far beyond them on. */
static int snapshot_images(int fd, const char *name)
{
	static struct mfs_control_snapshot_images images;
	unsigned int n = 0;

	images.version = MFS_CONTROL_VERSION;
	snprintf(images.name, sizeof(images.name), "%s", name);
	do {
		if (ioctl(fd, MFS_CONTROL_SNAPSHOT_IMAGES, &images) < 0)
			return -errno;
		n += images.n;
	} while (images.next != 0);
	images.next = UINT64_MAX;
	EXPECT(ioctl(fd, MFS_CONTROL_SNAPSHOT_IMAGES, &images) == 0);
	EXPECT(images.n == 0 && images.next == 0);
	printf("%u\n", n);
	return 0;
}

static int image(int fd)
{
	struct mfs_control_snapshot_image image = { .version = MFS_CONTROL_VERSION };

	if (ioctl(fd, MFS_CONTROL_SNAPSHOT_IMAGE, &image) < 0)
		return -errno;
	printf("image_fd %d map_fd %d status_fd %d block_shift %u blocks %llu size %llu\n",
	       image.image_fd, image.map_fd, image.status_fd, image.block_shift,
	       (unsigned long long)image.nblocks, (unsigned long long)image.size);
	return 0;
}

static int release(int fd, const char *offset, const char *nbytes)
{
	struct mfs_control_snapshot_release release = { .version = MFS_CONTROL_VERSION };

	release.offset = strtoull(offset, NULL, 0);
	release.nbytes = strtoull(nbytes, NULL, 0);
	return ioctl(fd, MFS_CONTROL_SNAPSHOT_RELEASE, &release) < 0 ? -errno : 0;
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
		struct mfs_control_forget forget;
		struct mfs_control_checkpoint_name checkpoint_name;
		struct mfs_control_flush flush;
		struct mfs_control_snapshot_images images;
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
	memset(&m, 'x', sizeof(m));
	m.images.version = MFS_CONTROL_VERSION;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_SNAPSHOT_IMAGES, &m), EINVAL);
	/* a snapshot that is not there */
	memset(&m, 0, sizeof(m));
	m.images.version = MFS_CONTROL_VERSION;
	m.images.next = UINT64_MAX;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_SNAPSHOT_IMAGES, &m), ENOENT);
	/* a checkpoint that is not one */
	memset(&m, 0, sizeof(m));
	m.arrived.version = MFS_CONTROL_VERSION;
	m.arrived.number = UINT64_MAX;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_ARRIVED, &m), ENOENT);
	/* a replica that is not known, and none */
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_FORGET, &m), ENOENT);
	m.forget.replica.b[0] = 1;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_FORGET, &m), ENOENT);
	m.forget.version++;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_FORGET, &m), EPROTONOSUPPORT);
	/* a checkpoint that is not one; a name that does not end */
	memset(&m, 0, sizeof(m));
	m.checkpoint_name.version = MFS_CONTROL_VERSION;
	m.checkpoint_name.number = 1;
	m.checkpoint_name.name[0] = 'a';
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_CHECKPOINT_NAME, &m), ENOENT);
	memset(m.checkpoint_name.name, 'a', sizeof(m.checkpoint_name.name));
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_CHECKPOINT_NAME, &m), EINVAL);
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_INFO, NULL), EFAULT);
	return 0;
}

static int hostile_image(int fd)
{
	static union {
		struct mfs_control_commit commit;
		struct mfs_control_snapshot_image image;
		struct mfs_control_snapshot_release release;
		char bytes[16384];
	} m;

	/* what only the root directory knows */
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_INFO, &m), ENOTTY);
	m.commit.version = MFS_CONTROL_VERSION;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_COMMIT, &m), ENOTTY);
	EXPECT_ERROR(ioctl(fd, _IOW('m', 8, struct mfs_control_snapshot_image), &m), ENOTTY);
	EXPECT_ERROR(ioctl(fd, _IOR('f', 1, long), &m), ENOTTY);
	m.image.version = MFS_CONTROL_VERSION + 1;
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_SNAPSHOT_IMAGE, &m), EPROTONOSUPPORT);
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_SNAPSHOT_RELEASE, &m), EPROTONOSUPPORT);
	m.release = (struct mfs_control_snapshot_release){ .version = MFS_CONTROL_VERSION,
							   .offset = UINT64_MAX,
							   .nbytes = 1 };
	EXPECT_ERROR(ioctl(fd, MFS_CONTROL_SNAPSHOT_RELEASE, &m), EINVAL);
	/* far beyond the end there is nothing to release */
	m.release.offset = UINT64_MAX - 1;
	EXPECT(ioctl(fd, MFS_CONTROL_SNAPSHOT_RELEASE, &m) == 0);
	return 0;
}

static int carry_out(int fd, int argc, char **argv)
{
	const char *command = argv[0];

	if (strcmp(command, "info") == 0)
		return info(fd);
	if (strcmp(command, "commit") == 0)
		return commit(fd);
	if (strcmp(command, "flush") == 0)
		return flush(fd);
	if (strcmp(command, "hostile") == 0)
		return hostile(fd);
	if (strcmp(command, "image") == 0)
		return image(fd);
	if (strcmp(command, "hostile-image") == 0)
		return hostile_image(fd);
	if (strcmp(command, "snapshot") == 0 && argc > 1)
		return snapshot(fd, argv[1], argc > 2 ? argv[2] : "0");
	if (strcmp(command, "delete") == 0 && argc == 2)
		return delete (fd, argv[1]);
	if (strcmp(command, "snapshot-info") == 0 && argc == 2)
		return snapshot_info(fd, argv[1]);
	if (strcmp(command, "snapshot-images") == 0 && argc == 2)
		return snapshot_images(fd, argv[1]);
	if (strcmp(command, "release") == 0 && argc == 3)
		return release(fd, argv[1], argv[2]);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	int fd, r;

	if (argc < 3)
		return 2;
	fd = open(argv[1], O_RDONLY);
	EXPECT(fd >= 0);
	r = carry_out(fd, argc - 2, argv + 2);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", argv[2], strerror(-r));
	close(fd);
	return r < 0 ? 1 : 0;
}
