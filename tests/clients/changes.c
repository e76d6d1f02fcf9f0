/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * changes.c - one file for every way to change an image, and each changed in its way
 *
 *   changes make DIR NUMBER    a file of random bytes for each way, named after it; also
 *                              where they are there already
 *   changes do DIR NUMBER      changes each file in its way
 *
 * NUMBER makes bytes and places others each time.  What the filesystem below does not know
 * (collapse, insert) is left out.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK 4096
#define SIZE (256 * BLOCK)

static int top;
static uint64_t number;
static const char *current = "start";

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "changes: %s: %s: %s\n", current, what, strerror(errno));
	exit(1);
}

static long check(long r, const char *what)
{
	if (r < 0)
		die(what);
	return r;
}

static int open_file(const char *name, int flags)
{
	return (int)check(openat(top, name, flags | O_CLOEXEC, 0644), "open");
}

static void fill(unsigned char *buf, size_t n, uint64_t salt)
{
	uint64_t x = (number * 1000 + salt + 1) * UINT64_C(0x9e3779b97f4a7c15);

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		buf[i] = (unsigned char)(x | 1); /* never what a hole reads as */
	}
}

static void put(int fd, size_t n, off_t offset)
{
	unsigned char *buf = malloc(n);

	fill(buf, n, (uint64_t)offset);
	if (check(pwrite(fd, buf, n, offset), "write") != (long)n)
		die("short write");
	free(buf);
}

static void make_file(const char *name)
{
	int fd = open_file(name, O_WRONLY | O_CREAT);

	check(ftruncate(fd, SIZE), "truncate");
	put(fd, SIZE, 0);
	close(fd);
}

/* A place that differs each time, with room for nbytes. */
static off_t place(size_t nbytes)
{
	return (off_t)(number * 2654435761u % (SIZE - nbytes));
}

static void do_write(int fd)
{
	put(fd, 3 * BLOCK, place(3 * BLOCK));
}

/* The last block of a longer range, and one byte of the next. */
static void do_write_edge(int fd)
{
	off_t at = place(8 * BLOCK) / BLOCK * BLOCK;

	put(fd, 3 * BLOCK + 1, at + BLOCK - 1);
}

static void do_append(int fd)
{
	int again = open_file(current, O_WRONLY | O_APPEND);

	(void)fd;
	put(again, 5000, 0); /* wherever that is */
	close(again);
}

static void do_write_beyond(int fd)
{
	check(ftruncate(fd, SIZE / 2 + 100), "truncate");
	put(fd, 10, SIZE / 2 + 10 * BLOCK);
}

static void do_map(int fd)
{
	unsigned char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	off_t at = place(2 * BLOCK);

	if (map == MAP_FAILED)
		die("mmap");
	fill(map + at, 2 * BLOCK, 1);
	check(msync(map, SIZE, MS_SYNC), "msync");
	munmap(map, SIZE);
}

static void do_direct(int fd)
{
	int direct = open_file(current, O_RDWR | O_DIRECT);
	void *buf;

	(void)fd;
	if (posix_memalign(&buf, BLOCK, 2 * BLOCK) != 0)
		die("memory");
	fill(buf, 2 * BLOCK, 2);
	check(pwrite(direct, buf, 2 * BLOCK, place(2 * BLOCK) / BLOCK * BLOCK), "write direct");
	free(buf);
	close(direct);
}

static void do_durable(int fd)
{
	unsigned char buf[100];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };

	fill(buf, sizeof(buf), 3);
	check(pwritev2(fd, &iov, 1, place(100), RWF_DSYNC), "write durably");
}

static void allocate(int fd, int mode, off_t offset, off_t n)
{
	if (fallocate(fd, mode, offset, n) < 0 && errno != EOPNOTSUPP)
		die("fallocate");
}

static void do_punch(int fd)
{
	allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place(9 * BLOCK), 9 * BLOCK);
}

static void do_zero(int fd)
{
	allocate(fd, FALLOC_FL_ZERO_RANGE, place(9 * BLOCK), 9 * BLOCK);
}

static void do_zero_beyond(int fd)
{
	check(ftruncate(fd, SIZE - 7 * BLOCK), "truncate");
	allocate(fd, FALLOC_FL_ZERO_RANGE, SIZE - 9 * BLOCK, 9 * BLOCK);
}

static void do_allocate_beyond(int fd)
{
	check(ftruncate(fd, SIZE - 7 * BLOCK), "truncate");
	allocate(fd, 0, SIZE - 9 * BLOCK, 9 * BLOCK);
}

static void do_collapse(int fd)
{
	allocate(fd, FALLOC_FL_COLLAPSE_RANGE, place(BLOCK) / BLOCK / 2 * BLOCK, BLOCK);
}

static void do_insert(int fd)
{
	allocate(fd, FALLOC_FL_INSERT_RANGE, place(BLOCK) / BLOCK * BLOCK, BLOCK);
}

static void do_copy(int fd)
{
	off_t from = 0, to = SIZE / 2 + place(0) / 4;
	int in = open_file("write", O_RDONLY);

	check(copy_file_range(in, &from, fd, &to, 6 * BLOCK, 0), "copy_file_range");
	close(in);
}

/* What comes back are zeros, whatever was there. */
static void do_shrink_and_grow(int fd)
{
	check(ftruncate(fd, SIZE - 20 * BLOCK - 5), "truncate");
	check(ftruncate(fd, SIZE), "truncate");
}

static void do_truncate_path(int fd)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	check(truncate(link, SIZE / 3), "truncate");
	check(truncate(link, SIZE), "truncate");
}

static void do_open_truncate(int fd)
{
	int again = open_file(current, O_WRONLY | O_TRUNC);

	(void)fd;
	put(again, 10, SIZE / 2);
	close(again);
}

static void do_open_truncate_reading(int fd)
{
	int again = open_file(current, O_RDONLY | O_TRUNC);

	close(again);
	put(fd, 10, SIZE / 2);
}

static void do_rename_over(int fd)
{
	(void)fd;
	make_file("rename-over.new");
	check(renameat(top, "rename-over.new", top, current), "rename");
}

static void do_rename_away(int fd)
{
	(void)fd;
	check(renameat(top, current, top, "elsewhere"), "rename");
	fd = open_file("elsewhere", O_WRONLY);
	do_write(fd);
	close(fd);
	check(renameat(top, "elsewhere", top, current), "rename");
}

static void do_rename_only(int fd)
{
	(void)fd;
	check(renameat(top, current, top, "elsewhere"), "rename");
	check(renameat(top, "elsewhere", top, current), "rename");
}

static void do_link_only(int fd)
{
	(void)fd;
	unlinkat(top, "link-only.other", 0);
	check(linkat(top, current, top, "link-only.other", 0), "link");
}

static void do_link(int fd)
{
	(void)fd;
	unlinkat(top, "link.other", 0);
	check(linkat(top, current, top, "link.other", 0), "link");
	fd = open_file("link.other", O_WRONLY);
	do_write(fd);
	close(fd);
}

static void do_mode(int fd)
{
	check(fchmod(fd, 0600 | (mode_t)(number % 8)), "chmod");
}

static const struct {
	const char *name;
	void (*run)(int fd);
} kinds[] = {
	{ "write", do_write },
	{ "write-edge", do_write_edge },
	{ "write-beyond", do_write_beyond },
	{ "append", do_append },
	{ "map", do_map },
	{ "direct", do_direct },
	{ "durable", do_durable },
	{ "punch", do_punch },
	{ "zero", do_zero },
	{ "zero-beyond", do_zero_beyond },
	{ "allocate-beyond", do_allocate_beyond },
	{ "collapse", do_collapse },
	{ "insert", do_insert },
	{ "copy", do_copy },
	{ "shrink-and-grow", do_shrink_and_grow },
	{ "truncate-path", do_truncate_path },
	{ "open-truncate", do_open_truncate },
	{ "open-truncate-reading", do_open_truncate_reading },
	{ "rename-over", do_rename_over },
	{ "rename-away", do_rename_away },
	{ "rename-only", do_rename_only },
	{ "link", do_link },
	{ "link-only", do_link_only },
	{ "mode", do_mode },
};

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	top = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		die(argv[2]);
	number = strtoull(argv[3], NULL, 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		current = kinds[i].name;
		if (strcmp(argv[1], "make") == 0) {
			make_file(current);
		} else {
			int fd = open_file(current, O_RDWR);

			kinds[i].run(fd);
			check(close(fd), "close");
		}
	}
	return 0;
}
