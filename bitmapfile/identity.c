/* SPDX-License-Identifier: GPL-2.0-or-later */
/* identity.c - an image's id in its xattr, and the stamp that tells it from a copy */
#include "config.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/le.h"
#include "bitmapfile/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <string.h>
#include <sys/vfs.h>
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

/* Nanoseconds since 1970; a time beyond what fits wraps, and still compares equal. */
static int64_t time_ns(const struct timespec *time)
{
	return (int64_t)((uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec);
}

union handle_buf {
	struct file_handle head;
	uint8_t bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

/*
 * A FUSE filesystem hands out its handles anew at each mount: with them every image
 * would look like a copy after the next one.
 */
static bool has_lasting_handles(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type != FUSE_SUPER_MAGIC;
}

/* A digest of the file's handle; 0 where there is none. */
static uint64_t handle_digest(int fd)
{
	union handle_buf handle = { .head = { .handle_bytes = MAX_HANDLE_SZ } };
	uint8_t input[sizeof(struct le32) + MAX_HANDLE_SZ];
	struct le32 type;
	uint64_t digest;
	int mount_id;

	if (!has_lasting_handles(fd) ||
	    name_to_handle_at(fd, "", &handle.head, &mount_id, AT_EMPTY_PATH) < 0)
		return 0;
	type = le32_make((uint32_t)handle.head.handle_type);
	memcpy(input, &type, sizeof(type));
	memcpy(input + sizeof(type), handle.bytes + offsetof(struct file_handle, f_handle),
	       handle.head.handle_bytes);
	digest = XXH3_64bits(input, sizeof(type) + handle.head.handle_bytes);
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
		.handle = handle_digest(fd),
		.size = (uint64_t)st.st_size,
		.mtime_ns = time_ns(&st.st_mtim),
		.ctime_ns = time_ns(&st.st_ctim),
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
