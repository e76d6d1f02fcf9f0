/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simdisk_names.c - the operations of a simulated disk that are about names */
#include "config.h"

#include "tests/unit/simdisk_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

size_t simdisk_new_inode(struct simdisk *disk, mode_t mode)
{
	struct simdisk_inode *node = calloc(1, sizeof(*node));
	bool *used = calloc(disk->ninodes + 1, sizeof(*used));
	size_t number = 0;

	if (!node || !used)
		abort();
	/* what a name, an operation or a descriptor leads to is in use */
	used[SIMDISK_ROOT] = true;
	for (size_t i = 0; i < disk->ninodes; i++) {
		const struct simdisk_inode *dir = disk->inodes[i];

		for (size_t e = 0; e < dir->live.nentries; e++)
			used[dir->live.entries[e].inode] = true;
		for (size_t e = 0; e < dir->durable.nentries; e++)
			used[dir->durable.entries[e].inode] = true;
	}
	for (size_t i = 0; i < disk->nops; i++) {
		used[disk->ops[i].inode] = true;
		if (op_is_of_name(&disk->ops[i]))
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
	int r = simdisk_cut_point(disk);

	if (r < 0)
		return r;
	if (strlen(name) >= NAME_NBYTES)
		return -ENAMETOOLONG;
	simdisk_set_name(op.name, name);
	op.target = simdisk_new_inode(disk, mode);
	log_perform(disk, &op);
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
		return simdisk_open_file(disk, found, flags);
	}
	if (!(flags & O_CREAT))
		return -ENOENT;
	made = make_name(disk, dir, name, S_IFREG | mode);
	return made < 0 ? made : simdisk_open_file(disk, (size_t)made, flags);
}

int simdisk_openat(const struct bmf_io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_inode *node;
	size_t dir;
	int error = 0;

	node = simdisk_begin(disk, dirfd, &dir, &error);
	if (!node)
		return error;
	return simdisk_end(disk,
			   S_ISDIR(node->mode) ? open_in(disk, dir, name, flags, mode) : -ENOTDIR);
}

int simdisk_renameat(const struct bmf_io *io, int olddirfd, const char *oldname, int newdirfd,
		     const char *newname)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_op op = { .kind = OP_RENAME };
	const struct simdisk_file *newdir;
	struct entry *entry, *over;
	int r = 0;

	if (!simdisk_begin(disk, olddirfd, &op.other_dir, &r))
		return r;
	newdir = simdisk_file_of(disk, newdirfd);
	if (!newdir || strlen(newname) >= NAME_NBYTES)
		return simdisk_end(disk, newdir ? -ENAMETOOLONG : -EBADF);
	op.inode = newdir->inode;
	entry = content_find(&disk->inodes[op.other_dir]->live, oldname);
	over = content_find(&disk->inodes[op.inode]->live, newname);
	if (!entry)
		return simdisk_end(disk, -ENOENT);
	if (over && S_ISDIR(disk->inodes[over->inode]->mode))
		return simdisk_end(disk, -EISDIR);
	op.target = entry->inode;
	simdisk_set_name(op.other, oldname);
	simdisk_set_name(op.name, newname);
	return simdisk_end(disk, simdisk_change(disk, &op));
}

int simdisk_unlinkat(const struct bmf_io *io, int dirfd, const char *name, int flags)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_op op = { .kind = OP_UNLINK };
	struct entry *entry;
	int r = 0;

	if (!simdisk_begin(disk, dirfd, &op.inode, &r))
		return r;
	entry = content_find(&disk->inodes[op.inode]->live, name);
	if (!entry)
		return simdisk_end(disk, -ENOENT);
	if (S_ISDIR(disk->inodes[entry->inode]->mode) != !!(flags & AT_REMOVEDIR))
		return simdisk_end(disk, flags & AT_REMOVEDIR ? -ENOTDIR : -EISDIR);
	op.target = entry->inode;
	simdisk_set_name(op.name, name);
	return simdisk_end(disk, simdisk_change(disk, &op));
}

int simdisk_mkdirat(const struct bmf_io *io, int dirfd, const char *name, mode_t mode)
{
	struct simdisk *disk = simdisk_of(io);
	size_t dir;
	int r = 0;

	if (!simdisk_begin(disk, dirfd, &dir, &r))
		return r;
	r = content_find(&disk->inodes[dir]->live, name)
		    ? -EEXIST
		    : make_name(disk, dir, name, S_IFDIR | mode);
	return simdisk_end(disk, r < 0 ? r : 0);
}

int simdisk_each_name(const struct bmf_io *io, int dirfd, int (*visit)(const char *name, void *arg),
		      void *arg)
{
	struct simdisk *disk = simdisk_of(io);
	struct simdisk_inode *node;
	struct content copy;
	size_t inode;
	int r = 0;

	node = simdisk_begin(disk, dirfd, &inode, &r);
	if (!node)
		return r;
	content_copy(&copy, &node->live);
	pthread_mutex_unlock(&disk->lock);
	for (size_t i = 0; r == 0 && i < copy.nentries; i++)
		r = visit(copy.entries[i].name, arg);
	content_destroy(&copy);
	return r;
}
