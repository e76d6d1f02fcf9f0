/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simdisk.c - the io table of a simulated disk */
#include "config.h"

#include "tests/unit/simdisk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS 1000000
#define FIRST_FD 3 /* as a program has it */

struct simdisk *simdisk_of(const struct bmf_io *io)
{
	return (struct simdisk *)((char *)(uintptr_t)io - offsetof(struct simdisk, io));
}

/* ---- descriptors ---- */

struct simdisk_file *simdisk_file_of(const struct simdisk *disk, int fd)
{
	size_t i = (size_t)fd - FIRST_FD;

	return fd >= FIRST_FD && i < disk->nfiles && disk->files[i].open ? &disk->files[i] : NULL;
}

int simdisk_open_file(struct simdisk *disk, size_t inode, int flags)
{
	size_t i = 0;

	while (i < disk->nfiles && disk->files[i].open)
		i++;
	if (i == disk->nfiles)
		disk->files = simdisk_alloc(disk->files, ++disk->nfiles * sizeof(*disk->files));
	disk->files[i] = (struct simdisk_file){ .inode = inode, .open = true, .flags = flags };
	return FIRST_FD + (int)i;
}

struct simdisk_inode *simdisk_begin(struct simdisk *disk, int fd, size_t *ret_inode, int *ret_error)
{
	const struct simdisk_file *file;

	pthread_mutex_lock(&disk->lock);
	disk->clock_ns += TICK_NS;
	file = simdisk_file_of(disk, fd);
	if (file && !disk->off) {
		*ret_inode = file->inode;
		return disk->inodes[file->inode];
	}
	*ret_error = disk->off ? -EIO : -EBADF;
	pthread_mutex_unlock(&disk->lock);
	return NULL;
}

int simdisk_end(struct simdisk *disk, int result)
{
	pthread_mutex_unlock(&disk->lock);
	return result;
}

int simdisk_cut_point(struct simdisk *disk)
{
	disk->calls++;
	if (disk->hook)
		disk->hook(disk, disk->hook_arg);
	return disk->off ? -EIO : 0;
}

/* ---- files ---- */

int simdisk_change(struct simdisk *disk, const struct simdisk_op *op)
{
	int r = simdisk_cut_point(disk);

	if (r == 0)
		log_perform(disk, op);
	return r;
}

static int sim_close(const struct bmf_io *io, int fd)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_file *file;
	struct simdisk_inode *node;

	pthread_mutex_lock(&disk->lock);
	file = simdisk_file_of(disk, fd); /* also when the power is off */
	if (!file)
		return simdisk_end(disk, -EBADF);
	node = disk->inodes[file->inode];
	if (node->locked_by == fd)
		node->locked_by = 0;
	file->open = false;
	return simdisk_end(disk, 0);
}

static int sim_reopen(const struct bmf_io *io, int fd, int flags)
{
	struct simdisk *disk = simdisk_of(io);
	size_t inode;
	int error = 0;

	if (!simdisk_begin(disk, fd, &inode, &error))
		return error;
	return simdisk_end(disk, simdisk_open_file(disk, inode, flags));
}

static ssize_t sim_pread(const struct bmf_io *io, int fd, void *buf, size_t nbytes, off_t offset)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int error = 0;

	node = simdisk_begin(disk, fd, &inode, &error);
	if (!node)
		return error;
	if (S_ISDIR(node->mode) || (simdisk_file_of(disk, fd)->flags & O_PATH))
		return simdisk_end(disk, S_ISDIR(node->mode) ? -EISDIR : -EBADF);
	if ((size_t)offset >= node->live.size)
		return simdisk_end(disk, 0);
	if (nbytes > node->live.size - (size_t)offset)
		nbytes = node->live.size - (size_t)offset;
	memcpy(buf, node->live.data + offset, nbytes);
	pthread_mutex_unlock(&disk->lock);
	return (ssize_t)nbytes;
}

/* A write to inode; the disk is locked.  0 or -errno. */
static int write_locked(struct simdisk *disk, int fd, size_t inode, const void *buf, size_t nbytes,
			off_t offset)
{
	struct simdisk_op op = {
		.kind = OP_WRITE, .inode = inode, .offset = (uint64_t)offset, .nbytes = nbytes
	};
	int r = 0;

	if (simdisk_file_of(disk, fd)->flags & O_PATH ||
	    !(simdisk_file_of(disk, fd)->flags & (O_WRONLY | O_RDWR)))
		return -EBADF;
	r = simdisk_cut_point(disk);
	if (r < 0)
		return r;
	op.data = simdisk_alloc(NULL, nbytes);
	memcpy(op.data, buf, nbytes);
	log_perform(disk, &op);
	return 0;
}

static ssize_t sim_pwrite(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
			  off_t offset)
{
	struct simdisk *disk = simdisk_of(io);
	size_t inode;
	int r = 0;

	if (!simdisk_begin(disk, fd, &inode, &r))
		return r;
	r = simdisk_end(disk, write_locked(disk, fd, inode, buf, nbytes, offset));
	return r < 0 ? r : (ssize_t)nbytes;
}

static ssize_t sim_pwrite_dsync(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
				off_t offset)
{
	struct simdisk *disk = simdisk_of(io);
	size_t inode;
	int r = 0;

	if (!simdisk_begin(disk, fd, &inode, &r))
		return r;
	r = write_locked(disk, fd, inode, buf, nbytes, offset);
	if (r == 0)
		r = simdisk_cut_point(disk); /* it is on its way */
	if (r == 0)
		log_sync_newest(disk);
	pthread_mutex_unlock(&disk->lock);
	return r < 0 ? r : (ssize_t)nbytes;
}

static int sync_fd(const struct bmf_io *io, int fd, bool data_only)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int r = 0;

	node = simdisk_begin(disk, fd, &inode, &r);
	if (!node)
		return r;
	r = simdisk_file_of(disk, fd)->flags & O_PATH ? -EBADF : simdisk_cut_point(disk);
	if (r == 0 && disk->sick == node->handle) {
		disk->sick = 0;
		log_lose_inode(disk, inode);
		r = -EIO;
	}
	if (r == 0)
		log_sync_inode(disk, inode, data_only);
	return simdisk_end(disk, r);
}

static int sim_fsync(const struct bmf_io *io, int fd)
{
	return sync_fd(io, fd, false);
}

static int sim_fdatasync(const struct bmf_io *io, int fd)
{
	return sync_fd(io, fd, true);
}

static int sim_ftruncate(const struct bmf_io *io, int fd, off_t size)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_op op = { .kind = OP_TRUNCATE, .offset = (uint64_t)size };
	int r = 0;

	if (!simdisk_begin(disk, fd, &op.inode, &r))
		return r;
	return simdisk_end(disk, simdisk_change(disk, &op));
}

static int sim_fallocate(const struct bmf_io *io, int fd, int mode, off_t offset, off_t nbytes)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_op op = { .kind = OP_ZERO, .offset = (uint64_t)offset };
	uint64_t to = (uint64_t)(offset + nbytes);
	const struct simdisk_inode *node;
	int r = 0;

	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return -EOPNOTSUPP;
	node = simdisk_begin(disk, fd, &op.inode, &r);
	if (!node)
		return r;
	if ((mode & FALLOC_FL_KEEP_SIZE) && to > node->live.size)
		to = node->live.size;
	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))) {
		op.kind = OP_TRUNCATE; /* what it gives space to already reads as zeros */
		op.offset = to > node->live.size ? to : node->live.size;
	} else if (to <= op.offset) {
		return simdisk_end(disk, 0);
	}
	op.nbytes = op.kind == OP_ZERO ? to - op.offset : 0;
	return simdisk_end(disk, simdisk_change(disk, &op));
}

static ssize_t sim_copy_file_range(const struct bmf_io *io, int fd_in, off_t offset_in, int fd_out,
				   off_t offset_out, size_t nbytes)
{
	uint8_t *buf = simdisk_alloc(NULL, nbytes);
	ssize_t n = sim_pread(io, fd_in, buf, nbytes, offset_in);

	if (n > 0)
		n = sim_pwrite(io, fd_out, buf, (size_t)n, offset_out);
	free(buf);
	return n;
}

/* ---- metadata ---- */

static struct timespec time_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

static int sim_fstat(const struct bmf_io *io, int fd, struct stat *ret)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int r = 0;

	node = simdisk_begin(disk, fd, &inode, &r);
	if (!node)
		return r;
	*ret = (struct stat){
		.st_dev = 77,
		.st_ino = inode + 1,
		.st_mode = node->mode,
		.st_nlink = 1,
		.st_size = (off_t)node->live.size,
		.st_blksize = 4096,
		.st_mtim = time_of(node->live.mtime_ns),
		.st_ctim = time_of(node->live.ctime_ns),
	};
	return simdisk_end(disk, 0);
}

static ssize_t sim_fgetxattr(const struct bmf_io *io, int fd, const char *name, void *buf,
			     size_t nbytes)
{
	struct simdisk *disk = simdisk_of(io);
	const struct content *content;
	struct simdisk_inode *node;
	size_t inode;
	int r = 0;

	node = simdisk_begin(disk, fd, &inode, &r);
	if (!node)
		return r;
	content = &node->live;
	r = -ENODATA;
	for (size_t i = 0; i < content->nxattrs; i++) {
		if (strcmp(content->xattrs[i].name, name) != 0)
			continue;
		r = content->xattrs[i].nbytes > nbytes ? -ERANGE : (int)content->xattrs[i].nbytes;
		if (r > 0)
			memcpy(buf, content->xattrs[i].value, (size_t)r);
	}
	return simdisk_end(disk, r);
}

static int sim_fsetxattr(const struct bmf_io *io, int fd, const char *name, const void *buf,
			 size_t nbytes, int flags)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_op op = { .kind = OP_XATTR, .nbytes = nbytes };
	int r = 0;

	(void)flags;
	if (strlen(name) >= NAME_NBYTES || nbytes > VALUE_NBYTES)
		return -ENOSPC;
	if (!simdisk_begin(disk, fd, &op.inode, &r))
		return r;
	r = simdisk_cut_point(disk);
	if (r == 0) {
		simdisk_set_name(op.name, name);
		op.data = simdisk_alloc(NULL, nbytes);
		memcpy(op.data, buf, nbytes);
		log_perform(disk, &op);
	}
	return simdisk_end(disk, r);
}

static int sim_lock(const struct bmf_io *io, int fd, short type)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int r = 0;

	node = simdisk_begin(disk, fd, &inode, &r);
	if (!node)
		return r;
	if (node->locked_by && node->locked_by != fd)
		r = -EAGAIN;
	else
		node->locked_by = type == F_UNLCK ? 0 : fd;
	return simdisk_end(disk, r);
}

static ssize_t sim_file_handle(const struct bmf_io *io, int fd, void *buf, size_t nbytes)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int r = 0;

	node = simdisk_begin(disk, fd, &inode, &r);
	if (!node)
		return r;
	if (nbytes >= sizeof(node->handle))
		memcpy(buf, &node->handle, sizeof(node->handle));
	return simdisk_end(disk, sizeof(node->handle));
}

static int64_t sim_now_ns(const struct bmf_io *io)
{
	struct simdisk *disk = simdisk_of(io);
	int64_t now;

	pthread_mutex_lock(&disk->lock);
	now = disk->clock_ns;
	pthread_mutex_unlock(&disk->lock);
	return now;
}

const struct bmf_io simdisk_io = {
	.openat = simdisk_openat,
	.close = sim_close,
	.reopen = sim_reopen,
	.pread = sim_pread,
	.pwrite = sim_pwrite,
	.pwrite_dsync = sim_pwrite_dsync,
	.fsync = sim_fsync,
	.fdatasync = sim_fdatasync,
	.ftruncate = sim_ftruncate,
	.fallocate = sim_fallocate,
	.copy_file_range = sim_copy_file_range,
	.renameat = simdisk_renameat,
	.unlinkat = simdisk_unlinkat,
	.mkdirat = simdisk_mkdirat,
	.fstat = sim_fstat,
	.fgetxattr = sim_fgetxattr,
	.fsetxattr = sim_fsetxattr,
	.lock = sim_lock,
	.each_name = simdisk_each_name,
	.file_handle = sim_file_handle,
	.now_ns = sim_now_ns,
};

int simdisk_root(struct simdisk *disk)
{
	int fd;

	pthread_mutex_lock(&disk->lock);
	fd = simdisk_open_file(disk, SIMDISK_ROOT, O_RDONLY | O_DIRECTORY);
	pthread_mutex_unlock(&disk->lock);
	return fd;
}

uint64_t simdisk_handle(const struct simdisk *disk, int fd)
{
	const struct simdisk_file *file = simdisk_file_of(disk, fd);

	return file ? disk->inodes[file->inode]->handle : 0;
}

void simdisk_evict(struct simdisk *disk, int fd)
{
	const struct simdisk_file *file;
	struct simdisk_inode *node;
	bool clean = true;

	pthread_mutex_lock(&disk->lock);
	file = simdisk_file_of(disk, fd);
	for (size_t i = 0; i < disk->nops; i++)
		clean = clean && disk->ops[i].inode != file->inode;
	node = disk->inodes[file->inode];
	if (clean) {
		content_resize(&node->live, node->durable.size);
		if (node->durable.size > 0) /* or there is no data to point to */
			memcpy(node->live.data, node->durable.data, node->durable.size);
	}
	pthread_mutex_unlock(&disk->lock);
}

size_t simdisk_open_fds(const struct simdisk *disk)
{
	size_t n = 0;

	for (size_t i = 0; i < disk->nfiles; i++)
		n += disk->files[i].open;
	return n;
}

struct simdisk *simdisk_new(void)
{
	struct simdisk *disk = simdisk_bare();

	simdisk_new_inode(disk, S_IFDIR | 0700);
	return disk;
}
