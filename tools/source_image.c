/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source_image.c - one image of a source, to be read as it was at one instant */
#include "config.h"

#include "tools/beneath.h"
#include "tools/holes.h"
#include "tools/source_image.h"

#include "bitmapfile/io.h"
#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Often enough for guests to have less to preserve, and seldom enough to cost nothing. */
#define RELEASE_EVERY ((uint64_t)16 << 20)

/* Reading must not change the source's times; only the owner may ask for that. */
static int open_quietly(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOATIME | O_CLOEXEC);

	if (fd < 0 && errno == EPERM)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int ask(int file_fd, struct mfs_control_snapshot_image *ret)
{
	*ret = (struct mfs_control_snapshot_image){ .version = MFS_CONTROL_VERSION };
	return ioctl(file_fd, MFS_CONTROL_SNAPSHOT_IMAGE, ret) < 0 ? -errno : 0;
}

/* Where a descriptor of the daemon can be opened. */
#define LINK_NAME 64
static const char *link_of(int pid, int fd, char buf[LINK_NAME])
{
	snprintf(buf, LINK_NAME, "/proc/%d/fd/%d", pid, fd);
	return buf;
}

/* NULL, with errno. */
static const void *map(int pid, int remote_fd, size_t nbytes)
{
	char link[LINK_NAME];
	int fd = open(link_of(pid, remote_fd, link), O_RDONLY | O_CLOEXEC);
	void *at;

	if (fd < 0)
		return NULL;
	at = mmap(NULL, nbytes, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static int open_snapshot(struct source_image *image, int pid)
{
	struct mfs_control_snapshot_image info;
	char link[LINK_NAME];
	int r = ask(image->file_fd, &info);

	if (r < 0)
		return r;
	image->pid = pid;
	image->size = info.size;
	image->block_shift = info.block_shift;
	image->nblocks = info.nblocks;
	image->fd = open_quietly(link_of(pid, info.image_fd, link));
	if (image->fd < 0)
		return image->fd;
	if (image->nblocks == 0)
		return 0;
	image->broken = map(pid, info.status_fd, sizeof(*image->broken));
	if (!image->broken)
		return -errno;
	image->states = map(pid, info.map_fd, image->nblocks);
	if (!image->states)
		return -errno;
	/* only single blocks are read through it: those around them may be lost */
	posix_fadvise(image->file_fd, 0, 0, POSIX_FADV_RANDOM);
	return 0;
}

int source_image_open(int fd, int pid, struct source_image *ret)
{
	struct source_image image = { .fd = -1, .direct = { .fd = -1, .direct_fd = -1 } };
	char path[BENEATH_PROC];
	struct stat st;
	int r = 0;

	image.file_fd = open_quietly(beneath_proc(fd, path));
	if (image.file_fd < 0)
		return image.file_fd;
	if (pid != 0) {
		r = open_snapshot(&image, pid);
	} else if (fstat(image.file_fd, &st) < 0) {
		r = -errno;
	} else {
		image.fd = image.file_fd;
		image.size = (uint64_t)st.st_size;
	}
	if (r < 0) {
		source_image_close(&image);
		return r;
	}
	direct_open_quietly(&image.direct, image.fd);
	*ret = image;
	return 0;
}

void source_image_close(struct source_image *image)
{
	direct_close(&image->direct);
	if (image->states)
		munmap((void *)(uintptr_t)image->states, image->nblocks);
	if (image->broken)
		munmap((void *)(uintptr_t)image->broken, sizeof(*image->broken));
	if (image->fd >= 0 && image->fd != image->file_fd)
		close(image->fd);
	if (image->file_fd >= 0)
		close(image->file_fd);
	*image = (struct source_image){ .fd = -1,
					.file_fd = -1,
					.direct = { .fd = -1, .direct_fd = -1 } };
}

int source_image_reach(int pid, int image_fd)
{
	char link[LINK_NAME];
	int fd = open(link_of(pid, image_fd, link), O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * Once it is broken, neither the image, nor the states of its blocks, nor the snapshot's file tell
 * what was there.  Asked after they have been looked at.
 */
static int check_broken(const struct source_image *image)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(image->broken, memory_order_relaxed) != 0 ? -EIO : 0;
}

/* Had no guest overwritten that block when it was read? */
static bool is_same(const struct source_image *image, uint64_t block)
{
	uint8_t state = atomic_load_explicit(&image->states[block], memory_order_relaxed);

	return state == MFS_BLOCK_SAME || state == MFS_BLOCK_BUSY;
}

/* From the snapshot: all of it has to be there. */
static int read_again(const struct source_image *image, char *buf, size_t nbytes, uint64_t offset)
{
	const struct bmf_io *io = &bmf_io_posix;
	ssize_t n = io->pread(io, image->file_fd, buf, nbytes, (off_t)offset);

	if (n < 0)
		return (int)n;
	return (size_t)n == nbytes ? 0 : -EIO;
}

/*
 * buf has got bytes of the image itself; what of that isn't old, or wasn't there, is read again.
 * All lies within the image as it was.
 */
static int check(const struct source_image *image, char *buf, size_t nbytes, uint64_t offset,
		 size_t got)
{
	uint64_t end = offset + nbytes, at = offset;
	/*
	 * What was read comes before the states, as seen by a writer that settles the state
	 * before it changes the block.
	 */
	int r = check_broken(image);

	if (r < 0)
		return r;
	while (at < end) {
		uint64_t from = at;

		/* a run of blocks to be read again */
		for (; at < end; at = ((at >> image->block_shift) + 1) << image->block_shift) {
			uint64_t next = ((at >> image->block_shift) + 1) << image->block_shift;

			next = next < end ? next : end;
			if (next <= offset + got && is_same(image, at >> image->block_shift))
				break;
		}
		at = at < end ? at : end;
		if (at > from) {
			r = read_again(image, buf + (from - offset), at - from, from);
			if (r < 0)
				return r;
		}
		at = ((at >> image->block_shift) + 1) << image->block_shift;
	}
	return 0;
}

ssize_t source_image_checked(struct source_image *image, void *buf, size_t nbytes, uint64_t offset,
			     ssize_t got)
{
	int r;

	if (got > (ssize_t)nbytes)
		got = (ssize_t)nbytes;
	if (image->pid == 0)
		return got;
	if (offset >= image->size)
		return 0;
	if (nbytes > image->size - offset)
		nbytes = (size_t)(image->size - offset);
	/* a block that can't be read may have been preserved: the snapshot knows */
	r = check(image, buf, nbytes, offset, got < 0 ? 0 : (size_t)got);
	return r < 0 ? r : (ssize_t)nbytes;
}

ssize_t source_image_read(struct source_image *image, void *buf, size_t nbytes, uint64_t offset,
			  bool cached)
{
	const struct bmf_io *io = &bmf_io_posix;
	ssize_t got = cached ? io->pread(io, image->fd, buf, nbytes, (off_t)offset)
			     : direct_read(&image->direct, buf, nbytes, offset);

	return source_image_checked(image, buf, nbytes, offset, got);
}

/*
 * Asked for as far as it goes: one that is all data is asked about once, however many blocks of it
 * are wanted.  In a snapshot that doesn't change; a file that isn't in one is at rest.
 */
static int look_ahead(struct source_image *image, uint64_t offset)
{
	uint64_t first, end;
	int r = holes_next_data(image->file_fd, offset, INT64_MAX, &first, &end);

	if (r < 0)
		return r;
	image->hole = offset;
	image->data = r > 0 ? first : INT64_MAX;
	image->data_end = r > 0 ? end : INT64_MAX;
	return 0;
}

int source_image_next_data(struct source_image *image, uint64_t offset, uint64_t end,
			   uint64_t *ret_first, uint64_t *ret_end)
{
	int r = 0;

	if (offset >= end)
		return 0;
	if (offset < image->hole || offset >= image->data_end)
		r = look_ahead(image, offset);
	/* what isn't preserved any more looks like a hole where the image itself has one by now */
	if (r >= 0 && image->broken && check_broken(image) < 0)
		return -EIO;
	if (r < 0 || image->data >= end)
		return r;
	*ret_first = image->data > offset ? image->data : offset;
	*ret_end = image->data_end < end ? image->data_end : end;
	return 1;
}

void source_image_release(struct source_image *image, uint64_t offset, uint64_t nbytes)
{
	struct mfs_control_snapshot_release release = { .version = MFS_CONTROL_VERSION,
							.offset = image->released };

	image->unreleased += nbytes;
	if (image->pid == 0 || offset <= image->released ||
	    (offset < image->size && image->unreleased < RELEASE_EVERY))
		return;
	release.nbytes = offset - image->released;
	/* if that fails, it is preserved for nothing */
	ioctl(image->file_fd, MFS_CONTROL_SNAPSHOT_RELEASE, &release);
	/* a block whose end is still to be read stays */
	image->unreleased = 0;
	image->released = offset >> image->block_shift << image->block_shift;
}

int source_image_suspect(const struct source_image *image)
{
	return ioctl(image->file_fd, MFS_CONTROL_SUSPECT) < 0 ? -errno : 0;
}
