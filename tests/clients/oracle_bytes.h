/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle_bytes.h - the part of oracle.c that changes bytes and sizes
 */
#ifndef TESTS_CLIENTS_ORACLE_BYTES_H
#define TESTS_CLIENTS_ORACLE_BYTES_H

#include "tests/clients/oracle_base.h"

#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void describe(unsigned char *buf, uint64_t offset, size_t n)
{
	bool zeros = chance(5);

	for (size_t i = 0; i < n; i++) {
		uint64_t position = offset + i, record = position & ~UINT64_C(31);
		uint64_t words[4] = { record, seed, (uint64_t)process << 32 | operation,
				      (record ^ seed) * UINT64_C(0x9e3779b97f4a7c15) + operation };

		buf[i] = zeros ? 0 : (unsigned char)(words[position / 8 % 4] >> position % 8 * 8);
	}
}

struct image {
	int fd;
	bool big, exclusive;
	uint64_t size;
	struct path path;
};

/* Opens any file for writing and locks it; false if there is none. */
static bool open_path(struct image *image, struct path path, int flags, int lock)
{
	struct stat st;

	image->path = path;
	image->exclusive = (lock & LOCK_EX) != 0;
	image->fd =
		openat(top, path.text, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | flags, 0644);
	/* EACCES: another's file in a sticky directory that anybody may write to */
	if (!did_or("open", image->fd, EACCES))
		return false;
	if (did("flock", flock(image->fd, lock)) && did("fstat", fstat(image->fd, &st)) &&
	    S_ISREG(st.st_mode)) {
		image->size = (uint64_t)st.st_size;
		image->big = strncmp(path.text, "image", 5) == 0;
		return true;
	}
	close(image->fd);
	return false;
}

static bool open_any(struct image *image, int flags, int lock)
{
	return open_path(image, chance(50) ? any_image() : any_path('f'), flags, lock);
}

/* The descriptor is the lock's: it is closed last. */
static void close_image(struct image *image)
{
	close(image->fd);
}

/* The same file by another description, or -1. */
static int reopen(const struct image *image, int flags)
{
	char link[32];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", image->fd);
	fd = open(link, flags | O_CLOEXEC);
	return did("reopen", fd) ? fd : -1;
}

static uint64_t size_limit(const struct image *image)
{
	return image->big ? image->size : SMALL_MAX;
}

/* A range to be changed: within the file, or beyond its end where the lock allows that. */
static bool any_range(const struct image *image, uint64_t unit, uint64_t *ret_offset, size_t *ret_n)
{
	uint64_t limit = image->exclusive ? size_limit(image) : image->size;
	uint64_t n = chance(30) ? 1 + below(300) : 1 + below(LENGTH_MAX), offset;

	if (chance(30))
		n = (n + UNIT - 1) / UNIT * UNIT;
	n = (n + unit - 1) / unit * unit;
	if (image->exclusive && !image->big && chance(70))
		limit = image->size + 64 * 1024; /* not too far beyond the end */
	if (limit > SMALL_MAX && !image->big)
		limit = SMALL_MAX;
	if (n > limit || n > LENGTH_MAX)
		return false;
	offset = below(limit - n + 1);
	if (chance(40))
		offset = offset / UNIT * UNIT;
	*ret_offset = offset / unit * unit;
	*ret_n = (size_t)n;
	return true;
}

/* The part that a write changes: what lies between the old end and it turns to zeros. */
static void changes_from(const struct image *image, uint64_t offset, uint64_t n)
{
	changes(offset > image->size ? offset + n - image->size : n);
}

/* Nobody else may have changed it meanwhile, so it has to be there, by whatever way. */
static void check_back(const struct image *image, uint64_t offset, size_t n)
{
	int fd = reopen(image, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return;
	got = pread(fd, back, n, (off_t)offset);
	if (got < 0)
		fatal("read back", errno);
	if ((size_t)got != n || memcmp(back, buffer, n) != 0)
		fatal("what was written is not what is read", 0);
	close(fd);
}

static void write_range(int extra_flags, uint64_t unit)
{
	int lock = chance(50) ? LOCK_EX : LOCK_SH, fd;
	uint64_t offset;
	struct image image;
	ssize_t done;
	size_t n;

	if (!open_any(&image, chance(60) ? O_CREAT : 0, lock))
		return;
	fd = any_range(&image, unit, &offset, &n) ? reopen(&image, O_RDWR | extra_flags) : -1;
	if (fd >= 0) {
		describe(buffer, offset, n);
		changes_from(&image, offset, n);
		done = pwrite(fd, buffer, n, (off_t)offset);
		if (did("write", done) && (size_t)done != n)
			fatal("short write", 0);
		if (done > 0 && image.exclusive && chance(50))
			check_back(&image, offset, n);
		close(fd);
	}
	close_image(&image);
}

static void do_write(void)
{
	write_range(0, 1);
}

static void do_write_direct(void)
{
	write_range(O_DIRECT, UNIT);
}

static void do_write_sync(void)
{
	write_range(chance(50) ? O_DSYNC : O_SYNC, 1);
}

static void do_append(void)
{
	struct image image;
	size_t n = 1 + below(20000);
	int fd;

	if (!open_path(&image, any_path('f'), O_CREAT, LOCK_EX))
		return;
	fd = image.size + n <= SMALL_MAX ? reopen(&image, O_WRONLY | O_APPEND) : -1;
	if (fd >= 0) {
		describe(buffer, image.size, n);
		changes(n);
		if (did("append", write(fd, buffer, n)))
			check_back(&image, image.size, n);
		close(fd);
	}
	close_image(&image);
}

static void do_map(void)
{
	struct image image;
	unsigned char *map;
	uint64_t offset;
	size_t n;

	if (!open_any(&image, 0, chance(50) ? LOCK_EX : LOCK_SH))
		return;
	image.exclusive = false; /* a mapping never makes a file longer */
	if (any_range(&image, 1, &offset, &n)) {
		map = mmap(NULL, image.size, PROT_READ | PROT_WRITE, MAP_SHARED, image.fd, 0);
		if (map == MAP_FAILED)
			fatal("mmap", errno);
		describe(buffer, offset, n);
		changes(n);
		memcpy(map + offset, buffer, n);
		if (chance(30) && msync(map, image.size, MS_SYNC) < 0)
			fatal("msync", errno);
		munmap(map, image.size); /* writes it back */
	}
	close_image(&image);
}

/* Cuts off, and perhaps makes it as long as it was: what comes back are zeros. */
static void do_truncate(void)
{
	struct image image;
	uint64_t size;
	char link[32];
	int r;

	if (!open_any(&image, 0, LOCK_EX))
		return;
	size = image.big ? image.size - below(image.size < LENGTH_MAX ? 1 : LENGTH_MAX)
			 : below(image.size + 50000 < SMALL_MAX ? image.size + 50000 : SMALL_MAX);
	changes(size > image.size ? size - image.size : 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", image.fd);
	r = chance(50) ? ftruncate(image.fd, (off_t)size) : truncate(link, (off_t)size);
	if (did("truncate", r) && size < image.size && (image.big || chance(50))) {
		changes(image.size - size);
		did("truncate", ftruncate(image.fd, (off_t)image.size));
	}
	close_image(&image);
}

static void do_open_truncate(void)
{
	struct image image;
	int fd;

	if (!open_path(&image, any_path('f'), 0, LOCK_EX))
		return;
	fd = reopen(&image, O_WRONLY | O_TRUNC);
	changes(0);
	if (fd >= 0)
		close(fd);
	close_image(&image);
}

static void allocate(int mode)
{
	struct image image;
	uint64_t offset;
	size_t n;

	if (!open_any(&image, 0, mode & FALLOC_FL_KEEP_SIZE ? LOCK_SH : LOCK_EX))
		return;
	if (any_range(&image, 1, &offset, &n)) {
		changes_from(&image, offset, n);
		did("fallocate", fallocate(image.fd, mode, (off_t)offset, (off_t)n));
	}
	close_image(&image);
}

static void do_punch(void)
{
	allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static void do_zero(void)
{
	allocate(FALLOC_FL_ZERO_RANGE | (chance(50) ? FALLOC_FL_KEEP_SIZE : 0));
}

static void do_allocate(void)
{
	allocate(chance(30) ? FALLOC_FL_KEEP_SIZE : 0);
}

static void do_shift(void)
{
	int mode = chance(50) ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE;
	uint64_t offset, n = UNIT * (1 + below(8));
	struct image image;

	if (!open_path(&image, any_path('f'), 0, LOCK_EX))
		return;
	offset = below(image.size) / UNIT * UNIT;
	if (image.size + n <= SMALL_MAX) {
		changes(image.size - offset + n);
		did("fallocate", fallocate(image.fd, mode, (off_t)offset, (off_t)n));
	}
	close_image(&image);
}

static void do_copy_range(void)
{
	struct image from, to;
	uint64_t offset;
	off_t in, out;
	size_t n;

	if (!open_any(&to, chance(50) ? O_CREAT : 0, LOCK_EX))
		return;
	/* never waits with a lock held: two who do could wait for each other */
	if (open_any(&from, 0, LOCK_SH | LOCK_NB)) {
		if (any_range(&to, chance(50) ? UNIT : 1, &offset, &n)) {
			in = (off_t)below(from.size + 1);
			out = (off_t)offset;
			changes_from(&to, offset, n);
			did("copy_file_range", copy_file_range(from.fd, &in, to.fd, &out, n, 0));
		}
		close_image(&from);
	}
	close_image(&to);
}

static void do_sync(void)
{
	struct image image;

	if (!open_any(&image, 0, LOCK_SH))
		return;
	if ((chance(50) ? fsync(image.fd) : fdatasync(image.fd)) < 0)
		fatal("fsync", errno);
	close_image(&image);
}

/* Removed, but still in use; now and then linked again by another name. */
static void do_unnamed(void)
{
	struct path path = any_path('f');
	struct image image = { .exclusive = true };
	char link[32];
	size_t n = 1 + below(50000);

	if (chance(50)) {
		image.fd = openat(top, any_directory(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		if (!did("make unnamed", image.fd))
			return;
	} else if (!open_path(&image, path, 0, LOCK_EX)) {
		return;
	} else if (!did("unlink", unlinkat(top, path.text, 0))) {
		close_image(&image);
		return;
	}
	describe(buffer, 0, n);
	changes(n);
	if (did("write unnamed", pwrite(image.fd, buffer, n, 0)))
		check_back(&image, 0, n);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", image.fd);
	did("link unnamed", linkat(AT_FDCWD, link, top, any_path('f').text, AT_SYMLINK_FOLLOW));
	close_image(&image);
}

#endif
