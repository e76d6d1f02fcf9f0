/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.c - the state directory: opening it, its lock, and the documents in it
 *
 * Everything here is opened by name below a descriptor and never through a
 * symlink, so that nobody who can write to the source can lead the owner of its
 * state elsewhere.
 */
#include "config.h"

#include "bitmapfile/format.h"
#include "bitmapfile/state_internal.h"
#include "bitmapfile/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define STATE_PATH BMF_STATE_DIR "/" BMF_STATE_NAME
#define SESSIONS_PATH BMF_STATE_DIR "/" BMF_SESSIONS_NAME
#define BITMAPS_PATH BMF_STATE_DIR "/" BMF_BITMAPS_NAME

/* Far more than any state takes: bounds what a wrong file in its place can cost. */
#define STATE_NBYTES_MAX (64u << 20)

#define SIDECAR_PATH_NBYTES (sizeof(BITMAPS_PATH) + BMF_UUID_TEXT)

/* ---- directories ---- */

static int open_failed(const char *path, int code, struct bmf_error *err)
{
	if (code == -ENOTDIR || code == -ELOOP)
		return bmf_error_set(err, code,
				     "open '%s': not a directory; move it out of the way", path);
	return bmf_error_set(err, code, "open '%s': %s", path, bmf_errno_text(code));
}

/*
 * Opens a directory, and makes it with BMF_STORE_CREATE.  Then its name is made durable
 * even if it was there: whoever made it may have been killed before that.
 */
static int open_dir(const struct bmf_io *io, int parent_fd, const char *name, const char *path,
		    unsigned int flags, struct bmf_error *err)
{
	int fd, r;

	if (flags & BMF_STORE_CREATE) {
		r = io->mkdirat(io, parent_fd, name, 0700);
		if (r < 0 && r != -EEXIST)
			return bmf_error_set(err, r, "make '%s': %s", path, bmf_errno_text(r));
		r = io->fsync(io, parent_fd);
		if (r < 0)
			return bmf_error_set(err, r, "make '%s': %s", path, bmf_errno_text(r));
	}
	fd = io->openat(io, parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? open_failed(path, fd, err) : fd;
}

static void close_if_open(const struct bmf_io *io, int fd)
{
	if (fd >= 0)
		io->close(io, fd);
}

int bmf_store_open(const struct bmf_io *io, int source_fd, unsigned int flags, const char *holder,
		   struct bmf_store **ret, struct bmf_error *err)
{
	struct bmf_store *store = malloc(sizeof(*store));
	int r = 0;

	if (!store)
		return bmf_error_set(err, -ENOMEM, "open '%s': out of memory", BMF_STATE_DIR);
	*store = (struct bmf_store){
		.io = io,
		.source_fd = source_fd,
		.dir_fd = -1,
		.bitmaps_fd = -1,
		.lock_fd = -1,
	};
	store->dir_fd = open_dir(io, source_fd, BMF_STATE_DIR, BMF_STATE_DIR, flags, err);
	if (store->dir_fd < 0)
		r = store->dir_fd;
	if (r == 0 && (flags & BMF_STORE_LOCK))
		r = bmf_store_lock(store, flags & BMF_STORE_SHARE, holder, err);
	if (r == 0) {
		store->bitmaps_fd =
			open_dir(io, store->dir_fd, BMF_BITMAPS_NAME, BITMAPS_PATH, flags, err);
		if (store->bitmaps_fd < 0)
			r = store->bitmaps_fd;
	}
	if (r == 0) {
		r = bmf_sessions_load(io, store->dir_fd, &store->sessions);
		if (r < 0)
			bmf_error_set(err, r, "read '" SESSIONS_PATH "': %s", bmf_errno_text(r));
	}
	if (r < 0) {
		bmf_store_close(store);
		return r;
	}
	if ((flags & BMF_STORE_LOCK) && !(flags & BMF_STORE_SHARE))
		bmf_store_remove_leftovers(store);
	*ret = store;
	return 0;
}

void bmf_store_close(struct bmf_store *store)
{
	if (!store)
		return;
	bmf_store_unlock(store);
	close_if_open(store->io, store->bitmaps_fd);
	close_if_open(store->io, store->dir_fd);
	free(store);
}

/* ---- documents ---- */

/*
 * A descriptor of a regular file, and its size.  -EISDIR, or -EBADMSG for anything else
 * that stands in its place.
 */
static int open_document(const struct bmf_io *io, int dirfd, const char *name, const char *path,
			 uint64_t *ret_nbytes, struct bmf_error *err)
{
	struct stat st;
	int fd, r;

	/* O_NONBLOCK: a FIFO must not make us wait for a writer */
	fd = io->openat(io, dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd == -ELOOP || fd == -ENXIO)
		return bmf_error_set(err, -EBADMSG, "read '%s': damaged (not a regular file)",
				     path);
	if (fd < 0)
		return bmf_error_set(err, fd, "read '%s': %s", path, bmf_errno_text(fd));
	r = io->fstat(io, fd, &st);
	if (r < 0)
		bmf_error_set(err, r, "read '%s': %s", path, bmf_errno_text(r));
	else if (S_ISDIR(st.st_mode))
		r = bmf_error_set(err, -EISDIR, "read '%s': it is a directory; remove it", path);
	else if (!S_ISREG(st.st_mode))
		r = bmf_error_set(err, -EBADMSG, "read '%s': damaged (not a regular file)", path);
	if (r < 0) {
		io->close(io, fd);
		return r;
	}
	*ret_nbytes = (uint64_t)st.st_size;
	return fd;
}

/* All nbytes of a file, in a buffer that the caller frees. */
static int read_document(const struct bmf_io *io, int fd, uint64_t nbytes, const char *path,
			 void **ret_buf, struct bmf_error *err)
{
	void *buf = nbytes < SIZE_MAX ? malloc((size_t)nbytes + 1) : NULL;
	ssize_t got;

	if (!buf)
		return bmf_error_set(err, -ENOMEM, "read '%s': out of memory", path);
	got = io->pread(io, fd, buf, (size_t)nbytes, 0);
	if (got >= 0 && (uint64_t)got == nbytes) {
		*ret_buf = buf;
		return 0;
	}
	free(buf);
	if (got < 0)
		return bmf_error_set(err, (int)got, "read '%s': %s", path,
				     bmf_errno_text((int)got));
	return bmf_error_set(err, -EBADMSG, "read '%s': damaged (it became shorter)", path);
}

int bmf_store_load_state(struct bmf_store *store, struct bmf_state **ret, struct bmf_error *err)
{
	const struct bmf_io *io = store->io;
	uint64_t nbytes;
	void *buf = NULL;
	int fd, r = 0;

	fd = open_document(io, store->dir_fd, BMF_STATE_NAME, STATE_PATH, &nbytes, err);
	if (fd < 0)
		return fd;
	if (nbytes > STATE_NBYTES_MAX)
		r = bmf_error_set(err, -EBADMSG, "read '%s': damaged (far too long)", STATE_PATH);
	if (r == 0)
		r = read_document(io, fd, nbytes, STATE_PATH, &buf, err);
	if (r == 0)
		r = bmf_state_decode_named(buf, (size_t)nbytes, STATE_PATH, ret, err);
	free(buf);
	io->close(io, fd);
	return r;
}

/* An empty directory in a document's place goes; anything else of the kind stays, and fails. */
static int replace_document(const struct bmf_io *io, int dirfd, const char *name, const void *buf,
			    size_t nbytes, bool sync_name, int *ret_fd)
{
	int r = bmf_io_replace_file(io, dirfd, name, buf, nbytes, sync_name, ret_fd);

	if (r == -EISDIR && io->unlinkat(io, dirfd, name, AT_REMOVEDIR) == 0)
		r = bmf_io_replace_file(io, dirfd, name, buf, nbytes, sync_name, ret_fd);
	return r;
}

int bmf_store_save_state(struct bmf_store *store, const struct bmf_state *state)
{
	size_t nbytes;
	void *buf;
	int r = bmf_state_encode(state, &buf, &nbytes);

	if (r < 0)
		return r;
	r = replace_document(store->io, store->dir_fd, BMF_STATE_NAME, buf, nbytes, true, NULL);
	free(buf);
	return r;
}

static void sidecar_path(const struct bmf_uuid *image, char path[SIDECAR_PATH_NBYTES])
{
	memcpy(path, BITMAPS_PATH "/", sizeof(BITMAPS_PATH));
	bmf_uuid_format(image, path + sizeof(BITMAPS_PATH));
}

/* The header first: it tells whether the file's length is worth allocating. */
static int check_length(const struct bmf_io *io, int fd, uint64_t nbytes, const char *path,
			struct bmf_error *err)
{
	uint8_t header[BMF_SIDECAR_HEADER];
	uint64_t expected;
	ssize_t got = io->pread(io, fd, header, sizeof(header), 0);
	int r;

	if (got < 0)
		return bmf_error_set(err, (int)got, "read '%s': %s", path,
				     bmf_errno_text((int)got));
	r = bmf_sidecar_peek(header, (size_t)got, path, &expected, err);
	if (r == 0 && expected != nbytes)
		r = bmf_error_set(err, -EBADMSG,
				  "read '%s': damaged (its length is not what its header says)",
				  path);
	return r;
}

int bmf_store_load_sidecar(struct bmf_store *store, const struct bmf_uuid *image,
			   struct bmf_sidecar **ret, struct bmf_error *err)
{
	const struct bmf_io *io = store->io;
	struct bmf_sidecar *sidecar = NULL;
	char path[SIDECAR_PATH_NBYTES];
	uint64_t nbytes;
	void *buf = NULL;
	int fd, r;

	sidecar_path(image, path);
	fd = open_document(io, store->bitmaps_fd, path + sizeof(BITMAPS_PATH), path, &nbytes, err);
	if (fd < 0)
		return fd;
	r = check_length(io, fd, nbytes, path, err);
	if (r == 0)
		r = read_document(io, fd, nbytes, path, &buf, err);
	if (r == 0)
		r = bmf_sidecar_decode_named(buf, (size_t)nbytes, path, &sidecar, err);
	free(buf);
	io->close(io, fd);
	if (r < 0)
		return r;
	if (!bmf_uuid_equal(&sidecar->image, image)) {
		bmf_sidecar_free(sidecar);
		return bmf_error_set(err, -EBADMSG, "read '%s': damaged (it is another image's)",
				     path);
	}
	*ret = sidecar;
	return 0;
}

int bmf_store_save_sidecar(struct bmf_store *store, struct bmf_sidecar *sidecar, bool sync_name,
			   int *ret_fd)
{
	uint64_t old_nonce = sidecar->nonce;
	uint32_t old_sectors = sidecar->armed_sectors;
	char name[BMF_UUID_TEXT];
	size_t nbytes;
	void *buf;
	int r = bmf_sidecar_encode(sidecar, &buf, &nbytes);

	if (r < 0)
		return r;
	bmf_uuid_format(&sidecar->image, name);
	r = replace_document(store->io, store->bitmaps_fd, name, buf, nbytes, sync_name, ret_fd);
	free(buf);
	if (r < 0) {
		/* so that the object goes on to speak of the file that is there */
		sidecar->nonce = old_nonce;
		sidecar->armed_sectors = old_sectors;
	}
	return r;
}

int bmf_store_sync_names(struct bmf_store *store)
{
	return store->io->fsync(store->io, store->bitmaps_fd);
}

int bmf_store_has_sidecar(struct bmf_store *store, const struct bmf_uuid *image)
{
	const struct bmf_io *io = store->io;
	char name[BMF_UUID_TEXT];
	int fd;

	fd = io->openat(io, store->bitmaps_fd, bmf_uuid_format(image, name), O_PATH | O_NOFOLLOW,
			0);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	io->close(io, fd);
	return 1;
}

int bmf_store_remove_sidecar(struct bmf_store *store, const struct bmf_uuid *image)
{
	const struct bmf_io *io = store->io;
	char name[BMF_UUID_TEXT];
	int r;

	bmf_uuid_format(image, name);
	r = io->unlinkat(io, store->bitmaps_fd, name, 0);
	if (r == -EISDIR)
		r = io->unlinkat(io, store->bitmaps_fd, name, AT_REMOVEDIR);
	if (r < 0 && r != -ENOENT)
		return r;
	/* also when there was none: an earlier removal may have failed to become durable */
	return bmf_store_sync_names(store);
}
