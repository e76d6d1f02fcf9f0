/* SPDX-License-Identifier: GPL-2.0-or-later */
/* identity.c - an image's id in its xattr, and the stamp that tells it from a copy */
#include "config.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/store.h"

#include <errno.h>
#include <xxhash.h>

int bmf_identity_read(const struct bmf_io *io, int fd, struct bmf_uuid *ret)
{
	char text[BMF_UUID_TEXT];
	struct bmf_uuid id;
	ssize_t got;

	got = io->fgetxattr(io, fd, BMF_XATTR_ID, text, sizeof(text) - 1);
	if (got == -ERANGE) /* longer than an id */
		return -EINVAL;
	if (got < 0)
		return (int)got;
	text[got] = '\0';
	if (bmf_uuid_parse(text, &id) < 0 || bmf_uuid_is_none(&id))
		return -EINVAL;
	*ret = id;
	return 0;
}

int bmf_identity_write(const struct bmf_io *io, int fd, const struct bmf_uuid *id)
{
	char text[BMF_UUID_TEXT];

	bmf_uuid_format(id, text);
	return io->fsetxattr(io, fd, BMF_XATTR_ID, text, BMF_UUID_TEXT - 1, 0);
}

int64_t bmf_stamp_time(const struct timespec *time)
{
	return (int64_t)((uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec);
}

/* A digest of the file's handle; 0 where there is none. */
static uint64_t handle_digest(const struct bmf_io *io, int fd)
{
	uint8_t handle[BMF_FILE_HANDLE_MAX];
	ssize_t nbytes = io->file_handle(io, fd, handle, sizeof(handle));
	uint64_t digest;

	if (nbytes < 0)
		return 0;
	digest = XXH3_64bits(handle, (size_t)nbytes);
	return digest ? digest : 1;
}

int bmf_stamp_take(const struct bmf_io *io, int fd, struct bmf_stamp *ret)
{
	struct stat st;
	int r;

	r = io->fstat(io, fd, &st);
	if (r < 0)
		return r;
	*ret = (struct bmf_stamp){
		.inode = st.st_ino,
		.handle = handle_digest(io, fd),
		.size = (uint64_t)st.st_size,
		.mtime_ns = bmf_stamp_time(&st.st_mtim),
		.ctime_ns = bmf_stamp_time(&st.st_ctim),
	};
	return 0;
}

bool bmf_stamp_same_file(const struct bmf_stamp *a, const struct bmf_stamp *b)
{
	/* a filesystem may gain or lose handles with its mount options or the kernel */
	if (a->handle && b->handle && a->handle != b->handle)
		return false;
	return a->inode == b->inode;
}

bool bmf_stamp_equal(const struct bmf_stamp *a, const struct bmf_stamp *b)
{
	return bmf_stamp_same_file(a, b) && a->size == b->size && a->mtime_ns == b->mtime_ns &&
	       a->ctime_ns == b->ctime_ns;
}
