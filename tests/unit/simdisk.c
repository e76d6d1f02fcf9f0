/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simdisk.c - the io table of a simulated disk
 *
 * Every operation that changes something is carried out on the live contents and appended to
 * the log; a sync carries out what it covers on the durable contents too, in the
 * order of the log, and takes it out of there.
 */
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
#define ROOT 0

static struct simdisk *disk_of(const struct bmf_io *io)
{
	return (struct simdisk *)((char *)(uintptr_t)io - offsetof(struct simdisk, io));
}

/* ---- descriptors ---- */

static struct simdisk_file *file_of(const struct simdisk *disk, int fd)
{
	size_t i = (size_t)fd - FIRST_FD;

	return fd >= FIRST_FD && i < disk->nfiles && disk->files[i].open ? &disk->files[i] : NULL;
}

static int open_file(struct simdisk *disk, size_t inode, int flags)
{
	size_t i = 0;

	while (i < disk->nfiles && disk->files[i].open)
		i++;
	if (i == disk->nfiles)
		disk->files = simdisk_alloc(disk->files, ++disk->nfiles * sizeof(*disk->files));
	disk->files[i] = (struct simdisk_file){ .inode = inode, .open = true, .flags = flags };
	return FIRST_FD + (int)i;
}

/*
 * Locks the disk and finds the inode of a descriptor.  NULL with *ret_error set and
 * the disk not locked, when there is none or the power is off.
 */
static struct simdisk_inode *begin(struct simdisk *disk, int fd, size_t *ret_inode, int *ret_error)
{
	const struct simdisk_file *file;

	pthread_mutex_lock(&disk->lock);
	disk->clock_ns += TICK_NS;
	file = file_of(disk, fd);
	if (file && !disk->off) {
		*ret_inode = file->inode;
		return disk->inodes[file->inode];
	}
	*ret_error = disk->off ? -EIO : -EBADF;
	pthread_mutex_unlock(&disk->lock);
	return NULL;
}

static int end(struct simdisk *disk, int result)
{
	pthread_mutex_unlock(&disk->lock);
	return result;
}

/* A moment at which a cut makes a difference.  0, or -EIO after one. */
static int cut_point(struct simdisk *disk)
{
	disk->calls++;
	if (disk->hook)
		disk->hook(disk, disk->hook_arg);
	return disk->off ? -EIO : 0;
}

/* ---- the log ---- */

static void changed(struct simdisk *disk, size_t inode, bool data)
{
	struct content *content = &disk->inodes[inode]->live;

	content->ctime_ns = disk->clock_ns;
	if (data)
		content->mtime_ns = disk->clock_ns;
}

/* Carries out an operation, and notes that it isn't durable.  Takes over op->data. */
static void perform(struct simdisk *disk, const struct simdisk_op *op)
{
	op_apply(disk, op, false);
	changed(disk, op->inode, op->kind != OP_XATTR);
	if (op->kind == OP_LINK || op->kind == OP_UNLINK || op->kind == OP_RENAME)
		changed(disk, op->target, false);
	if (disk->nops == disk->ops_capacity) {
		disk->ops_capacity = disk->ops_capacity * 2 + 16;
		disk->ops = simdisk_alloc(disk->ops, disk->ops_capacity * sizeof(*disk->ops));
	}
	disk->ops[disk->nops++] = *op;
}

static void forget_op(struct simdisk *disk, size_t i)
{
	free(disk->ops[i].data);
	memmove(&disk->ops[i], &disk->ops[i + 1], (--disk->nops - i) * sizeof(*disk->ops));
}

static bool is_of_name(const struct simdisk_op *op)
{
	return op->kind >= OP_LINK;
}

static bool concerns(const struct simdisk_op *op, size_t inode)
{
	return op->inode == inode || (op->kind == OP_RENAME && op->other_dir == inode);
}

/* Makes everything that is pending for the inode durable; data_only: but for its xattrs. */
static void sync_inode(struct simdisk *disk, size_t inode, bool data_only)
{
	struct simdisk_inode *node = disk->inodes[inode];

	for (size_t i = 0; i < disk->nops;) {
		if (!concerns(&disk->ops[i], inode) ||
		    (data_only && disk->ops[i].kind == OP_XATTR)) {
			i++;
			continue;
		}
		op_apply(disk, &disk->ops[i], true);
		forget_op(disk, i);
	}
	if (!data_only) {
		node->durable.mtime_ns = node->live.mtime_ns;
		node->durable.ctime_ns = node->live.ctime_ns;
	}
}

/* A disk that could not take the data: it is lost, and yet the cache goes on to show it. */
static void lose_inode(struct simdisk *disk, size_t inode)
{
	for (size_t i = 0; i < disk->nops;) {
		if (disk->ops[i].inode == inode && !is_of_name(&disk->ops[i]))
			forget_op(disk, i);
		else
			i++;
	}
}

static bool overlap(const struct simdisk_op *a, const struct simdisk_op *b)
{
	if (a->inode != b->inode || is_of_name(b) || b->kind == OP_XATTR)
		return false;
	return b->kind == OP_TRUNCATE ||
	       (a->offset < b->offset + b->nbytes && b->offset < a->offset + a->nbytes);
}

/*
 * Makes the newest operation durable, alone.  Older ones that it overlaps go with it, since the
 * cache holds only what is newest; and what these overlap, too.
 */
static void sync_newest(struct simdisk *disk)
{
	size_t n = disk->nops;
	bool *covered = calloc(n, sizeof(*covered));

	if (!covered)
		abort();
	covered[n - 1] = true;
	for (size_t i = n - 1; i-- > 0;)
		for (size_t j = i + 1; j < n && !covered[i]; j++)
			covered[i] = covered[j] && overlap(&disk->ops[j], &disk->ops[i]);
	for (size_t i = 0, at = 0; i < n; i++) {
		if (!covered[i]) {
			at++;
			continue;
		}
		op_apply(disk, &disk->ops[at], true);
		forget_op(disk, at);
	}
	free(covered);
}

/* ---- files ---- */

static size_t new_inode(struct simdisk *disk, mode_t mode)
{
	struct simdisk_inode *node = calloc(1, sizeof(*node));
	bool *used = calloc(disk->ninodes + 1, sizeof(*used));
	size_t number = 0;

	if (!node || !used)
		abort();
	/* what a name, an operation or a descriptor leads to is in use */
	used[ROOT] = true;
	for (size_t i = 0; i < disk->ninodes; i++) {
		const struct simdisk_inode *dir = disk->inodes[i];

		for (size_t e = 0; e < dir->live.nentries; e++)
			used[dir->live.entries[e].inode] = true;
		for (size_t e = 0; e < dir->durable.nentries; e++)
			used[dir->durable.entries[e].inode] = true;
	}
	for (size_t i = 0; i < disk->nops; i++) {
		used[disk->ops[i].inode] = true;
		if (is_of_name(&disk->ops[i]))
			used[disk->ops[i].target] = true;
	}
	for (size_t i = 0; i < disk->nfiles; i++)
		if (disk->files[i].open)
			used[disk->files[i].inode] = true;
	while (number < disk->ninodes && used[number])
		number++;
	free(used);
	if (number == disk->ninodes) {
		disk->inodes = simdisk_alloc(disk->inodes, ++disk->ninodes * sizeof(*disk->inodes));
	} else {
		content_destroy(&disk->inodes[number]->live);
		content_destroy(&disk->inodes[number]->durable);
		free(disk->inodes[number]);
	}
	node->handle = ++disk->handles;
	node->mode = mode;
	node->live.mtime_ns = node->live.ctime_ns = disk->clock_ns;
	node->durable.mtime_ns = node->durable.ctime_ns = disk->clock_ns;
	disk->inodes[number] = node;
	return number;
}

static int make_name(struct simdisk *disk, size_t dir, const char *name, mode_t mode)
{
	struct simdisk_op op = { .kind = OP_LINK, .inode = dir };
	int r = cut_point(disk);

	if (r < 0)
		return r;
	if (strlen(name) >= NAME_NBYTES)
		return -ENAMETOOLONG;
	strcpy(op.name, name);
	op.target = new_inode(disk, mode);
	perform(disk, &op);
	return (int)op.target;
}

static int open_in(struct simdisk *disk, size_t dir, const char *name, int flags, mode_t mode)
{
	struct entry *entry = content_find(&disk->inodes[dir]->live, name);
	size_t found = strcmp(name, ".") == 0 ? dir : entry ? entry->inode : 0;
	int made;

	if (found || strcmp(name, ".") == 0) {
		if ((flags & O_CREAT) && (flags & O_EXCL))
			return -EEXIST;
		if ((flags & O_DIRECTORY) && !S_ISDIR(disk->inodes[found]->mode))
			return -ENOTDIR;
		return open_file(disk, found, flags);
	}
	if (!(flags & O_CREAT))
		return -ENOENT;
	made = make_name(disk, dir, name, S_IFREG | mode);
	return made < 0 ? made : open_file(disk, (size_t)made, flags);
}

static int sim_openat(const struct bmf_io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_inode *node;
	size_t dir;
	int error;

	node = begin(disk, dirfd, &dir, &error);
	if (!node)
		return error;
	return end(disk, S_ISDIR(node->mode) ? open_in(disk, dir, name, flags, mode) : -ENOTDIR);
}

static int sim_close(const struct bmf_io *io, int fd)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_file *file;
	struct simdisk_inode *node;

	pthread_mutex_lock(&disk->lock);
	file = file_of(disk, fd); /* also when the power is off */
	if (!file)
		return end(disk, -EBADF);
	node = disk->inodes[file->inode];
	if (node->locked_by == fd)
		node->locked_by = 0;
	file->open = false;
	return end(disk, 0);
}

static int sim_reopen(const struct bmf_io *io, int fd, int flags)
{
	struct simdisk *disk = disk_of(io);
	size_t inode;
	int error;

	if (!begin(disk, fd, &inode, &error))
		return error;
	return end(disk, open_file(disk, inode, flags));
}

static ssize_t sim_pread(const struct bmf_io *io, int fd, void *buf, size_t nbytes, off_t offset)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int error;

	node = begin(disk, fd, &inode, &error);
	if (!node)
		return error;
	if (S_ISDIR(node->mode) || (file_of(disk, fd)->flags & O_PATH))
		return end(disk, S_ISDIR(node->mode) ? -EISDIR : -EBADF);
	if ((size_t)offset >= node->live.size)
		return end(disk, 0);
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
	int r;

	if (file_of(disk, fd)->flags & O_PATH || !(file_of(disk, fd)->flags & (O_WRONLY | O_RDWR)))
		return -EBADF;
	r = cut_point(disk);
	if (r < 0)
		return r;
	op.data = simdisk_alloc(NULL, nbytes);
	memcpy(op.data, buf, nbytes);
	perform(disk, &op);
	return 0;
}

static ssize_t sim_pwrite(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
			  off_t offset)
{
	struct simdisk *disk = disk_of(io);
	size_t inode;
	int r;

	if (!begin(disk, fd, &inode, &r))
		return r;
	r = end(disk, write_locked(disk, fd, inode, buf, nbytes, offset));
	return r < 0 ? r : (ssize_t)nbytes;
}

static ssize_t sim_pwrite_dsync(const struct bmf_io *io, int fd, const void *buf, size_t nbytes,
				off_t offset)
{
	struct simdisk *disk = disk_of(io);
	size_t inode;
	int r;

	if (!begin(disk, fd, &inode, &r))
		return r;
	r = write_locked(disk, fd, inode, buf, nbytes, offset);
	if (r == 0)
		r = cut_point(disk); /* it is on its way */
	if (r == 0)
		sync_newest(disk);
	pthread_mutex_unlock(&disk->lock);
	return r < 0 ? r : (ssize_t)nbytes;
}

static int sync_fd(const struct bmf_io *io, int fd, bool data_only)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int r;

	node = begin(disk, fd, &inode, &r);
	if (!node)
		return r;
	r = file_of(disk, fd)->flags & O_PATH ? -EBADF : cut_point(disk);
	if (r == 0 && disk->sick == node->handle) {
		disk->sick = 0;
		lose_inode(disk, inode);
		r = -EIO;
	}
	if (r == 0)
		sync_inode(disk, inode, data_only);
	return end(disk, r);
}

static int sim_fsync(const struct bmf_io *io, int fd)
{
	return sync_fd(io, fd, false);
}

static int sim_fdatasync(const struct bmf_io *io, int fd)
{
	return sync_fd(io, fd, true);
}

static int change_locked(struct simdisk *disk, const struct simdisk_op *op)
{
	int r = cut_point(disk);

	if (r == 0)
		perform(disk, op);
	return r;
}

static int sim_ftruncate(const struct bmf_io *io, int fd, off_t size)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_op op = { .kind = OP_TRUNCATE, .offset = (uint64_t)size };
	int r;

	if (!begin(disk, fd, &op.inode, &r))
		return r;
	return end(disk, change_locked(disk, &op));
}

static int sim_fallocate(const struct bmf_io *io, int fd, int mode, off_t offset, off_t nbytes)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_op op = { .kind = OP_ZERO, .offset = (uint64_t)offset };
	uint64_t to = (uint64_t)(offset + nbytes);
	const struct simdisk_inode *node;
	int r = 0;

	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return -EOPNOTSUPP;
	node = begin(disk, fd, &op.inode, &r);
	if (!node)
		return r;
	if ((mode & FALLOC_FL_KEEP_SIZE) && to > node->live.size)
		to = node->live.size;
	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))) {
		op.kind = OP_TRUNCATE; /* what it gives space to already reads as zeros */
		op.offset = to > node->live.size ? to : node->live.size;
	} else if (to <= op.offset) {
		return end(disk, 0);
	}
	op.nbytes = op.kind == OP_ZERO ? to - op.offset : 0;
	return end(disk, change_locked(disk, &op));
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

/* ---- names ---- */

static int sim_renameat(const struct bmf_io *io, int olddirfd, const char *oldname, int newdirfd,
			const char *newname)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_op op = { .kind = OP_RENAME };
	const struct simdisk_file *newdir;
	struct entry *entry, *over;
	int r;

	if (!begin(disk, olddirfd, &op.other_dir, &r))
		return r;
	newdir = file_of(disk, newdirfd);
	if (!newdir || strlen(newname) >= NAME_NBYTES)
		return end(disk, newdir ? -ENAMETOOLONG : -EBADF);
	op.inode = newdir->inode;
	entry = content_find(&disk->inodes[op.other_dir]->live, oldname);
	over = content_find(&disk->inodes[op.inode]->live, newname);
	if (!entry)
		return end(disk, -ENOENT);
	if (over && S_ISDIR(disk->inodes[over->inode]->mode))
		return end(disk, -EISDIR);
	op.target = entry->inode;
	strcpy(op.other, oldname);
	strcpy(op.name, newname);
	return end(disk, change_locked(disk, &op));
}

static int sim_unlinkat(const struct bmf_io *io, int dirfd, const char *name, int flags)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_op op = { .kind = OP_UNLINK };
	struct entry *entry;
	int r;

	if (!begin(disk, dirfd, &op.inode, &r))
		return r;
	entry = content_find(&disk->inodes[op.inode]->live, name);
	if (!entry)
		return end(disk, -ENOENT);
	if (S_ISDIR(disk->inodes[entry->inode]->mode) != !!(flags & AT_REMOVEDIR))
		return end(disk, flags & AT_REMOVEDIR ? -ENOTDIR : -EISDIR);
	op.target = entry->inode;
	strcpy(op.name, name);
	return end(disk, change_locked(disk, &op));
}

static int sim_mkdirat(const struct bmf_io *io, int dirfd, const char *name, mode_t mode)
{
	struct simdisk *disk = disk_of(io);
	size_t dir;
	int r;

	if (!begin(disk, dirfd, &dir, &r))
		return r;
	r = content_find(&disk->inodes[dir]->live, name)
		    ? -EEXIST
		    : make_name(disk, dir, name, S_IFDIR | mode);
	return end(disk, r < 0 ? r : 0);
}

static int sim_each_name(const struct bmf_io *io, int dirfd,
			 int (*visit)(const char *name, void *arg), void *arg)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_inode *node;
	struct content copy;
	size_t inode;
	int r = 0;

	node = begin(disk, dirfd, &inode, &r);
	if (!node)
		return r;
	content_copy(&copy, &node->live);
	pthread_mutex_unlock(&disk->lock);
	for (size_t i = 0; r == 0 && i < copy.nentries; i++)
		r = visit(copy.entries[i].name, arg);
	content_destroy(&copy);
	return r;
}

/* ---- metadata ---- */

static struct timespec time_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

static int sim_fstat(const struct bmf_io *io, int fd, struct stat *ret)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int r;

	node = begin(disk, fd, &inode, &r);
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
	return end(disk, 0);
}

static ssize_t sim_fgetxattr(const struct bmf_io *io, int fd, const char *name, void *buf,
			     size_t nbytes)
{
	struct simdisk *disk = disk_of(io);
	const struct content *content;
	struct simdisk_inode *node;
	size_t inode;
	int r = 0;

	node = begin(disk, fd, &inode, &r);
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
	return end(disk, r);
}

static int sim_fsetxattr(const struct bmf_io *io, int fd, const char *name, const void *buf,
			 size_t nbytes, int flags)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_op op = { .kind = OP_XATTR, .nbytes = nbytes };
	int r;

	(void)flags;
	if (strlen(name) >= NAME_NBYTES || nbytes > VALUE_NBYTES)
		return -ENOSPC;
	if (!begin(disk, fd, &op.inode, &r))
		return r;
	r = cut_point(disk);
	if (r == 0) {
		strcpy(op.name, name);
		op.data = simdisk_alloc(NULL, nbytes);
		memcpy(op.data, buf, nbytes);
		perform(disk, &op);
	}
	return end(disk, r);
}

static int sim_lock(const struct bmf_io *io, int fd, short type)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int r = 0;

	node = begin(disk, fd, &inode, &r);
	if (!node)
		return r;
	if (node->locked_by && node->locked_by != fd)
		r = -EAGAIN;
	else
		node->locked_by = type == F_UNLCK ? 0 : fd;
	return end(disk, r);
}

static ssize_t sim_file_handle(const struct bmf_io *io, int fd, void *buf, size_t nbytes)
{
	struct simdisk *disk = disk_of(io);
	struct simdisk_inode *node;
	size_t inode;
	int r = 0;

	node = begin(disk, fd, &inode, &r);
	if (!node)
		return r;
	if (nbytes >= sizeof(node->handle))
		memcpy(buf, &node->handle, sizeof(node->handle));
	return end(disk, sizeof(node->handle));
}

static int64_t sim_now_ns(const struct bmf_io *io)
{
	struct simdisk *disk = disk_of(io);
	int64_t now;

	pthread_mutex_lock(&disk->lock);
	now = disk->clock_ns;
	pthread_mutex_unlock(&disk->lock);
	return now;
}

const struct bmf_io simdisk_io = {
	.openat = sim_openat,
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
	.renameat = sim_renameat,
	.unlinkat = sim_unlinkat,
	.mkdirat = sim_mkdirat,
	.fstat = sim_fstat,
	.fgetxattr = sim_fgetxattr,
	.fsetxattr = sim_fsetxattr,
	.lock = sim_lock,
	.each_name = sim_each_name,
	.file_handle = sim_file_handle,
	.now_ns = sim_now_ns,
};

int simdisk_root(struct simdisk *disk)
{
	int fd;

	pthread_mutex_lock(&disk->lock);
	fd = open_file(disk, ROOT, O_RDONLY | O_DIRECTORY);
	pthread_mutex_unlock(&disk->lock);
	return fd;
}

uint64_t simdisk_handle(const struct simdisk *disk, int fd)
{
	const struct simdisk_file *file = file_of(disk, fd);

	return file ? disk->inodes[file->inode]->handle : 0;
}

void simdisk_evict(struct simdisk *disk, int fd)
{
	const struct simdisk_file *file;
	struct simdisk_inode *node;
	bool clean = true;

	pthread_mutex_lock(&disk->lock);
	file = file_of(disk, fd);
	for (size_t i = 0; i < disk->nops; i++)
		clean = clean && disk->ops[i].inode != file->inode;
	node = disk->inodes[file->inode];
	if (clean) {
		content_resize(&node->live, node->durable.size);
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

	new_inode(disk, S_IFDIR | 0700);
	return disk;
}
