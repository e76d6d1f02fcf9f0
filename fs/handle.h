/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * handle.h - what the kernel's file handles stand for: open files and directories
 *
 * The kernel releases a handle once, after its last use.  Those that it had no time to
 * release when the session ends are closed by mfs_handles_destroy().
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mfs;
struct mfs_node;
struct bmf_tracker;

struct mfs_handle {
	struct mfs_handle *prev, *next; /* among all open ones; handles->lock */
	struct mfs_node *node;
	int fd;
	pthread_mutex_t lock; /* the fields of a directory, and the making of cached_fd */

	/* of a file */
	bool direct;		     /* fd is open with O_DIRECT */
	int flags;		     /* that fd was opened with */
	int cached_fd;		     /* the same without O_DIRECT; -1 until it is needed */
	struct bmf_tracker *tracker; /* of a file open for writing, else NULL */

	enum { MFS_NOT_ASKED, MFS_CACHED, MFS_DIRECT_IO } direct_io; /* see below */

	/* of a directory */
	DIR *dir;		    /* owns fd */
	struct dirent *pending;	    /* was read but did not fit into the last reply */
	off_t offset;		    /* of the next entry to be read */
	atomic_bool owns_snapshots; /* they go with it */
	atomic_bool holds;	    /* the source's changes (seal.h); that ends with it */
	uint64_t held_generation;   /* of the source, then; by who holds it */
};

struct mfs_handles {
	pthread_mutex_t lock;
	struct mfs_handle *first;
};

void mfs_handles_init(struct mfs_handles *handles);
/* Closes all that are left.  Not thread safe. */
void mfs_handles_destroy(struct mfs_handles *handles);

/*
 * A handle for fd, which was opened with flags, and which it takes over, also on failure.
 * A regular file that is open for writing gets its tracker.  0 or -errno.
 */
int mfs_handle_new(struct mfs *fs, struct mfs_node *node, int fd, int flags,
		   struct mfs_handle **ret);

/* Opens the node with flags, and makes a handle of it. */
int mfs_handle_open(struct mfs *fs, struct mfs_node *node, int flags, struct mfs_handle **ret);

void mfs_handle_close(struct mfs *fs, struct mfs_handle *handle);

/*
 * Should the kernel carry out the requests of this file by direct_io: pass them on as
 * they are, several at a time, past its cache?  Asked once, when it is opened.  For
 * O_DIRECT that is much faster than the kernel's other way.  But kernels before
 * Linux 6.6 do not drop what they have cached for other files that are open on the
 * same inode: there (!direct_io_mixes) all that are open at a time have it, or none has.
 */
bool mfs_handle_direct_io(struct mfs *fs, struct mfs_handle *handle);

/*
 * The descriptor for a request whose flags are given.  A program may clear
 * O_DIRECT by fcntl(2), as dd does for its last short block: then it is one
 * without.  A descriptor of the handle's, or -errno.
 */
int mfs_handle_fd(struct mfs_handle *handle, int request_flags);

#endif
