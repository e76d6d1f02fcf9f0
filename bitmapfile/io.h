/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io.h - the one table of operations under everything that touches a disk
 *
 * bitmapfile/ and the daemon's write path reach files only through a
 * struct bmf_io: the place where tests inject faults and simulate power cuts.
 * Every operation takes the table itself first, so that an implementation can
 * keep its own state around it.
 *
 * Operations mirror the system calls of the same name, with these differences:
 * they return a result >= 0 or a negative errno, they restart after EINTR, and
 * those with "full" in their contract never return a short count short of the
 * end of the file.  They are thread safe.
 *
 * Durability is never implied: only fsync, fdatasync and pwrite_dsync make
 * anything durable, fsync of a directory its names.
 */
#ifndef BITMAPFILE_IO_H
#define BITMAPFILE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct bmf_io {
	int (*openat)(const struct bmf_io *io, int dirfd, const char *name, int flags, mode_t mode);
	int (*close)(const struct bmf_io *io, int fd);
	/* a new open file description of what fd (O_PATH will do) is, however it is named now */
	int (*reopen)(const struct bmf_io *io, int fd, int flags);

	/* full: fewer bytes than asked for only at the end of the file */
	ssize_t (*pread)(const struct bmf_io *io, int fd, void *buf, size_t nbytes, off_t offset);
	/* full: nbytes or an error; after an error any part may have been written */
	ssize_t (*pwrite)(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
			  off_t offset);
	/* like pwrite, and the data is on stable storage when it returns (RWF_DSYNC) */
	ssize_t (*pwrite_dsync)(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
				off_t offset);
	int (*fsync)(const struct bmf_io *io, int fd);
	int (*fdatasync)(const struct bmf_io *io, int fd);
	int (*ftruncate)(const struct bmf_io *io, int fd, off_t size);
	int (*fallocate)(const struct bmf_io *io, int fd, int mode, off_t offset, off_t nbytes);
	ssize_t (*copy_file_range)(const struct bmf_io *io, int fd_in, off_t offset_in, int fd_out,
				   off_t offset_out, size_t nbytes);

	int (*renameat)(const struct bmf_io *io, int olddirfd, const char *oldname, int newdirfd,
			const char *newname);
	int (*unlinkat)(const struct bmf_io *io, int dirfd, const char *name, int flags);
	int (*mkdirat)(const struct bmf_io *io, int dirfd, const char *name, mode_t mode);

	int (*fstat)(const struct bmf_io *io, int fd, struct stat *ret);
	ssize_t (*fgetxattr)(const struct bmf_io *io, int fd, const char *name, void *buf,
			     size_t nbytes);
	int (*fsetxattr)(const struct bmf_io *io, int fd, const char *name, const void *buf,
			 size_t nbytes, int flags);
	/* open file description lock of the whole file, F_WRLCK, F_RDLCK or F_UNLCK; -EAGAIN if
	 * held */
	int (*lock)(const struct bmf_io *io, int fd, short type);

	/*
	 * Calls visit for each name in a directory but . and .., in any order, until it returns
	 * nonzero, which is then returned.  dirfd may be O_PATH, its position doesn't matter.
	 */
	int (*each_name)(const struct bmf_io *io, int dirfd,
			 int (*visit)(const char *name, void *arg), void *arg);
	/*
	 * Bytes that no other file of that filesystem has, also not one that later gets its
	 * inode number: the number of them, at most BMF_FILE_HANDLE_MAX, or -EOPNOTSUPP.
	 */
	ssize_t (*file_handle)(const struct bmf_io *io, int fd, void *buf, size_t nbytes);
	/* the clock that files get their times from: nanoseconds since 1970 */
	int64_t (*now_ns)(const struct bmf_io *io);
};

#define BMF_FILE_HANDLE_MAX 132 /* bytes */

/* The real thing.  Its fgetxattr and fsetxattr accept O_PATH descriptors too. */
extern const struct bmf_io bmf_io_posix;

/*
 * Reads a whole file of at most limit bytes into memory that the caller frees.
 * 0, -EFBIG when it is larger, or the error of the operation that failed
 * (-EISDIR for a directory, -ENOENT when there is none).
 */
int bmf_io_read_file(const struct bmf_io *io, int dirfd, const char *name, size_t limit,
		     void **ret_buf, size_t *ret_nbytes);

/*
 * Replaces a file as a whole: a temporary file (name with BMF_TEMP_SUFFIX
 * appended, mode 0600) is written and fsynced, renamed over name, and (with
 * sync_name) the directory is fsynced: then it is durable when it returns 0.  On
 * failure the old file is as it was, except after a failing fsync of the
 * directory, when either may be found after a crash.  The temporary file is
 * removed on failure where that is possible; a leftover is harmless.
 *
 * If ret_fd is not NULL it receives a descriptor of the new file, open for
 * reading and writing, that the caller closes.
 *
 * Callers serialise replacements of the same name.
 */
#define BMF_TEMP_SUFFIX ".tmp"
int bmf_io_replace_file(const struct bmf_io *io, int dirfd, const char *name, const void *buf,
			size_t nbytes, bool sync_name, int *ret_fd);

#endif
