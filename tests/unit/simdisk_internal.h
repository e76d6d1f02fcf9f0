/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simdisk_internal.h - what simdisk*.c share: inodes, and the log of what is not durable */
#ifndef TESTS_UNIT_SIMDISK_INTERNAL_H
#define TESTS_UNIT_SIMDISK_INTERNAL_H

#include "tests/unit/simdisk.h"

#define NAME_NBYTES 64
#define VALUE_NBYTES 64
#define XATTRS_MAX 2

struct entry {
	char name[NAME_NBYTES];
	size_t inode;
};

/* A file or a directory as it is at some moment. */
struct content {
	uint8_t *data;
	size_t size, capacity;
	struct {
		char name[NAME_NBYTES], value[VALUE_NBYTES];
		size_t nbytes;
	} xattrs[XATTRS_MAX];
	size_t nxattrs;
	int64_t mtime_ns, ctime_ns;
	struct entry *entries; /* of a directory */
	size_t nentries;
};

struct simdisk_inode {
	uint64_t handle;
	mode_t mode;
	struct content live, durable;
	int locked_by; /* descriptor, 0: none */
};

enum op_kind {
	OP_WRITE,
	OP_ZERO,
	OP_TRUNCATE,
	OP_XATTR,
	OP_LINK,
	OP_UNLINK,
	OP_RENAME,
};

struct simdisk_op {
	enum op_kind kind;
	size_t inode; /* that it changes: of names, the directory */
	uint64_t offset, nbytes;
	uint8_t *data;				    /* owned; nbytes, or NULL */
	char name[NAME_NBYTES], other[NAME_NBYTES]; /* of an xattr; a name, and what it was */
	size_t target;				    /* the inode that a name leads to */
	size_t other_dir;			    /* of a rename: where it was */
};

struct simdisk_file {
	size_t inode;
	bool open;
	int flags;
};

#define SIMDISK_ROOT 0 /* inode of the root directory */

/* simdisk.c */
struct simdisk *simdisk_of(const struct bmf_io *io);
/* NULL if it isn't open. */
struct simdisk_file *simdisk_file_of(const struct simdisk *disk, int fd);
int simdisk_open_file(struct simdisk *disk, size_t inode, int flags);
/*
 * Locks the disk and finds the inode of a descriptor.  NULL with *ret_error set and
 * the disk not locked, when there is none or the power is off.
 */
struct simdisk_inode *simdisk_begin(struct simdisk *disk, int fd, size_t *ret_inode,
				    int *ret_error);
/* Unlocks the disk, and gives result. */
int simdisk_end(struct simdisk *disk, int result);
/* A moment at which a cut makes a difference.  0, or -EIO after one. */
int simdisk_cut_point(struct simdisk *disk);
/* Such a moment, and then the operation. */
int simdisk_change(struct simdisk *disk, const struct simdisk_op *op);
extern const struct bmf_io simdisk_io;

/* simdisk_names.c */
size_t simdisk_new_inode(struct simdisk *disk, mode_t mode);
int simdisk_openat(const struct bmf_io *io, int dirfd, const char *name, int flags, mode_t mode);
int simdisk_renameat(const struct bmf_io *io, int olddirfd, const char *oldname, int newdirfd,
		     const char *newname);
int simdisk_unlinkat(const struct bmf_io *io, int dirfd, const char *name, int flags);
int simdisk_mkdirat(const struct bmf_io *io, int dirfd, const char *name, mode_t mode);
int simdisk_each_name(const struct bmf_io *io, int dirfd, int (*visit)(const char *name, void *arg),
		      void *arg);

/* simdisk_cut.c: a disk without even a root directory */
struct simdisk *simdisk_bare(void);

/* Is it one of names, in the directory op->inode? */
static inline bool op_is_of_name(const struct simdisk_op *op)
{
	return op->kind >= OP_LINK;
}

/* simdisk_log.c: carries out an operation, and notes that it isn't durable; takes over op->data */
void log_perform(struct simdisk *disk, const struct simdisk_op *op);
/* Makes everything that is pending for the inode durable; data_only: but for its xattrs. */
void log_sync_inode(struct simdisk *disk, size_t inode, bool data_only);
/* A disk that could not take the data: it is lost, and yet the cache goes on to show it. */
void log_lose_inode(struct simdisk *disk, size_t inode);
/*
 * Makes the newest operation durable, alone.  Older ones that it overlaps go with it, since the
 * cache holds only what is newest; and what these overlap, too.
 */
void log_sync_newest(struct simdisk *disk);

/* simdisk_content.c */
void simdisk_set_name(char to[NAME_NBYTES], const char *from); /* which fits */
void *simdisk_alloc(void *old, size_t nbytes);
void content_destroy(struct content *content);
void content_copy(struct content *to, const struct content *from);
void content_resize(struct content *content, size_t size);
struct entry *content_find(struct content *dir, const char *name);

/* Carries out an operation on the contents that disk has, live or durable. */
void op_apply(struct simdisk *disk, const struct simdisk_op *op, bool durable);
/* Of a write, only sector number `sector` of those that it touches. */
void op_apply_sector(struct simdisk *disk, const struct simdisk_op *op, uint64_t sector,
		     const uint8_t *garbage);

#endif
