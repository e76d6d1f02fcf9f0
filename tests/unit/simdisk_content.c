/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simdisk_content.c - files and directories in memory, and operations carried out on them */
#include "config.h"

#include "tests/unit/simdisk_internal.h"

#include <stdlib.h>
#include <string.h>

void *simdisk_alloc(void *old, size_t nbytes)
{
	void *p = realloc(old, nbytes ? nbytes : 1);

	if (!p)
		abort();
	return p;
}

void simdisk_set_name(char to[NAME_NBYTES], const char *from)
{
	memcpy(to, from, strlen(from) + 1);
}

void content_destroy(struct content *content)
{
	free(content->data);
	free(content->entries);
}

void content_copy(struct content *to, const struct content *from)
{
	*to = *from;
	to->capacity = from->size;
	to->data = simdisk_alloc(NULL, from->size);
	if (from->size)
		memcpy(to->data, from->data, from->size);
	to->entries = simdisk_alloc(NULL, from->nentries * sizeof(*to->entries));
	if (from->nentries)
		memcpy(to->entries, from->entries, from->nentries * sizeof(*to->entries));
}

void content_resize(struct content *content, size_t size)
{
	if (size > content->capacity) {
		content->capacity = size + size / 4;
		content->data = simdisk_alloc(content->data, content->capacity);
	}
	if (size > content->size)
		memset(content->data + content->size, 0, size - content->size);
	content->size = size;
}

struct entry *content_find(struct content *dir, const char *name)
{
	for (size_t i = 0; i < dir->nentries; i++)
		if (strcmp(dir->entries[i].name, name) == 0)
			return &dir->entries[i];
	return NULL;
}

static void set_name(struct content *dir, const char *name, size_t inode)
{
	struct entry *entry = content_find(dir, name);

	if (!entry) {
		dir->entries =
			simdisk_alloc(dir->entries, (dir->nentries + 1) * sizeof(*dir->entries));
		entry = &dir->entries[dir->nentries++];
		simdisk_set_name(entry->name, name);
	}
	entry->inode = inode;
}

/* Only if it leads there: of a subset of operations, another may have taken its place. */
static void remove_name(struct content *dir, const char *name, size_t inode)
{
	struct entry *entry = content_find(dir, name);

	if (entry && entry->inode == inode)
		*entry = dir->entries[--dir->nentries];
}

static void set_xattr(struct content *content, const struct simdisk_op *op)
{
	size_t i = 0;

	while (i < content->nxattrs && strcmp(content->xattrs[i].name, op->name) != 0)
		i++;
	if (i == XATTRS_MAX)
		abort();
	if (i == content->nxattrs)
		content->nxattrs++;
	simdisk_set_name(content->xattrs[i].name, op->name);
	memcpy(content->xattrs[i].value, op->data, op->nbytes);
	content->xattrs[i].nbytes = op->nbytes;
}

static struct content *content_of(struct simdisk *disk, size_t inode, bool durable)
{
	return durable ? &disk->inodes[inode]->durable : &disk->inodes[inode]->live;
}

static void grow(struct content *content, uint64_t end)
{
	if (end > content->size)
		content_resize(content, end);
}

void op_apply(struct simdisk *disk, const struct simdisk_op *op, bool durable)
{
	struct content *content = content_of(disk, op->inode, durable);

	switch (op->kind) {
	case OP_WRITE:
		grow(content, op->offset + op->nbytes);
		memcpy(content->data + op->offset, op->data, op->nbytes);
		break;
	case OP_ZERO:
		grow(content, op->offset + op->nbytes);
		memset(content->data + op->offset, 0, op->nbytes);
		break;
	case OP_TRUNCATE:
		content_resize(content, op->offset);
		break;
	case OP_XATTR:
		set_xattr(content, op);
		break;
	case OP_LINK:
		set_name(content, op->name, op->target);
		break;
	case OP_UNLINK:
		remove_name(content, op->name, op->target);
		break;
	case OP_RENAME:
		remove_name(content_of(disk, op->other_dir, durable), op->other, op->target);
		set_name(content, op->name, op->target);
		break;
	}
}

void op_apply_sector(struct simdisk *disk, const struct simdisk_op *op, uint64_t sector,
		     const uint8_t *garbage)
{
	struct content *content = content_of(disk, op->inode, true);
	uint64_t begin = (op->offset / SIMDISK_SECTOR + sector) * SIMDISK_SECTOR;
	uint64_t end = begin + SIMDISK_SECTOR, written_end = op->offset + op->nbytes;

	if (garbage) {
		/* the whole sector, also what was there before, within the file */
		grow(content, end < written_end ? end : written_end);
		if (end > content->size)
			end = content->size;
		memcpy(content->data + begin, garbage, end - begin);
		return;
	}
	if (begin < op->offset)
		begin = op->offset;
	if (end > written_end)
		end = written_end;
	grow(content, end);
	memcpy(content->data + begin, op->data + (begin - op->offset), end - begin);
}
