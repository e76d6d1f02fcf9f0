/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * posix_files.c - posix_files DIRECTORY CHECK...: what programs rely on in files
 *
 * Each check works in DIRECTORY, which it leaves as it found it.  They hold on
 * any local filesystem: the test runs them there first.
 */
#include "config.h"

#include "expect.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MIB (1u << 20)

static struct stat stat_of(const char *name)
{
	struct stat st;

	EXPECT(lstat(name, &st) == 0);
	return st;
}

static bool holds(int fd, const char *text)
{
	char buf[256];
	ssize_t n = pread(fd, buf, sizeof(buf), 0);

	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static int open_with(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	EXPECT(fd >= 0);
	EXPECT(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

/* A file without a name goes on working, to its last close. */
static void unlinked_open(void)
{
	struct stat st;
	int fd = open_with("f", "before"), again;
	char path[64];

	EXPECT(unlink("f") == 0);
	EXPECT_ERROR(open("f", O_RDONLY), ENOENT);
	EXPECT(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 6);
	EXPECT(pwrite(fd, " and after", 10, 6) == 10);
	EXPECT(holds(fd, "before and after"));
	EXPECT(ftruncate(fd, 3) == 0);
	EXPECT(holds(fd, "bef"));
	EXPECT(fchmod(fd, 0600) == 0);
	EXPECT(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
	EXPECT(fsync(fd) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR);
	EXPECT(again >= 0);
	EXPECT(holds(again, "bef"));
	/* a new file of that name is another one */
	EXPECT(close(open_with("f", "new")) == 0);
	EXPECT(holds(fd, "bef"));
	EXPECT(unlink("f") == 0);
	EXPECT(close(again) == 0 && close(fd) == 0);
}

/* Also when it lost its name to another file. */
static void renamed_over_open(void)
{
	int old = open_with("old", "old"), new = open_with("new", "new"), fd;

	EXPECT(rename("new", "old") == 0);
	EXPECT_ERROR(access("new", F_OK), ENOENT);
	EXPECT(holds(old, "old") && holds(new, "new"));
	EXPECT(pwrite(old, "gone", 4, 0) == 4 && pwrite(new, "here", 4, 0) == 4);
	fd = open("old", O_RDONLY);
	EXPECT(fd >= 0 && holds(fd, "here") && holds(old, "gone"));
	EXPECT(close(fd) == 0 && close(old) == 0 && close(new) == 0);
	EXPECT(unlink("old") == 0);
}

static void *append_lines(void *arg)
{
	int fd = open("f", O_WRONLY | O_APPEND);
	char line[64];

	EXPECT(fd >= 0);
	for (int i = 0; i < 200; i++) {
		memset(line, *(const char *)arg, sizeof(line));
		line[sizeof(line) - 1] = '\n';
		EXPECT(write(fd, line, sizeof(line)) == (ssize_t)sizeof(line));
	}
	EXPECT(close(fd) == 0);
	return NULL;
}

/* Appends of several writers neither mix nor overwrite each other. */
static void append(void)
{
	static char names[4] = { 'a', 'b', 'c', 'd' };
	int fd = open_with("f", ""), counts[4] = { 0 };
	pthread_t threads[4];
	char line[64];

	for (int i = 0; i < 4; i++)
		EXPECT(pthread_create(&threads[i], NULL, append_lines, &names[i]) == 0);
	for (int i = 0; i < 4; i++)
		EXPECT(pthread_join(threads[i], NULL) == 0);
	EXPECT(stat_of("f").st_size == 4 * 200 * (off_t)sizeof(line));
	for (off_t at = 0; at < 4 * 200 * (off_t)sizeof(line); at += (off_t)sizeof(line)) {
		EXPECT(pread(fd, line, sizeof(line), at) == (ssize_t)sizeof(line));
		for (size_t i = 1; i < sizeof(line) - 1; i++)
			EXPECT(line[i] == line[0]);
		counts[line[0] - 'a']++;
	}
	for (int i = 0; i < 4; i++)
		EXPECT(counts[i] == 200);
	EXPECT(close(fd) == 0 && unlink("f") == 0);
}

/* O_TRUNC, by open and by create, with every access mode. */
static void truncating_open(void)
{
	static const int modes[] = { O_WRONLY, O_RDWR, O_RDONLY };
	struct stat st;
	int fd;

	for (size_t i = 0; i < 3; i++) {
		EXPECT(close(open_with("f", "something")) == 0);
		fd = open("f", modes[i] | O_TRUNC | (i == 1 ? O_CREAT : 0), 0644);
		EXPECT(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0);
		EXPECT(close(fd) == 0);
	}
	EXPECT_ERROR(open("f", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
	EXPECT_ERROR(open("f", O_DIRECTORY | O_RDONLY), ENOTDIR);
	EXPECT(unlink("f") == 0);
}

static void shared_mapping(void)
{
	int fd = open_with("f", "");
	char *map, *other, buf[8];

	EXPECT(ftruncate(fd, 3 * MIB) == 0);
	map = mmap(NULL, 3 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	other = mmap(NULL, 3 * MIB, PROT_READ, MAP_PRIVATE, fd, 0);
	EXPECT(map != MAP_FAILED && other != MAP_FAILED);
	memcpy(map + MIB, "through", 8);
	EXPECT(strcmp(other + MIB, "through") == 0);
	EXPECT(pread(fd, buf, 8, MIB) == 8 && strcmp(buf, "through") == 0);
	EXPECT(pwrite(fd, "written", 8, 2 * MIB) == 8);
	EXPECT(strcmp(map + 2 * MIB, "written") == 0);
	EXPECT(msync(map, 3 * MIB, MS_SYNC) == 0);
	EXPECT(close(fd) == 0); /* the mapping outlives it */
	memcpy(map + MIB, "THROUGH", 8);
	EXPECT(munmap(map, 3 * MIB) == 0 && munmap(other, 3 * MIB) == 0);
	fd = open("f", O_RDONLY);
	EXPECT(pread(fd, buf, 8, MIB) == 8 && strcmp(buf, "THROUGH") == 0);
	EXPECT(close(fd) == 0 && unlink("f") == 0);
}

static void direct(void)
{
	unsigned char *buf = aligned_alloc(4096, MIB), *back = aligned_alloc(4096, MIB);
	int fd, flags;

	EXPECT(buf && back);
	for (size_t i = 0; i < MIB; i++)
		buf[i] = (unsigned char)(i * 7 + i / 4096);
	fd = open("f", O_RDWR | O_CREAT | O_DIRECT, 0644);
	EXPECT(fd >= 0);
	for (size_t n = 4096; n <= MIB; n *= 2) {
		EXPECT(pwrite(fd, buf, n, (off_t)n) == (ssize_t)n);
		EXPECT(pread(fd, back, n, (off_t)n) == (ssize_t)n && memcmp(buf, back, n) == 0);
	}
	/* what is not aligned is refused, by the disk below as without us */
	EXPECT_ERROR(pwrite(fd, buf, 100, 0), EINVAL);
	EXPECT_ERROR(pwrite(fd, buf, 4096, 100), EINVAL);
	/* but not once the flag is off, as dd does for its last block */
	flags = fcntl(fd, F_GETFL);
	EXPECT(flags & O_DIRECT);
	EXPECT(fcntl(fd, F_SETFL, flags & ~O_DIRECT) == 0);
	EXPECT(pwrite(fd, "tail", 4, 2 * MIB + 1) == 4);
	EXPECT(pread(fd, back, 4, 2 * MIB + 1) == 4 && memcmp(back, "tail", 4) == 0);
	/* a read at an end that is not aligned */
	EXPECT(fcntl(fd, F_SETFL, flags) == 0);
	EXPECT(pread(fd, back, 4096, 2 * MIB) == 5);
	EXPECT(pread(fd, back, 4096, 3 * MIB) == 0);
	EXPECT(close(fd) == 0 && unlink("f") == 0);
	free(buf);
	free(back);
}

/* A write that must be durable by itself. */
static void write_with_dsync(void)
{
	struct iovec iov = { .iov_base = (char[]){ "durable" }, .iov_len = 7 };
	int fd = open_with("f", "");

	EXPECT(pwritev2(fd, &iov, 1, 0, RWF_DSYNC) == 7);
	EXPECT(pwritev2(fd, &iov, 1, 7, RWF_SYNC) == 7);
	EXPECT(holds(fd, "durabledurable"));
	EXPECT(close(fd) == 0 && unlink("f") == 0);
}

static bool is_zero(int fd, off_t offset, size_t n)
{
	char buf[4096];

	while (n > 0) {
		size_t part = n < sizeof(buf) ? n : sizeof(buf);

		if (pread(fd, buf, part, offset) != (ssize_t)part)
			return false;
		for (size_t i = 0; i < part; i++)
			if (buf[i] != 0)
				return false;
		offset += (off_t)part;
		n -= part;
	}
	return true;
}

static void allocation(void)
{
	const int keep = FALLOC_FL_KEEP_SIZE;
	int fd = open_with("f", "");
	char *ones = malloc(MIB);

	EXPECT(ones);
	memset(ones, 1, MIB);
	EXPECT(pwrite(fd, ones, MIB, 0) == MIB);

	EXPECT(fallocate(fd, keep, 0, 4 * MIB) == 0);
	EXPECT(stat_of("f").st_size == MIB && stat_of("f").st_blocks >= 4 * MIB / 512);
	EXPECT(fallocate(fd, 0, 0, 2 * MIB) == 0);
	EXPECT(stat_of("f").st_size == 2 * MIB && is_zero(fd, MIB, MIB));
	EXPECT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | keep, 65536, 131072) == 0);
	EXPECT(is_zero(fd, 65536, 131072) && !is_zero(fd, 65535, 1));
	EXPECT(!is_zero(fd, 65536 + 131072, 1));
	EXPECT(fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000, 1000) == 0);
	EXPECT(is_zero(fd, 1000, 1000) && !is_zero(fd, 999, 1) && !is_zero(fd, 2000, 1));
	EXPECT(fallocate(fd, FALLOC_FL_ZERO_RANGE | keep, 2 * MIB - 10, MIB) == 0);
	EXPECT(stat_of("f").st_size == 2 * MIB);
	EXPECT(fallocate(fd, FALLOC_FL_ZERO_RANGE, 2 * MIB - 10, MIB) == 0);
	EXPECT(stat_of("f").st_size == 3 * MIB - 10);
	EXPECT_ERROR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP);
	EXPECT(close(fd) == 0);
	fd = open("f", O_RDONLY);
	EXPECT_ERROR(fallocate(fd, 0, 0, 4096), EBADF);
	EXPECT(close(fd) == 0 && unlink("f") == 0);
	free(ones);
}

static void moving_allocation(void)
{
	int fd = open_with("f", "");
	char block[4096];
	struct stat st;

	EXPECT(unlink("f") == 0);
	for (int i = 0; i < 8; i++) {
		memset(block, 'a' + i, sizeof(block));
		EXPECT(pwrite(fd, block, sizeof(block), i * 4096) == 4096);
	}
	LEAVE_IF_UNSUPPORTED(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096));
	EXPECT(fstat(fd, &st) == 0 && st.st_size == 7 * 4096);
	EXPECT(pread(fd, block, 1, 4096) == 1 && block[0] == 'c');
	EXPECT(fallocate(fd, FALLOC_FL_INSERT_RANGE, 4096, 8192) == 0);
	EXPECT(fstat(fd, &st) == 0 && st.st_size == 9 * 4096 && is_zero(fd, 4096, 8192));
	EXPECT(pread(fd, block, 1, 3 * 4096) == 1 && block[0] == 'c');
	EXPECT(close(fd) == 0);
}

static void holes(void)
{
	int fd = open_with("f", "");

	EXPECT(ftruncate(fd, 8 * MIB) == 0);
	EXPECT(pwrite(fd, "x", 1, 3 * MIB) == 1);
	EXPECT(lseek(fd, 0, SEEK_DATA) == 3 * MIB);
	EXPECT(lseek(fd, 0, SEEK_HOLE) == 0);
	EXPECT(lseek(fd, 3 * MIB, SEEK_HOLE) > 3 * MIB);
	EXPECT(lseek(fd, 3 * MIB, SEEK_HOLE) <= 3 * MIB + 65536);
	EXPECT_ERROR(lseek(fd, 7 * MIB, SEEK_DATA), ENXIO);
	EXPECT_ERROR(lseek(fd, 8 * MIB, SEEK_HOLE), ENXIO);
	EXPECT(lseek(fd, 0, SEEK_END) == 8 * MIB);
	EXPECT(stat_of("f").st_blocks * 512 < MIB);
	EXPECT(close(fd) == 0 && unlink("f") == 0);
}

/* copy_file_range may be short: the rest is asked for again. */
static void copy_all(int in, int out, size_t n)
{
	while (n > 0) {
		ssize_t copied = copy_file_range(in, NULL, out, NULL, n, 0);

		EXPECT(copied > 0);
		n -= (size_t)copied;
	}
}

static void copying(void)
{
	int in = open_with("in", ""), out = open_with("out", "old");
	char *data = malloc(40 * MIB), *back = malloc(40 * MIB);
	off_t at = 0;

	EXPECT(data && back);
	for (size_t i = 0; i < 40 * MIB; i++)
		data[i] = (char)(i * 31 + i / 1000);
	EXPECT(pwrite(in, data, 40 * MIB, 0) == 40 * MIB);
	EXPECT(lseek(in, 0, SEEK_SET) == 0 && lseek(out, 0, SEEK_SET) == 0);
	copy_all(in, out, 40 * MIB);
	EXPECT(pread(out, back, 40 * MIB, 0) == 40 * MIB && memcmp(data, back, 40 * MIB) == 0);
	EXPECT(lseek(in, 0, SEEK_CUR) == 40 * MIB);
	at = 41 * MIB;
	EXPECT(copy_file_range(in, &at, out, NULL, 100, 0) == 0); /* past the end */
	at = 39 * MIB + 1000;
	EXPECT(copy_file_range(in, &at, out, NULL, 2 * MIB, 0) == MIB - 1000);
	EXPECT(stat_of("out").st_size == 41 * MIB - 1000);
	EXPECT(close(in) == 0 && close(out) == 0);
	in = open("in", O_RDONLY);
	out = open("out", O_RDONLY);
	EXPECT_ERROR(copy_file_range(in, NULL, out, NULL, 100, 0), EBADF);
	EXPECT(close(in) == 0 && close(out) == 0 && unlink("in") == 0 && unlink("out") == 0);
	free(data);
	free(back);
}

static void times(void)
{
	struct timespec set[2] = { { .tv_sec = 1000000000, .tv_nsec = 123456789 },
				   { .tv_sec = 1500000000, .tv_nsec = 987654321 } };
	struct stat st;

	EXPECT(close(open_with("f", "x")) == 0);
	EXPECT(utimensat(AT_FDCWD, "f", set, 0) == 0);
	st = stat_of("f");
	EXPECT(st.st_atim.tv_sec == set[0].tv_sec && st.st_atim.tv_nsec == set[0].tv_nsec);
	EXPECT(st.st_mtim.tv_sec == set[1].tv_sec && st.st_mtim.tv_nsec == set[1].tv_nsec);
	set[0].tv_nsec = UTIME_OMIT;
	set[1].tv_nsec = UTIME_NOW;
	EXPECT(utimensat(AT_FDCWD, "f", set, 0) == 0);
	st = stat_of("f");
	EXPECT(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec > 1600000000);
	EXPECT(symlink("f", "l") == 0);
	set[0].tv_nsec = set[1].tv_nsec = 5;
	EXPECT(utimensat(AT_FDCWD, "l", set, AT_SYMLINK_NOFOLLOW) == 0);
	EXPECT(stat_of("l").st_mtim.tv_nsec == 5 && stat_of("f").st_mtim.tv_nsec != 5);
	EXPECT(unlink("l") == 0 && unlink("f") == 0);
}

/* O_TMPFILE, which takes a libfuse that has it. */
static void nameless(void)
{
	char path[64];
	int fd;

	LEAVE_IF_UNSUPPORTED(fd = open(".", O_TMPFILE | O_RDWR, 0640));
	EXPECT(fd >= 0);
	EXPECT(write(fd, "nameless", 8) == 8);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT(linkat(AT_FDCWD, path, AT_FDCWD, "f", AT_SYMLINK_FOLLOW) == 0);
	EXPECT(stat_of("f").st_size == 8 && stat_of("f").st_nlink == 1);
	EXPECT(close(fd) == 0 && unlink("f") == 0);
}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{ "unlinked-open", unlinked_open },
	{ "renamed-over-open", renamed_over_open },
	{ "append", append },
	{ "truncating-open", truncating_open },
	{ "mmap", shared_mapping },
	{ "direct", direct },
	{ "dsync", write_with_dsync },
	{ "fallocate", allocation },
	{ "fallocate-moving", moving_allocation },
	{ "holes", holes },
	{ "copy-file-range", copying },
	{ "times", times },
	{ "tmpfile", nameless },
};

int main(int argc, char **argv)
{
	const size_t nchecks = sizeof(checks) / sizeof(checks[0]);

	if (argc < 3)
		return 2;
	EXPECT(chdir(argv[1]) == 0);
	for (int i = 2; i < argc; i++) {
		size_t j = 0;

		while (j < nchecks && strcmp(checks[j].name, argv[i]) != 0)
			j++;
		if (j == nchecks) {
			fprintf(stderr, "no check '%s'\n", argv[i]);
			return 2;
		}
		checks[j].run();
	}
	return 0;
}
