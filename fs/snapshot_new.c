/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot_new.c - the making of a snapshot, up to the moment at which it begins */
#include "config.h"

#include "fs/snapshot_internal.h"

#include "bitmapfile/identity.h"
#include "fs/deadline.h"
#include "fs/fs.h"
#include "fs/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* How long changes of names may have to wait. */
#define READ_TIMEOUT_MS 30000

/*
 * Descriptors beyond that are left to guests' own files: a quarter.  They are given out the
 * lowest first, so the number of a new one tells how many there are.
 */
static int fd_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
		return INT_MAX;
	return (int)(limit.rlim_cur - limit.rlim_cur / 4);
}

static int make_status(struct mfs_snapshot *s)
{
	void *map = MAP_FAILED;

	s->status_fd = memfd_create("mirrorfs-status", MFD_CLOEXEC);
	if (s->status_fd >= 0 && ftruncate(s->status_fd, sizeof(*s->common.broken)) == 0)
		map = mmap(NULL, sizeof(*s->common.broken), PROT_READ | PROT_WRITE, MAP_SHARED,
			   s->status_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	s->common.broken = map;
	return 0;
}

static bool is_whole(const struct mfs *fs, const struct mfs_snapshot_request *request, int fd)
{
	struct bmf_uuid id;

	if (request->nwhole == 0 || bmf_identity_read(fs->io, fd, &id) < 0)
		return false;
	for (size_t i = 0; i < request->nwhole; i++)
		if (bmf_uuid_equal(&id, &request->whole[i]))
			return true;
	return false;
}

static int make_images(struct mfs_snapshot *s, const struct mfs_snapshot_request *request)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->tree->nnodes; i++) {
		struct mfs_snapshot_node *node = s->tree->nodes[i];

		if (!S_ISREG(node->st.st_mode))
			continue;
		r = mfs_snapshot_image_open(&s->common, node->fd,
					    is_whole(s->fs, request, node->fd), &node->image);
		if (r == 0)
			node->fd = -1;
		s->images++;
	}
	return r;
}

bool mfs_snapshot_name_ok(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.:@+";
	size_t length = strlen(name);

	return length > 0 && length <= MFS_SNAPSHOT_NAME_MAX && name[0] != '.' &&
	       strspn(name, allowed) == length;
}

/* Takes its place among all, and its name. */
static int enlist(struct mfs *fs, struct mfs_snapshot *s,
		  const struct mfs_snapshot_request *request)
{
	struct mfs_snapshots *snapshots = &fs->snapshots;
	struct mfs_snapshot **end = &snapshots->first;
	int r;

	pthread_mutex_lock(&snapshots->lock);
	s->id = ++snapshots->next_id;
	if (request->name)
		snprintf(s->name, sizeof(s->name), "%s", request->name);
	else
		snprintf(s->name, sizeof(s->name), ".%llu", (unsigned long long)s->id);
	r = mfs_snapshot_find_locked(fs, s->name) ? -EEXIST
						  : mfs_snapshots_open_preserve_locked(fs);
	s->common.preserve = snapshots->preserve;
	while (r == 0 && *end)
		end = &(*end)->next;
	if (r == 0)
		*end = s;
	pthread_mutex_unlock(&snapshots->lock);
	return r;
}

int mfs_snapshot_new(struct mfs *fs, const struct mfs_snapshot_request *request,
		     struct mfs_snapshot **ret, struct bmf_error *err)
{
	struct mfs_snapshot_tree_limits limits;
	struct mfs_snapshot *s;
	int r;

	if (request->name && !mfs_snapshot_name_ok(request->name))
		return bmf_error_set(err, -EINVAL, "make snapshot: not a name for one");
	s = calloc(1, sizeof(*s));
	if (!s)
		return bmf_error_set(err, -ENOMEM, "make snapshot: out of memory");
	s->fs = fs;
	s->owner = request->owner;
	s->status_fd = -1;
	s->common = (struct mfs_snapshot_common){
		.io = fs->io,
		.block_shift = bmf_source_block_shift(fs->source),
		.fd_max = fd_max(),
		.from = request->from,
		.failed = mfs_snapshot_failed_image,
		.failed_arg = s,
	};
	atomic_init(&s->refs, 1);
	pthread_mutex_init(&s->lock, NULL);
	err->code = 0;
	r = make_status(s);
	if (r == 0)
		r = enlist(fs, s, request);
	if (r < 0) {
		mfs_snapshot_free(s);
		return bmf_error_set(err, r, "make snapshot: %s", mfs_reason(r));
	}
	s->departed = bmf_source_departed(fs->source);
	limits = (struct mfs_snapshot_tree_limits){ .deadline = mfs_deadline(READ_TIMEOUT_MS),
						    .fd_max = s->common.fd_max };
	r = mfs_snapshot_tree_read(fs->io, fs->source_fd, &limits, s, &s->tree, err);
	if (r == 0)
		r = make_images(s, request);
	if (r < 0) {
		if (err->code == 0)
			bmf_error_set(err, r, "make snapshot: %s", mfs_reason(r));
		mfs_snapshot_discard(fs, s);
		return r;
	}
	*ret = s;
	return 0;
}
