/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simdisk_log.c - the operations of a simulated disk that are not durable yet
 *
 * Each is carried out on the live contents and appended to the log; a sync carries out what it
 * covers on the durable contents too, in the order of the log, and takes it out of there.
 */
#include "config.h"

#include "tests/unit/simdisk_internal.h"

#include <stdlib.h>
#include <string.h>

static void changed(struct simdisk *disk, size_t inode, bool data)
{
	struct content *content = &disk->inodes[inode]->live;

	content->ctime_ns = disk->clock_ns;
	if (data)
		content->mtime_ns = disk->clock_ns;
}

void log_perform(struct simdisk *disk, const struct simdisk_op *op)
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

static bool concerns(const struct simdisk_op *op, size_t inode)
{
	return op->inode == inode || (op->kind == OP_RENAME && op->other_dir == inode);
}

void log_sync_inode(struct simdisk *disk, size_t inode, bool data_only)
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

void log_lose_inode(struct simdisk *disk, size_t inode)
{
	for (size_t i = 0; i < disk->nops;) {
		if (disk->ops[i].inode == inode && !op_is_of_name(&disk->ops[i]))
			forget_op(disk, i);
		else
			i++;
	}
}

static bool overlap(const struct simdisk_op *a, const struct simdisk_op *b)
{
	if (a->inode != b->inode || op_is_of_name(b) || b->kind == OP_XATTR)
		return false;
	return b->kind == OP_TRUNCATE ||
	       (a->offset < b->offset + b->nbytes && b->offset < a->offset + a->nbytes);
}

void log_sync_newest(struct simdisk *disk)
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
