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

/* simdisk.c */
extern const struct bmf_io simdisk_io;

/* simdisk_cut.c: a disk without even a root directory */
struct simdisk *simdisk_bare(void);

/* simdisk_content.c */
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
