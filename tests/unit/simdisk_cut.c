/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simdisk_cut.c - disks that a power cut may leave */
#include "config.h"

#include "tests/unit/rng.h"
#include "tests/unit/simdisk_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_NS INT64_C(1700000000000000000)

struct simdisk *simdisk_bare(void)
{
	struct simdisk *disk = calloc(1, sizeof(*disk));

	if (!disk)
		abort();
	disk->io = simdisk_io;
	disk->clock_ns = BEGIN_NS;
	pthread_mutex_init(&disk->lock, NULL);
	return disk;
}

void simdisk_free(struct simdisk *disk)
{
	for (size_t i = 0; i < disk->ninodes; i++) {
		content_destroy(&disk->inodes[i]->live);
		content_destroy(&disk->inodes[i]->durable);
		free(disk->inodes[i]);
	}
	for (size_t i = 0; i < disk->nops; i++)
		free(disk->ops[i].data);
	free(disk->inodes);
	free(disk->ops);
	free(disk->files);
	pthread_mutex_destroy(&disk->lock);
	free(disk);
}

size_t simdisk_pending(const struct simdisk *disk)
{
	return disk->nops;
}

const char *simdisk_describe(const struct simdisk *disk, size_t i)
{
	static const char *const kinds[] = {
		[OP_WRITE] = "write",	[OP_ZERO] = "zero",   [OP_TRUNCATE] = "truncate",
		[OP_XATTR] = "xattr",	[OP_LINK] = "create", [OP_UNLINK] = "unlink",
		[OP_RENAME] = "rename",
	};
	static char text[256];
	const struct simdisk_op *op = &disk->ops[i];

	snprintf(text, sizeof(text), "%s of file %" PRIu64 " at %" PRIu64 "+%" PRIu64 " %s %s",
		 kinds[op->kind], disk->inodes[op->inode]->handle, op->offset, op->nbytes, op->name,
		 op->other);
	return text;
}

/* Some sectors of a write, and perhaps garbage instead of the others. */
static void tear(struct simdisk *disk, const struct simdisk_op *op, bool garbage, struct rng *rng)
{
	uint64_t first = op->offset / SIMDISK_SECTOR;
	uint64_t last = (op->offset + op->nbytes - 1) / SIMDISK_SECTOR;

	for (uint64_t sector = 0; sector <= last - first; sector++) {
		uint64_t random[SIMDISK_SECTOR / 8];
		bool kept = rng_below(rng, 2);

		for (size_t i = 0; i < SIMDISK_SECTOR / 8; i++)
			random[i] = rng_next(rng);
		if (kept)
			op_apply_sector(disk, op, sector, NULL);
		else if (garbage && rng_below(rng, 2))
			op_apply_sector(disk, op, sector, (const uint8_t *)random);
	}
}

static void meet_fate(struct simdisk *disk, const struct simdisk_op *op, enum simdisk_fate fate,
		      struct rng *rng)
{
	if (fate == SIMDISK_LOST)
		return;
	if (fate == SIMDISK_KEPT || op->kind != OP_WRITE || op->nbytes == 0)
		op_apply(disk, op, true);
	else
		tear(disk, op, fate == SIMDISK_GARBAGE, rng);
}

struct simdisk *simdisk_after_cut(const struct simdisk *disk, const uint8_t *fates, uint64_t seed)
{
	struct simdisk *after = simdisk_bare();
	struct rng rng = { seed };

	after->clock_ns = disk->clock_ns;
	after->handles = disk->handles;
	after->ninodes = disk->ninodes;
	after->inodes = simdisk_alloc(NULL, disk->ninodes * sizeof(*after->inodes));
	for (size_t i = 0; i < disk->ninodes; i++) {
		const struct simdisk_inode *node = disk->inodes[i];
		struct simdisk_inode *copy = calloc(1, sizeof(*copy));

		if (!copy)
			abort();
		copy->handle = node->handle;
		copy->mode = node->mode;
		content_copy(&copy->durable, &node->durable);
		after->inodes[i] = copy;
	}
	for (size_t i = 0; i < disk->nops; i++)
		meet_fate(after, &disk->ops[i], (enum simdisk_fate)fates[i], &rng);
	for (size_t i = 0; i < after->ninodes; i++) {
		struct simdisk_inode *copy = after->inodes[i];

		if (rng_below(&rng, 2)) {
			copy->durable.mtime_ns = disk->inodes[i]->live.mtime_ns;
			copy->durable.ctime_ns = disk->inodes[i]->live.ctime_ns;
		}
		content_copy(&copy->live, &copy->durable);
	}
	return after;
}
