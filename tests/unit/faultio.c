/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faultio.c - an io table that fails on demand, around another one */
#include "config.h"

#include "tests/unit/faultio.h"

#include <errno.h>
#include <stddef.h>

/* The io table is a member, so the wrapper is found from it. */
static struct faultio *fault_of(const struct bmf_io *io)
{
	return (struct faultio *)((char *)(uintptr_t)io - offsetof(struct faultio, io));
}

/* Counts a call.  0, or the error that it is to give. */
static int next_fault(struct faultio *f, unsigned int op)
{
	unsigned long call, nth;

	if (!(f->ops & op))
		return 0;
	call = atomic_fetch_add(&f->calls, 1) + 1;
	nth = f->nth;
	if (nth == 0 || call < nth || (call > nth && !(f->flags & FAULTIO_STICKY)))
		return 0;
	atomic_fetch_add(&f->failures, 1);
	return f->error;
}

/*
 * The body of an operation: carries out `call` unless it is to fail without effect;
 * gives its result or the injected error.
 */
#define INJECT(f, op, call)                     \
	do {                                    \
		int error_ = next_fault(f, op); \
		if (!error_)                    \
			return call;            \
		if ((f)->flags & FAULTIO_AFTER) \
			(void)(call);           \
		return error_;                  \
	} while (0)

static int fault_openat(const struct bmf_io *io, int dirfd, const char *name, int flags,
			mode_t mode)
{
	struct faultio *f = fault_of(io);
	int error = next_fault(f, FAULTIO_OPENAT);
	int fd;

	if (error && !(f->flags & FAULTIO_AFTER))
		return error;
	fd = f->under->openat(f->under, dirfd, name, flags, mode);
	if (fd >= 0 && error)
		f->under->close(f->under, fd);
	else if (fd >= 0)
		atomic_fetch_add(&f->open_fds, 1);
	return error ? error : fd;
}

static int fault_close(const struct bmf_io *io, int fd)
{
	struct faultio *f = fault_of(io);
	int error = next_fault(f, FAULTIO_CLOSE);
	int r = f->under->close(f->under, fd);

	if (r != -EBADF)
		atomic_fetch_sub(&f->open_fds, 1);
	return error ? error : r;
}

static int fault_reopen(const struct bmf_io *io, int fd, int flags)
{
	struct faultio *f = fault_of(io);
	int error = next_fault(f, FAULTIO_OPENAT);
	int new_fd;

	if (error)
		return error;
	new_fd = f->under->reopen(f->under, fd, flags);
	if (new_fd >= 0)
		atomic_fetch_add(&f->open_fds, 1);
	return new_fd;
}

static ssize_t fault_pread(const struct bmf_io *io, int fd, void *buf, size_t nbytes, off_t offset)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_PREAD, f->under->pread(f->under, fd, buf, nbytes, offset));
}

/* How many of the bytes to be written are, when that call is to fail with error. */
static size_t bytes_to_write(const struct faultio *f, int error, size_t nbytes)
{
	if (!error || (f->flags & FAULTIO_AFTER))
		return nbytes;
	return f->flags & FAULTIO_SHORT ? nbytes / 2 : 0;
}

static ssize_t fault_pwrite(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
			    off_t offset)
{
	struct faultio *f = fault_of(io);
	int error = next_fault(f, FAULTIO_PWRITE);
	ssize_t put = f->under->pwrite(f->under, fd, buf, bytes_to_write(f, error, nbytes), offset);

	return error ? error : put;
}

static ssize_t fault_pwrite_dsync(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
				  off_t offset)
{
	struct faultio *f = fault_of(io);
	int error = next_fault(f, FAULTIO_PWRITE_DSYNC);
	ssize_t put =
		f->under->pwrite_dsync(f->under, fd, buf, bytes_to_write(f, error, nbytes), offset);

	return error ? error : put;
}

static int fault_fsync(const struct bmf_io *io, int fd)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_FSYNC, f->under->fsync(f->under, fd));
}

static int fault_fdatasync(const struct bmf_io *io, int fd)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_FDATASYNC, f->under->fdatasync(f->under, fd));
}

static int fault_ftruncate(const struct bmf_io *io, int fd, off_t size)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_FTRUNCATE, f->under->ftruncate(f->under, fd, size));
}

static int fault_fallocate(const struct bmf_io *io, int fd, int mode, off_t offset, off_t nbytes)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_FALLOCATE, f->under->fallocate(f->under, fd, mode, offset, nbytes));
}

static ssize_t fault_copy_file_range(const struct bmf_io *io, int fd_in, off_t offset_in,
				     int fd_out, off_t offset_out, size_t nbytes)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_COPY_FILE_RANGE,
	       f->under->copy_file_range(f->under, fd_in, offset_in, fd_out, offset_out, nbytes));
}

static int fault_renameat(const struct bmf_io *io, int olddirfd, const char *oldname, int newdirfd,
			  const char *newname)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_RENAMEAT,
	       f->under->renameat(f->under, olddirfd, oldname, newdirfd, newname));
}

static int fault_unlinkat(const struct bmf_io *io, int dirfd, const char *name, int flags)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_UNLINKAT, f->under->unlinkat(f->under, dirfd, name, flags));
}

static int fault_mkdirat(const struct bmf_io *io, int dirfd, const char *name, mode_t mode)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_MKDIRAT, f->under->mkdirat(f->under, dirfd, name, mode));
}

static int fault_fstat(const struct bmf_io *io, int fd, struct stat *ret)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_FSTAT, f->under->fstat(f->under, fd, ret));
}

static ssize_t fault_fgetxattr(const struct bmf_io *io, int fd, const char *name, void *buf,
			       size_t nbytes)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_FGETXATTR, f->under->fgetxattr(f->under, fd, name, buf, nbytes));
}

static int fault_fsetxattr(const struct bmf_io *io, int fd, const char *name, const void *buf,
			   size_t nbytes, int flags)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_FSETXATTR, f->under->fsetxattr(f->under, fd, name, buf, nbytes, flags));
}

static int fault_lock(const struct bmf_io *io, int fd, short type)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_LOCK, f->under->lock(f->under, fd, type));
}

static int fault_each_name(const struct bmf_io *io, int dirfd,
			   int (*visit)(const char *name, void *arg), void *arg)
{
	struct faultio *f = fault_of(io);

	INJECT(f, FAULTIO_EACH_NAME, f->under->each_name(f->under, dirfd, visit, arg));
}

static ssize_t fault_file_handle(const struct bmf_io *io, int fd, void *buf, size_t nbytes)
{
	struct faultio *f = fault_of(io);

	return f->under->file_handle(f->under, fd, buf, nbytes);
}

static int64_t fault_now_ns(const struct bmf_io *io)
{
	struct faultio *f = fault_of(io);

	return f->under->now_ns(f->under);
}

void faultio_init(struct faultio *fault, const struct bmf_io *under)
{
	const struct bmf_io table = {
		.openat = fault_openat,
		.reopen = fault_reopen,
		.close = fault_close,
		.pread = fault_pread,
		.pwrite = fault_pwrite,
		.pwrite_dsync = fault_pwrite_dsync,
		.fsync = fault_fsync,
		.fdatasync = fault_fdatasync,
		.ftruncate = fault_ftruncate,
		.fallocate = fault_fallocate,
		.copy_file_range = fault_copy_file_range,
		.renameat = fault_renameat,
		.unlinkat = fault_unlinkat,
		.mkdirat = fault_mkdirat,
		.fstat = fault_fstat,
		.fgetxattr = fault_fgetxattr,
		.fsetxattr = fault_fsetxattr,
		.lock = fault_lock,
		.each_name = fault_each_name,
		.file_handle = fault_file_handle,
		.now_ns = fault_now_ns,
	};

	*fault = (struct faultio){ .io = table, .under = under };
	faultio_arm(fault, FAULTIO_ALL, 0, 0, 0);
}

void faultio_arm(struct faultio *fault, unsigned int ops, unsigned long nth, int error,
		 unsigned int flags)
{
	fault->nth = 0;
	fault->ops = ops;
	fault->error = error;
	fault->flags = flags;
	atomic_store(&fault->calls, 0);
	atomic_store(&fault->failures, 0);
	fault->nth = nth;
}

unsigned long faultio_calls(const struct faultio *fault)
{
	return atomic_load(&fault->calls);
}

bool faultio_fired(const struct faultio *fault)
{
	return atomic_load(&fault->failures) > 0;
}

long faultio_open_fds(const struct faultio *fault)
{
	return atomic_load(&fault->open_fds);
}
