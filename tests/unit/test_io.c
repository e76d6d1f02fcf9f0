/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_io.c - io.h: the real table, and reading and replacing files on any table */
#include "config.h"

#include "bitmapfile/io.h"
#include "tests/unit/faultio.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct bmf_io *const io = &bmf_io_posix;

/*
 * The C library's calls as io.c sees them: they can be made to stop short, to be
 * interrupted, and to know no RWF_DSYNC.
 */
static struct {
	size_t most;		 /* bytes a call; 0: any number */
	bool interrupt;		 /* every other call gives EINTR */
	bool interrupted;	 /* the last one did */
	bool write_nothing;	 /* pwrite gives 0 */
	int dsync_error;	 /* of pwritev2; 0: none */
	unsigned int dsync_left; /* calls of pwritev2 before it begins */
	unsigned int fdatasyncs;
} kernel;

static bool interrupted(void)
{
	kernel.interrupted = kernel.interrupt && !kernel.interrupted;
	if (kernel.interrupted)
		errno = EINTR;
	return kernel.interrupted;
}

static size_t at_most(size_t nbytes)
{
	return kernel.most && nbytes > kernel.most ? kernel.most : nbytes;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): unistd.h has its own */
ssize_t pread(int fd, void *buf, size_t nbytes, off_t offset)
{
	if (interrupted())
		return -1;
	return syscall(SYS_pread64, fd, buf, at_most(nbytes), offset);
}

ssize_t pwrite(int fd, const void *buf, size_t nbytes, off_t offset)
{
	if (interrupted())
		return -1;
	if (kernel.write_nothing)
		return 0;
	return syscall(SYS_pwrite64, fd, buf, at_most(nbytes), offset);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(flags, RWF_DSYNC);
	if (interrupted())
		return -1;
	if (kernel.dsync_error && kernel.dsync_left-- == 0) {
		kernel.dsync_left = 0;
		errno = kernel.dsync_error;
		return -1;
	}
	if (kernel.write_nothing)
		return 0;
	return syscall(SYS_pwrite64, fd, iov->iov_base, at_most(iov->iov_len), offset);
}

int fdatasync(int fd)
{
	kernel.fdatasyncs++;
	return (int)syscall(SYS_fdatasync, fd);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static int create(const char *name)
{
	int fd = io->openat(io, scratch_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* The name leads to exactly this content. */
static void expect_content(const char *name, const char *content)
{
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(bmf_io_read_file(io, scratch_fd, name, 1 << 20, &buf, &nbytes), 0);
	ck_assert_uint_eq(nbytes, strlen(content));
	ck_assert_mem_eq(buf, content, nbytes);
	free(buf);
}

START_TEST(descriptors_close_on_exec)
{
	int fd = create("cloexec");

	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(io->close(io, fd), 0);
	ck_assert_int_eq(io->close(io, fd), -EBADF);
}
END_TEST

START_TEST(errors_are_negative_errnos)
{
	struct stat st;
	char c;

	ck_assert_int_eq(io->openat(io, scratch_fd, "none", O_RDONLY, 0), -ENOENT);
	ck_assert_int_eq(io->pread(io, -1, &c, 1, 0), -EBADF);
	ck_assert_int_eq(io->pwrite(io, -1, &c, 1, 0), -EBADF);
	ck_assert_int_eq(io->fsync(io, -1), -EBADF);
	ck_assert_int_eq(io->fdatasync(io, -1), -EBADF);
	ck_assert_int_eq(io->ftruncate(io, -1, 0), -EBADF);
	ck_assert_int_eq(io->fallocate(io, -1, 0, 0, 1), -EBADF);
	ck_assert_int_eq(io->copy_file_range(io, -1, 0, -1, 0, 1), -EBADF);
	ck_assert_int_eq(io->renameat(io, scratch_fd, "none", scratch_fd, "b"), -ENOENT);
	ck_assert_int_eq(io->unlinkat(io, scratch_fd, "none", 0), -ENOENT);
	ck_assert_int_eq(io->mkdirat(io, scratch_fd, "none/b", 0700), -ENOENT);
	ck_assert_int_eq(io->fstat(io, -1, &st), -EBADF);
	ck_assert_int_eq(io->lock(io, -1, F_WRLCK), -EBADF);
}
END_TEST

START_TEST(every_operation_does_it)
{
	int a = create("a"), b = create("b");
	struct stat st;
	char buf[8];

	ck_assert_int_eq(io->pwrite(io, a, "abcdef", 6, 2), 6);
	ck_assert_int_eq(io->pread(io, a, buf, sizeof(buf), 0), 8);
	ck_assert_mem_eq(buf, "\0\0abcdef", 8);
	ck_assert_int_eq(io->ftruncate(io, a, 5), 0);
	ck_assert_int_eq(io->fallocate(io, a, FALLOC_FL_KEEP_SIZE, 0, 65536), 0);
	ck_assert_int_eq(io->fstat(io, a, &st), 0);
	ck_assert_int_eq(st.st_size, 5);
	ck_assert_int_eq(io->copy_file_range(io, a, 2, b, 1, 3), 3);
	ck_assert_int_eq(io->pread(io, b, buf, sizeof(buf), 0), 4);
	ck_assert_mem_eq(buf, "\0abc", 4);
	ck_assert_int_eq(io->fsync(io, b), 0);
	ck_assert_int_eq(io->fdatasync(io, b), 0);
	ck_assert_int_eq(io->renameat(io, scratch_fd, "b", scratch_fd, "c"), 0);
	ck_assert_int_eq(io->unlinkat(io, scratch_fd, "c", 0), 0);
	ck_assert_int_eq(io->mkdirat(io, scratch_fd, "d", 0700), 0);
	ck_assert_int_eq(io->unlinkat(io, scratch_fd, "d", AT_REMOVEDIR), 0);
	io->close(io, a);
	io->close(io, b);
}
END_TEST

START_TEST(reads_and_writes_are_full)
{
	static const size_t most[] = { 0, 1, 7, 4096 };
	char out[5000], in[6000];

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 7 + i / 256);
	kernel.interrupt = _i % 2;
	kernel.most = most[_i / 2];
	for (int dsync = 0; dsync < 2; dsync++) {
		int fd = create("full");

		memset(in, 0, sizeof(in));
		ck_assert_int_eq(
			(dsync ? io->pwrite_dsync : io->pwrite)(io, fd, out, sizeof(out), 11),
			sizeof(out));
		ck_assert_int_eq(io->pread(io, fd, in, sizeof(in), 11), sizeof(out));
		ck_assert_mem_eq(in, out, sizeof(out));
		ck_assert_int_eq(io->pread(io, fd, in, 100, 11 + sizeof(out) - 30), 30);
		ck_assert_int_eq(io->pread(io, fd, in, 100, 100000), 0);
		io->close(io, fd);
	}
	ck_assert_uint_eq(kernel.fdatasyncs, 0);
}
END_TEST

START_TEST(dsync_without_the_flag_syncs)
{
	static const int errors[] = { EOPNOTSUPP, ENOSYS };
	int fd = create("dsync");
	char in[100];

	kernel.dsync_error = errors[_i];
	kernel.dsync_left = 1; /* one part is written with the flag, then it is gone */
	kernel.most = 10;
	memset(in, 'x', sizeof(in));
	ck_assert_int_eq(io->pwrite_dsync(io, fd, in, sizeof(in), 0), sizeof(in));
	ck_assert_uint_ge(kernel.fdatasyncs, 1);
	memset(in, 0, sizeof(in));
	ck_assert_int_eq(io->pread(io, fd, in, sizeof(in), 0), sizeof(in));
	for (size_t i = 0; i < sizeof(in); i++)
		ck_assert_int_eq(in[i], 'x');
	kernel.dsync_error = EIO;
	kernel.dsync_left = 0;
	ck_assert_int_eq(io->pwrite_dsync(io, fd, in, sizeof(in), 0), -EIO);
	io->close(io, fd);
}
END_TEST

START_TEST(a_write_of_nothing_is_an_error)
{
	int fd = create("nothing");

	ck_assert_int_eq(io->pwrite(io, fd, "", 0, 0), 0);
	kernel.write_nothing = true;
	ck_assert_int_eq(io->pwrite(io, fd, "a", 1, 0), -EIO);
	ck_assert_int_eq(io->pwrite_dsync(io, fd, "a", 1, 0), -EIO);
	io->close(io, fd);
}
END_TEST

START_TEST(xattrs_through_o_path)
{
	int fd = create("xattr"), path_fd;
	char buf[8];

	path_fd = io->openat(io, scratch_fd, "xattr", O_PATH, 0);
	ck_assert_int_eq(io->fgetxattr(io, path_fd, "user.test", buf, sizeof(buf)), -ENODATA);
	ck_assert_int_eq(io->fsetxattr(io, path_fd, "user.test", "abc", 3, 0), 0);
	ck_assert_int_eq(io->fgetxattr(io, fd, "user.test", buf, sizeof(buf)), 3);
	ck_assert_int_eq(io->fsetxattr(io, fd, "user.test", "defg", 4, 0), 0);
	ck_assert_int_eq(io->fgetxattr(io, path_fd, "user.test", buf, sizeof(buf)), 4);
	ck_assert_mem_eq(buf, "defg", 4);
	ck_assert_int_eq(io->fgetxattr(io, path_fd, "user.test", buf, 2), -ERANGE);
	ck_assert_int_eq(io->unlinkat(io, scratch_fd, "xattr", 0), 0);
	ck_assert_int_eq(io->fgetxattr(io, path_fd, "user.test", buf, sizeof(buf)), 4);
	io->close(io, path_fd);
	io->close(io, fd);
	ck_assert_int_eq(io->fgetxattr(io, path_fd, "user.test", buf, sizeof(buf)), -EBADF);
	ck_assert_int_eq(io->fsetxattr(io, path_fd, "user.test", "a", 1, 0), -EBADF);
	ck_assert_int_eq(io->fgetxattr(io, -1, "user.test", buf, sizeof(buf)), -EBADF);
	ck_assert_int_eq(io->fsetxattr(io, -1, "user.test", "a", 1, 0), -EBADF);
}
END_TEST

START_TEST(a_lock_belongs_to_the_open_file)
{
	int a = create("lock"), b = create("lock");

	ck_assert_int_eq(io->lock(io, a, F_WRLCK), 0);
	ck_assert_int_eq(io->lock(io, a, F_WRLCK), 0);
	ck_assert_int_eq(io->lock(io, b, F_WRLCK), -EAGAIN);
	ck_assert_int_eq(io->lock(io, a, F_UNLCK), 0);
	ck_assert_int_eq(io->lock(io, b, F_WRLCK), 0);
	ck_assert_int_eq(io->lock(io, a, F_WRLCK), -EAGAIN);
	io->close(io, b);
	ck_assert_int_eq(io->lock(io, a, F_WRLCK), 0);
	io->close(io, a);
}
END_TEST

static int read_limited(const char *name, size_t limit, size_t *ret_nbytes)
{
	void *buf = NULL;
	int r = bmf_io_read_file(io, scratch_fd, name, limit, &buf, ret_nbytes);

	ck_assert((r == 0) == (buf != NULL));
	free(buf);
	return r;
}

START_TEST(reads_files_up_to_a_limit)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 100000 };
	char *content = calloc(1, 100000);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t nbytes = sizes[i], got = 12345;
		int fd = create("limit");

		ck_assert_int_eq(io->pwrite(io, fd, content, nbytes, 0), (ssize_t)nbytes);
		io->close(io, fd);
		ck_assert_int_eq(read_limited("limit", nbytes, &got), 0);
		ck_assert_uint_eq(got, nbytes);
		ck_assert_int_eq(read_limited("limit", SIZE_MAX, &got), 0);
		if (nbytes == 0)
			continue;
		got = 12345;
		ck_assert_int_eq(read_limited("limit", nbytes - 1, &got), -EFBIG);
		ck_assert_uint_eq(got, 12345);
	}
	free(content);
}
END_TEST

/* It tells the same each time, unlike /proc/self/status, which counts. */
START_TEST(reads_what_has_no_size_beforehand)
{
	size_t nbytes;

	ck_assert_int_eq(read_limited("/proc/self/limits", 1 << 20, &nbytes), 0);
	ck_assert_uint_gt(nbytes, 300);
	ck_assert_int_eq(read_limited("/proc/self/limits", nbytes, &nbytes), 0);
	ck_assert_int_eq(read_limited("/proc/self/limits", 300, &nbytes), -EFBIG);
	ck_assert_int_eq(read_limited("/proc/self/limits", 0, &nbytes), -EFBIG);
}
END_TEST

START_TEST(refuses_what_is_no_file)
{
	size_t nbytes;

	ck_assert_int_eq(read_limited("none", 100, &nbytes), -ENOENT);
	ck_assert_int_eq(read_limited(".", 100, &nbytes), -EISDIR);
	ck_assert_int_eq(mkfifoat(scratch_fd, "fifo", 0600), 0);
	ck_assert_int_eq(read_limited("fifo", 100, &nbytes), -EINVAL);
}
END_TEST

START_TEST(reading_fails_at_every_step)
{
	struct faultio fault;
	unsigned long n;

	faultio_init(&fault, io);
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "step", "abc", 3, false, NULL), 0);
	for (n = 1;; n++) {
		size_t nbytes = 77;
		void *buf = &fault;
		int r;

		faultio_arm(&fault, FAULTIO_ALL & ~FAULTIO_CLOSE, n, -EIO, 0);
		r = bmf_io_read_file(&fault.io, scratch_fd, "step", 100, &buf, &nbytes);
		ck_assert_int_eq(faultio_open_fds(&fault), 0);
		if (!faultio_fired(&fault)) {
			ck_assert_int_eq(r, 0);
			free(buf);
			break;
		}
		ck_assert_int_eq(r, -EIO);
		ck_assert_ptr_eq(buf, &fault);
		ck_assert_uint_eq(nbytes, 77);
	}
	ck_assert_uint_ge(n, 4);
}
END_TEST

START_TEST(replaces)
{
	struct stat st;
	int fd = -1;
	char c;

	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "file", "one", 3, true, NULL), 0);
	expect_content("file", "one");
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "file", "second", 6, true, &fd), 0);
	expect_content("file", "second");
	ck_assert_int_eq(io->fstat(io, fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(io->pwrite(io, fd, "S", 1, 0), 1);
	ck_assert_int_eq(io->pread(io, fd, &c, 1, 1), 1);
	ck_assert_int_eq(c, 'e');
	io->close(io, fd);
	expect_content("file", "Second");
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "file", "", 0, false, NULL), 0);
	expect_content("file", "");
	ck_assert_int_eq(faccessat(scratch_fd, "file" BMF_TEMP_SUFFIX, F_OK, 0), -1);
}
END_TEST

START_TEST(a_leftover_is_not_written_to)
{
	const char *temp = "left" BMF_TEMP_SUFFIX;
	int fd;

	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "left", "old", 3, false, NULL), 0);
	ck_assert_int_eq(linkat(scratch_fd, "left", scratch_fd, "other", 0), 0);
	ck_assert_int_eq(linkat(scratch_fd, "left", scratch_fd, temp, 0), 0);
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "left", "new", 3, false, NULL), 0);
	expect_content("left", "new");
	expect_content("other", "old");
	ck_assert_int_eq(symlinkat("other", scratch_fd, temp), 0);
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "left", "newer", 5, false, &fd), 0);
	io->close(io, fd);
	expect_content("left", "newer");
	expect_content("other", "old");
}
END_TEST

START_TEST(replacing_what_can_not_be)
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[253] = '\0';
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, name, "", 0, false, NULL),
			 -ENAMETOOLONG);
	ck_assert_int_eq(mkdirat(scratch_fd, "dir", 0700), 0);
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "dir", "", 0, false, NULL), -EISDIR);
	ck_assert_int_eq(faccessat(scratch_fd, "dir" BMF_TEMP_SUFFIX, F_OK, 0), -1);
	ck_assert_int_eq(mkdirat(scratch_fd, "busy" BMF_TEMP_SUFFIX, 0700), 0);
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "busy", "", 0, false, NULL), -EISDIR);
}
END_TEST

static const unsigned int fault_flags[] = { 0, FAULTIO_SHORT, FAULTIO_AFTER, FAULTIO_STICKY,
					    FAULTIO_STICKY | FAULTIO_SHORT };
#define NFAULT_FLAGS (sizeof(fault_flags) / sizeof(*fault_flags))

/* What the name leads to is one of the two whole documents; is it the new one? */
static bool content_is_new(const char *name)
{
	size_t nbytes;
	void *buf;
	bool new;

	ck_assert_int_eq(bmf_io_read_file(io, scratch_fd, name, 100, &buf, &nbytes), 0);
	ck_assert_uint_ge(nbytes, 3);
	new = nbytes == 8;
	ck_assert_mem_eq(buf, new ? "new text" : "old", nbytes);
	free(buf);
	return new;
}

/* One replacement with the nth call failing.  False: it made fewer calls. */
static bool replace_with_fault(unsigned int flags, unsigned long n, bool keep_open)
{
	struct faultio fault;
	int fd = -77, r;

	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "doc", "old", 3, false, NULL), 0);
	faultio_init(&fault, io);
	faultio_arm(&fault, FAULTIO_ALL, n, -EIO, flags);
	r = bmf_io_replace_file(&fault.io, scratch_fd, "doc", "new text", 8, true,
				keep_open ? &fd : NULL);
	if (!faultio_fired(&fault)) {
		ck_assert_int_eq(r, 0);
		ck_assert(content_is_new("doc"));
		if (keep_open)
			fault.io.close(&fault.io, fd);
		ck_assert_int_eq(faultio_open_fds(&fault), 0);
		return false;
	}
	ck_assert_int_eq(r, -EIO);
	ck_assert_int_eq(fd, -77);
	ck_assert_int_eq(faultio_open_fds(&fault), 0);
	/* only the last call, the fsync of the directory, comes after the rename */
	faultio_arm(&fault, FAULTIO_ALL, 0, 0, 0);
	if (!(flags & FAULTIO_AFTER))
		ck_assert(content_is_new("doc") == (n == (keep_open ? 5 : 6)));
	else
		content_is_new("doc");
	if (!(flags & (FAULTIO_STICKY | FAULTIO_AFTER)))
		ck_assert_int_ne(faccessat(scratch_fd, "doc" BMF_TEMP_SUFFIX, F_OK, 0), 0);
	return true;
}

START_TEST(replacing_fails_at_every_step)
{
	unsigned long n = 1;

	while (replace_with_fault(fault_flags[_i / 2], n, _i % 2))
		n++;
	ck_assert_uint_eq(n, _i % 2 ? 6 : 7);
	/* and afterwards, leftovers or not, it works */
	ck_assert(!replace_with_fault(0, 0, false));
}
END_TEST

/* Content durable before the rename, the rename before the directory. */
START_TEST(replacing_keeps_the_order)
{
	struct faultio fault;

	faultio_init(&fault, io);
	ck_assert_int_eq(bmf_io_replace_file(io, scratch_fd, "doc", "old", 3, false, NULL), 0);
	faultio_arm(&fault, FAULTIO_FSYNC, 1, -EIO, 0);
	ck_assert_int_eq(
		bmf_io_replace_file(&fault.io, scratch_fd, "doc", "new text", 8, true, NULL), -EIO);
	ck_assert(!content_is_new("doc"));
	faultio_arm(&fault, FAULTIO_FSYNC, 2, -EIO, 0);
	ck_assert_int_eq(
		bmf_io_replace_file(&fault.io, scratch_fd, "doc", "new text", 8, true, NULL), -EIO);
	ck_assert(content_is_new("doc"));
	faultio_arm(&fault, FAULTIO_FSYNC, 0, 0, 0);
	ck_assert_int_eq(bmf_io_replace_file(&fault.io, scratch_fd, "doc", "old", 3, false, NULL),
			 0);
	ck_assert_uint_eq(faultio_calls(&fault), 1);
}
END_TEST

static TCase *posix_tests(void)
{
	TCase *tc = tcase_create("posix");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, descriptors_close_on_exec);
	tcase_add_test(tc, errors_are_negative_errnos);
	tcase_add_test(tc, every_operation_does_it);
	tcase_add_loop_test(tc, reads_and_writes_are_full, 0, 8);
	tcase_add_loop_test(tc, dsync_without_the_flag_syncs, 0, 2);
	tcase_add_test(tc, a_write_of_nothing_is_an_error);
	tcase_add_test(tc, xattrs_through_o_path);
	tcase_add_test(tc, a_lock_belongs_to_the_open_file);
	return tc;
}

static TCase *file_tests(void)
{
	TCase *tc = tcase_create("file");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, reads_files_up_to_a_limit);
	tcase_add_test(tc, reads_what_has_no_size_beforehand);
	tcase_add_test(tc, refuses_what_is_no_file);
	tcase_add_test(tc, reading_fails_at_every_step);
	tcase_add_test(tc, replaces);
	tcase_add_test(tc, a_leftover_is_not_written_to);
	tcase_add_test(tc, replacing_what_can_not_be);
	tcase_add_loop_test(tc, replacing_fails_at_every_step, 0, 2 * NFAULT_FLAGS);
	tcase_add_test(tc, replacing_keeps_the_order);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("io");

	suite_add_tcase(suite, posix_tests());
	suite_add_tcase(suite, file_tests());
	return suite_run(suite);
}
