/* SPDX-License-Identifier: GPL-2.0-or-later */
/* io.c - the table of operations as the system provides them: bmf_io_posix */
#include "config.h"

#include "bitmapfile/io.h"

#include "bitmapfile/le.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* The value of expression, as often as it takes without EINTR; or -errno. */
#define RESTARTED(type, expression)                    \
	({                                             \
		type result_;                          \
		do                                     \
			result_ = (expression);        \
		while (result_ < 0 && errno == EINTR); \
		result_ < 0 ? (type)-errno : result_;  \
	})

static int posix_openat(const struct bmf_io *io, int dirfd, const char *name, int flags,
			mode_t mode)
{
	(void)io;
	return RESTARTED(int, openat(dirfd, name, flags | O_CLOEXEC, mode));
}

static int posix_close(const struct bmf_io *io, int fd)
{
	(void)io;
	/*
	 * Linux has let go of the descriptor even when close says EINTR: a second
	 * close could hit one that another thread got meanwhile.  Nothing is lost by
	 * calling it success, as only fsync promises anything.
	 */
	if (close(fd) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static ssize_t posix_pread(const struct bmf_io *io, int fd, void *buf, size_t nbytes, off_t offset)
{
	size_t done = 0;

	(void)io;
	while (done < nbytes) {
		ssize_t got = RESTARTED(ssize_t, pread(fd, (char *)buf + done, nbytes - done,
						       offset + (off_t)done));
		if (got < 0)
			return got;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static ssize_t posix_pwrite(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
			    off_t offset)
{
	size_t done = 0;

	(void)io;
	while (done < nbytes) {
		ssize_t put = RESTARTED(ssize_t, pwrite(fd, (const char *)buf + done, nbytes - done,
							offset + (off_t)done));
		if (put < 0)
			return put;
		if (put == 0) /* no regular file does so; a loop here would never end */
			return -EIO;
		done += (size_t)put;
	}
	return (ssize_t)done;
}

static ssize_t write_dsync_once(int fd, const void *buf, size_t nbytes, off_t offset)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = nbytes };

	return RESTARTED(ssize_t, pwritev2(fd, &iov, 1, offset, RWF_DSYNC));
}

static int posix_fsync(const struct bmf_io *io, int fd)
{
	(void)io;
	return RESTARTED(int, fsync(fd));
}

static int posix_fdatasync(const struct bmf_io *io, int fd)
{
	(void)io;
	return RESTARTED(int, fdatasync(fd));
}

/* Where RWF_DSYNC doesn't exist: what was written with it is durable already. */
static ssize_t write_then_sync(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
			       off_t offset)
{
	ssize_t put = posix_pwrite(io, fd, buf, nbytes, offset);
	int r;

	if (put < 0)
		return put;
	r = posix_fdatasync(io, fd);
	return r < 0 ? r : put;
}

static ssize_t posix_pwrite_dsync(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
				  off_t offset)
{
	size_t done = 0;

	while (done < nbytes) {
		const char *rest = (const char *)buf + done;
		ssize_t put = write_dsync_once(fd, rest, nbytes - done, offset + (off_t)done);

		if (put == -EOPNOTSUPP || put == -ENOSYS)
			put = write_then_sync(io, fd, rest, nbytes - done, offset + (off_t)done);
		if (put < 0)
			return put;
		if (put == 0)
			return -EIO;
		done += (size_t)put;
	}
	return (ssize_t)done;
}

static int posix_ftruncate(const struct bmf_io *io, int fd, off_t size)
{
	(void)io;
	return RESTARTED(int, ftruncate(fd, size));
}

static int posix_fallocate_mode(const struct bmf_io *io, int fd, int mode, off_t offset,
				off_t nbytes)
{
	(void)io;
	return RESTARTED(int, fallocate(fd, mode, offset, nbytes));
}

static ssize_t posix_copy_file_range(const struct bmf_io *io, int fd_in, off_t offset_in,
				     int fd_out, off_t offset_out, size_t nbytes)
{
	(void)io;
	return RESTARTED(ssize_t,
			 copy_file_range(fd_in, &offset_in, fd_out, &offset_out, nbytes, 0));
}

static int posix_renameat(const struct bmf_io *io, int olddirfd, const char *oldname, int newdirfd,
			  const char *newname)
{
	(void)io;
	return RESTARTED(int, renameat(olddirfd, oldname, newdirfd, newname));
}

static int posix_unlinkat(const struct bmf_io *io, int dirfd, const char *name, int flags)
{
	(void)io;
	return RESTARTED(int, unlinkat(dirfd, name, flags));
}

static int posix_mkdirat(const struct bmf_io *io, int dirfd, const char *name, mode_t mode)
{
	(void)io;
	return RESTARTED(int, mkdirat(dirfd, name, mode));
}

static int posix_fstat(const struct bmf_io *io, int fd, struct stat *ret)
{
	struct stat st;
	int r;

	(void)io;
	r = RESTARTED(int, fstat(fd, &st));
	if (r < 0)
		return r;
	*ret = st;
	return 0;
}

/* A name that leads to what fd has open, even if fd is an O_PATH descriptor. */
struct proc_name {
	char text[32];
};

static struct proc_name proc_name(int fd)
{
	struct proc_name name;

	snprintf(name.text, sizeof(name.text), "/proc/self/fd/%d", fd);
	return name;
}

/* There is no such name for a descriptor that isn't open. */
static ssize_t proc_result(ssize_t result)
{
	return result == -ENOENT ? -EBADF : result;
}

static int posix_reopen(const struct bmf_io *io, int fd, int flags)
{
	(void)io;
	return RESTARTED(int, open(proc_name(fd).text, flags | O_CLOEXEC));
}

static ssize_t posix_fgetxattr(const struct bmf_io *io, int fd, const char *name, void *buf,
			       size_t nbytes)
{
	ssize_t got = RESTARTED(ssize_t, fgetxattr(fd, name, buf, nbytes));

	(void)io;
	if (got == -EBADF && fd >= 0)
		got = proc_result(
			RESTARTED(ssize_t, getxattr(proc_name(fd).text, name, buf, nbytes)));
	return got;
}

static int posix_fsetxattr(const struct bmf_io *io, int fd, const char *name, const void *buf,
			   size_t nbytes, int flags)
{
	int r = RESTARTED(int, fsetxattr(fd, name, buf, nbytes, flags));

	(void)io;
	if (r == -EBADF && fd >= 0)
		r = (int)proc_result(
			RESTARTED(int, setxattr(proc_name(fd).text, name, buf, nbytes, flags)));
	return r;
}

static int posix_lock(const struct bmf_io *io, int fd, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET }; /* l_len 0: all of it */
	int r;

	(void)io;
	r = RESTARTED(int, fcntl(fd, F_OFD_SETLK, &lock));
	return r == -EACCES ? -EAGAIN : r; /* POSIX allows either when it is held */
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int posix_each_name(const struct bmf_io *io, int dirfd,
			   int (*visit)(const char *name, void *arg), void *arg)
{
	/* opened anew: dirfd's own position is shared with other threads */
	int fd = posix_openat(io, dirfd, ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
	const struct dirent *entry;
	DIR *stream;

	if (fd < 0)
		return fd;
	stream = fdopendir(fd);
	if (!stream) {
		r = -errno;
		close(fd);
		return r;
	}
	do {
		errno = 0;
		entry = readdir(stream);
		if (!entry)
			r = -errno;
		else if (!is_dot(entry->d_name))
			r = visit(entry->d_name, arg);
	} while (entry && r == 0);
	closedir(stream);
	return r;
}

/*
 * A FUSE filesystem hands out its handles anew at each mount: with them every image
 * would look like a copy after the next one.
 */
static bool has_lasting_handles(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type != FUSE_SUPER_MAGIC;
}

union handle_buf {
	struct file_handle head;
	uint8_t bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static_assert(sizeof(struct le32) + MAX_HANDLE_SZ == BMF_FILE_HANDLE_MAX, "io.h");

/* The handle's type and its bytes, as the kernel gives them. */
static ssize_t posix_file_handle(const struct bmf_io *io, int fd, void *buf, size_t nbytes)
{
	union handle_buf handle = { .head = { .handle_bytes = MAX_HANDLE_SZ } };
	struct le32 type;
	int mount_id;

	(void)io;
	if (!has_lasting_handles(fd) ||
	    name_to_handle_at(fd, "", &handle.head, &mount_id, AT_EMPTY_PATH) < 0 ||
	    nbytes < sizeof(type) + handle.head.handle_bytes)
		return -EOPNOTSUPP;
	type = le32_make((uint32_t)handle.head.handle_type);
	memcpy(buf, &type, sizeof(type));
	memcpy((uint8_t *)buf + sizeof(type), handle.bytes + offsetof(struct file_handle, f_handle),
	       handle.head.handle_bytes);
	return (ssize_t)(sizeof(type) + handle.head.handle_bytes);
}

static int64_t posix_now_ns(const struct bmf_io *io)
{
	struct timespec ts;

	(void)io;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

const struct bmf_io bmf_io_posix = {
	.openat = posix_openat,
	.close = posix_close,
	.reopen = posix_reopen,
	.pread = posix_pread,
	.pwrite = posix_pwrite,
	.pwrite_dsync = posix_pwrite_dsync,
	.fsync = posix_fsync,
	.fdatasync = posix_fdatasync,
	.ftruncate = posix_ftruncate,
	.fallocate = posix_fallocate_mode,
	.copy_file_range = posix_copy_file_range,
	.renameat = posix_renameat,
	.unlinkat = posix_unlinkat,
	.mkdirat = posix_mkdirat,
	.fstat = posix_fstat,
	.fgetxattr = posix_fgetxattr,
	.fsetxattr = posix_fsetxattr,
	.lock = posix_lock,
	.each_name = posix_each_name,
	.file_handle = posix_file_handle,
	.now_ns = posix_now_ns,
};
