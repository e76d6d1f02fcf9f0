/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fsx.c - fsx FILE SHADOW SEED NOPS: random operations on a file, against memory
 *
 * Everything that can change a file's bytes or size is done to FILE and to an
 * array alike; what is read must be what the array holds.  At the end the array is
 * written to SHADOW, for whoever wants to compare the file by another way.  Operations
 * that the filesystem does not support are left out.  On failure the last operations
 * are listed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (3u << 20)
#define LENGTH_MAX (256u << 10)
#define DIRECT_UNIT 4096u
#define LOG_LINES 40

static const char *path;
static int fd;
static unsigned char *good; /* what the file must hold; zeros beyond size */
static size_t size;
static unsigned char *scratch; /* aligned, SIZE_MAX_BYTES */
static uint64_t rng;
static unsigned long op_number;
static char history[LOG_LINES][128];

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void note(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(history[op_number % LOG_LINES], sizeof(history[0]), format, ap);
	va_end(ap);
}

static void die(const char *format, ...)
{
	unsigned long first = op_number < LOG_LINES ? 0 : op_number - LOG_LINES + 1;
	va_list ap;

	for (unsigned long i = first; i <= op_number; i++)
		fprintf(stderr, "  %lu: %s\n", i, history[i % LOG_LINES]);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(1);
}

static void must(bool ok, const char *what)
{
	if (!ok)
		die("%s: %s", what, strerror(errno));
}

static uint32_t random_below(uint32_t n)
{
	rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return n ? (uint32_t)(rng >> 33) % n : 0;
}

static void random_bytes(unsigned char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (unsigned char)random_below(256);
}

/* A range within the largest size, in multiples of unit. */
static void random_range(uint32_t unit, size_t *offset, size_t *n)
{
	*n = (1 + random_below(random_below(4) ? 16384 / unit + 1 : LENGTH_MAX / unit)) * unit;
	*offset = random_below((uint32_t)((SIZE_MAX_BYTES - *n) / unit)) * unit;
}

static void compare(const unsigned char *got, size_t offset, size_t n, const char *how)
{
	for (size_t i = 0; i < n; i++)
		if (got[i] != good[offset + i])
			die("%s: byte %zu is %02x, must be %02x", how, offset + i, got[i],
			    good[offset + i]);
}

static void set_size(size_t new_size)
{
	if (new_size < size)
		memset(good + new_size, 0, size - new_size);
	size = new_size;
}

static void open_file(int flags)
{
	fd = open(path, flags | O_RDWR | O_CREAT, 0644);
	must(fd >= 0, "open");
}

static void check_size(void)
{
	struct stat st;

	must(fstat(fd, &st) == 0, "fstat");
	if ((size_t)st.st_size != size)
		die("size is %lld, must be %zu", (long long)st.st_size, size);
}

static void do_write(void)
{
	size_t offset, n;

	random_range(1, &offset, &n);
	note("write %zu+%zu", offset, n);
	random_bytes(good + offset, n);
	must(pwrite(fd, good + offset, n, (off_t)offset) == (ssize_t)n, "pwrite");
	if (offset + n > size)
		size = offset + n;
}

static void do_append(void)
{
	size_t n = 1 + random_below(9000);
	int append_fd;

	if (size + n > SIZE_MAX_BYTES)
		return;
	note("append %zu at %zu", n, size);
	append_fd = open(path, O_WRONLY | O_APPEND);
	must(append_fd >= 0, "open O_APPEND");
	random_bytes(good + size, n);
	must(write(append_fd, good + size, n) == (ssize_t)n, "append");
	must(close(append_fd) == 0, "close");
	size += n;
}

static void do_read(void)
{
	size_t offset, n, wanted;

	random_range(1, &offset, &n);
	note("read %zu+%zu", offset, n);
	wanted = offset >= size ? 0 : n > size - offset ? size - offset : n;
	must(pread(fd, scratch, n, (off_t)offset) == (ssize_t)wanted, "pread");
	compare(scratch, offset, wanted, "read");
}

static void do_direct(void)
{
	size_t offset, n;
	bool write_it = random_below(2);
	int direct_fd;
	ssize_t got;

	random_range(DIRECT_UNIT, &offset, &n);
	note("direct %s %zu+%zu", write_it ? "write" : "read", offset, n);
	direct_fd = open(path, O_RDWR | O_DIRECT);
	if (direct_fd < 0 && errno == EINVAL)
		return;
	must(direct_fd >= 0, "open O_DIRECT");
	if (write_it) {
		random_bytes(scratch, n);
		memcpy(good + offset, scratch, n);
		must(pwrite(direct_fd, scratch, n, (off_t)offset) == (ssize_t)n, "direct pwrite");
		if (offset + n > size)
			size = offset + n;
	} else {
		got = pread(direct_fd, scratch, n, (off_t)offset);
		must(got >= 0, "direct pread");
		compare(scratch, offset, (size_t)got, "direct read");
		if ((size_t)got < n && offset + (size_t)got < size)
			die("direct read: short");
	}
	must(close(direct_fd) == 0, "close");
}

static void do_truncate(void)
{
	size_t new_size = random_below(SIZE_MAX_BYTES);
	bool by_path = random_below(2);

	note("truncate %zu to %zu by %s", size, new_size, by_path ? "path" : "handle");
	if (by_path)
		must(truncate(path, (off_t)new_size) == 0, "truncate");
	else
		must(ftruncate(fd, (off_t)new_size) == 0, "ftruncate");
	set_size(new_size);
}

static bool allocate(int mode, size_t offset, size_t n)
{
	if (fallocate(fd, mode, (off_t)offset, (off_t)n) == 0)
		return true;
	must(errno == EOPNOTSUPP, "fallocate");
	return false;
}

static void do_allocate(void)
{
	int mode = random_below(2) ? FALLOC_FL_KEEP_SIZE : 0;
	size_t offset, n;

	random_range(1, &offset, &n);
	note("allocate mode %d %zu+%zu", mode, offset, n);
	if (allocate(mode, offset, n) && !mode && offset + n > size)
		size = offset + n;
}

static void do_punch(void)
{
	size_t offset, n;

	random_range(1, &offset, &n);
	note("punch %zu+%zu", offset, n);
	if (allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, n))
		memset(good + offset, 0, n);
}

static void do_zero(void)
{
	int keep = random_below(2) ? FALLOC_FL_KEEP_SIZE : 0;
	size_t offset, n;

	random_range(1, &offset, &n);
	note("zero keep %d %zu+%zu", keep, offset, n);
	if (!allocate(FALLOC_FL_ZERO_RANGE | keep, offset, n))
		return;
	memset(good + offset, 0, n);
	if (!keep && offset + n > size)
		size = offset + n;
}

static void do_collapse(void)
{
	size_t offset, n;

	random_range(DIRECT_UNIT, &offset, &n);
	if (offset + n >= size)
		return;
	note("collapse %zu+%zu", offset, n);
	if (!allocate(FALLOC_FL_COLLAPSE_RANGE, offset, n))
		return;
	memmove(good + offset, good + offset + n, size - offset - n);
	set_size(size - n);
}

static void do_insert(void)
{
	size_t offset, n;

	random_range(DIRECT_UNIT, &offset, &n);
	if (offset >= size || size + n > SIZE_MAX_BYTES)
		return;
	note("insert %zu+%zu", offset, n);
	if (!allocate(FALLOC_FL_INSERT_RANGE, offset, n))
		return;
	memmove(good + offset + n, good + offset, size - offset);
	memset(good + offset, 0, n);
	size += n;
}

static void do_mmap(void)
{
	size_t offset, n;
	unsigned char *map;

	if (size == 0)
		return;
	random_range(1, &offset, &n);
	offset %= size;
	if (n > size - offset)
		n = size - offset;
	note("mmap %zu+%zu", offset, n);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(map != MAP_FAILED, "mmap");
	compare(map + offset, offset, n, "mmap");
	random_bytes(good + offset, n);
	memcpy(map + offset, good + offset, n);
	if (random_below(2))
		must(msync(map, size, MS_SYNC) == 0, "msync");
	must(munmap(map, size) == 0, "munmap");
}

static void do_copy(void)
{
	size_t from, to, n;
	loff_t in, out;
	ssize_t copied;

	random_range(1, &from, &n);
	random_range(1, &to, &n);
	if (size == 0)
		return;
	from %= size;
	if (n > size - from)
		n = size - from;
	if (to + n > SIZE_MAX_BYTES || (from < to + n && to < from + n))
		return;
	note("copy %zu+%zu to %zu", from, n, to);
	in = (loff_t)from;
	out = (loff_t)to;
	copied = copy_file_range(fd, &in, fd, &out, n, 0);
	if (copied < 0 && (errno == EOPNOTSUPP || errno == EXDEV || errno == ENOSYS))
		return;
	must(copied > 0, "copy_file_range");
	memmove(good + to, good + from, (size_t)copied);
	if (to + (size_t)copied > size)
		size = to + (size_t)copied;
}

static void do_reopen(void)
{
	static const int flags[] = { 0, O_SYNC, O_DSYNC, O_NOATIME };
	int with = flags[random_below(sizeof(flags) / sizeof(flags[0]))];

	note("reopen with %#o", (unsigned int)with);
	must(close(fd) == 0, "close");
	open_file(with);
}

static void do_recreate(void)
{
	if (random_below(10))
		return;
	note("open with O_TRUNC");
	must(close(fd) == 0, "close");
	open_file(O_TRUNC);
	set_size(0);
}

static void do_sync(void)
{
	note("sync");
	must((random_below(2) ? fsync(fd) : fdatasync(fd)) == 0, "fsync");
}

static void check_all(void)
{
	note("check all");
	check_size();
	must(pread(fd, scratch, SIZE_MAX_BYTES, 0) == (ssize_t)size, "pread");
	compare(scratch, 0, size, "read all");
}

static void write_shadow(const char *shadow)
{
	FILE *f = fopen(shadow, "w");

	must(f && fwrite(good, 1, size, f) == size && fclose(f) == 0, shadow);
}

int main(int argc, char **argv)
{
	static void (*const ops[])(void) = {
		do_write,    do_write, do_write,  do_append, do_read,	  do_read,     do_direct,
		do_direct,   do_punch, do_zero,	  do_mmap,   do_mmap,	  do_copy,     do_copy,
		do_truncate, do_sync,  do_reopen, do_insert, do_collapse, do_allocate, do_recreate,
	};
	unsigned long nops;

	if (argc != 5)
		return 2;
	path = argv[1];
	rng = strtoull(argv[3], NULL, 0) * UINT64_C(0x9e3779b97f4a7c15);
	nops = strtoul(argv[4], NULL, 0);
	good = calloc(1, SIZE_MAX_BYTES);
	scratch = aligned_alloc(DIRECT_UNIT, SIZE_MAX_BYTES);
	must(good && scratch, "malloc");
	open_file(O_TRUNC);
	for (op_number = 0; op_number < nops; op_number++) {
		ops[random_below(sizeof(ops) / sizeof(ops[0]))]();
		check_size();
		if (op_number % 50 == 0)
			check_all();
	}
	check_all();
	must(close(fd) == 0, "close");
	write_shadow(argv[2]);
	free(good);
	free(scratch);
	return 0;
}
