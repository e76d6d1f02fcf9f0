/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source_listed.c - the images of a snapshot, as its daemon has them open */
#include "config.h"

#include "tools/source_listed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static int compare(const void *a, const void *b)
{
	const struct mfs_control_listed *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static int append(struct source_listed *listed, const struct mfs_control_snapshot_images *more)
{
	struct mfs_control_listed *images;
	size_t n = more->n <= MFS_CONTROL_IMAGES ? more->n : MFS_CONTROL_IMAGES;

	images = reallocarray(listed->images, listed->n + n + 1, sizeof(*images));
	if (!images)
		return -ENOMEM;
	memcpy(images + listed->n, more->listed, n * sizeof(*images));
	listed->images = images;
	listed->n += n;
	return 0;
}

int source_listed_read(int mount_fd, const char *snapshot, struct source_listed *ret)
{
	struct mfs_control_snapshot_images message = { .version = MFS_CONTROL_VERSION };
	struct source_listed listed = { 0 };
	int r;

	snprintf(message.name, sizeof(message.name), "%s", snapshot);
	do {
		r = ioctl(mount_fd, MFS_CONTROL_SNAPSHOT_IMAGES, &message) < 0 ? -errno : 0;
		if (r == 0)
			r = append(&listed, &message);
	} while (r == 0 && message.next != 0);
	if (r < 0) {
		source_listed_destroy(&listed);
		return r;
	}
	qsort(listed.images, listed.n, sizeof(*listed.images), compare);
	*ret = listed;
	return 0;
}

void source_listed_destroy(struct source_listed *listed)
{
	free(listed->images);
	*listed = (struct source_listed){ 0 };
}

const struct mfs_control_listed *source_listed_find(const struct source_listed *listed,
						    uint64_t inode)
{
	const struct mfs_control_listed key = { .inode = inode };

	return listed->n > 0 ? bsearch(&key, listed->images, listed->n, sizeof(key), compare)
			     : NULL;
}
