/* SPDX-License-Identifier: GPL-2.0-or-later */
/* handle.c - what the kernel's file handles stand for: open files and directories */
#include "config.h"

#include "fs/handle.h"

#include "bitmapfile/tracker.h"
#include "fs/fs.h"
#include "fs/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void mfs_handles_init(struct mfs_handles *handles)
{
	pthread_mutex_init(&handles->lock, NULL);
	handles->first = NULL;
}

static void handle_free(struct mfs_handle *handle)
{
	if (handle->dir)
		closedir(handle->dir);
	else
		close(handle->fd);
	if (handle->cached_fd >= 0)
		close(handle->cached_fd);
	if (handle->tracker)
		bmf_tracker_closed(handle->tracker);
	bmf_tracker_put(handle->tracker);
	pthread_mutex_destroy(&handle->lock);
	free(handle);
}

/* Its node no longer counts the file. */
static void forget_direct_io(struct mfs *fs, struct mfs_handle *handle)
{
	pthread_mutex_lock(&fs->nodes.lock);
	if (handle->direct_io == MFS_DIRECT_IO)
		handle->node->ndirect--;
	else if (handle->direct_io == MFS_CACHED)
		handle->node->ncached--;
	pthread_mutex_unlock(&fs->nodes.lock);
}

bool mfs_handle_direct_io(struct mfs *fs, struct mfs_handle *handle)
{
	struct mfs_node *node = handle->node;
	bool yes = handle->direct;

	pthread_mutex_lock(&fs->nodes.lock);
	if (!fs->direct_io_mixes && node->ncached + node->ndirect > 0)
		yes = node->ndirect > 0;
	if (yes)
		node->ndirect++;
	else
		node->ncached++;
	handle->direct_io = yes ? MFS_DIRECT_IO : MFS_CACHED;
	pthread_mutex_unlock(&fs->nodes.lock);
	return yes;
}

void mfs_handles_destroy(struct mfs_handles *handles)
{
	struct mfs_handle *handle;

	while ((handle = handles->first)) {
		handles->first = handle->next;
		handle_free(handle);
	}
	pthread_mutex_destroy(&handles->lock);
}

static void handle_add(struct mfs_handles *handles, struct mfs_handle *handle)
{
	pthread_mutex_lock(&handles->lock);
	handle->next = handles->first;
	if (handle->next)
		handle->next->prev = handle;
	handles->first = handle;
	pthread_mutex_unlock(&handles->lock);
}

int mfs_handle_new(struct mfs *fs, struct mfs_node *node, int fd, int flags,
		   struct mfs_handle **ret)
{
	struct mfs_handle *handle = calloc(1, sizeof(*handle));
	int r = handle ? 0 : -ENOMEM;

	if (r == 0 && (flags & O_ACCMODE) != O_RDONLY)
		r = mfs_image_track(fs, node, &handle->tracker);
	if (r < 0) {
		free(handle);
		close(fd);
		return r;
	}
	handle->node = node;
	handle->fd = fd;
	handle->flags = flags;
	handle->direct = flags & O_DIRECT;
	handle->cached_fd = -1;
	pthread_mutex_init(&handle->lock, NULL);
	if (handle->tracker)
		bmf_tracker_opened(handle->tracker);
	handle_add(&fs->handles, handle);
	*ret = handle;
	return 0;
}

int mfs_handle_open(struct mfs *fs, struct mfs_node *node, int flags, struct mfs_handle **ret)
{
	int fd = mfs_node_open(node, flags);

	return fd < 0 ? fd : mfs_handle_new(fs, node, fd, flags, ret);
}

void mfs_handle_close(struct mfs *fs, struct mfs_handle *handle)
{
	struct mfs_handles *handles = &fs->handles;

	pthread_mutex_lock(&handles->lock);
	if (handle->prev)
		handle->prev->next = handle->next;
	else
		handles->first = handle->next;
	if (handle->next)
		handle->next->prev = handle->prev;
	pthread_mutex_unlock(&handles->lock);
	if (handle->direct_io != MFS_NOT_ASKED)
		forget_direct_io(fs, handle);
	handle_free(handle);
}

int mfs_handle_fd(struct mfs_handle *handle, int request_flags)
{
	int fd;

	if (!handle->direct || (request_flags & O_DIRECT))
		return handle->fd;
	pthread_mutex_lock(&handle->lock);
	if (handle->cached_fd < 0) {
		fd = mfs_node_open(handle->node, handle->flags & ~O_DIRECT);
		if (fd >= 0)
			handle->cached_fd = fd;
	} else {
		fd = handle->cached_fd;
	}
	pthread_mutex_unlock(&handle->lock);
	return fd;
}
