/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replica.c - a destination: the directory, its lock and its manifest */
#include "config.h"

#include "tools/beneath.h"
#include "tools/digests.h"
#include "tools/fail.h"
#include "tools/journal.h"
#include "tools/replica.h"
#include "tools/replica_place.h"
#include "tools/stop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool replica_ignores(const char *name)
{
	return strcmp(name, "lost+found") == 0;
}

int replica_has_content(int fd)
{
	int r = 0, again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	struct dirent *entry;

	if (!dir) {
		r = -errno;
		if (again >= 0)
			close(again);
		return r;
	}
	do {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			r = -errno;
		else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			 strcmp(entry->d_name, BMF_STATE_DIR) != 0 &&
			 !replica_ignores(entry->d_name))
			r = 1;
	} while (entry && r == 0);
	closedir(dir);
	return r;
}

/* What is only closed to us is not to be moved away. */
static const char *way_in(int code, const char *otherwise)
{
	return code == -EACCES || code == -EPERM ? "run as its owner, or as root" : otherwise;
}

int replica_read_manifest(int fd, const char *path, struct manifest *ret, struct bmf_error *err)
{
	struct bmf_error why = { 0 };
	size_t nbytes;
	void *buf;
	int r, dir_fd = beneath_open(fd, BMF_STATE_DIR, O_PATH | O_DIRECTORY, 0);

	if (dir_fd == -ENOENT)
		return -ENOENT;
	if (dir_fd < 0)
		return fail_text(err, dir_fd, "open", path, BMF_STATE_DIR, "%s; %s",
				 fail_reason(dir_fd), way_in(dir_fd, "move it out of the way"));
	r = bmf_io_read_file(&bmf_io_posix, dir_fd, MANIFEST_NAME, MANIFEST_LIMIT, &buf, &nbytes);
	close(dir_fd);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return fail_text(
			err, r, "read", path, BMF_STATE_DIR "/" MANIFEST_NAME, "%s; %s",
			fail_reason(r),
			way_in(r, "if it can't be mended, move it away, then mirrorctl adopt"));
	r = manifest_decode(buf, nbytes, ret, &why);
	free(buf);
	if (r == -EPROTONOSUPPORT)
		return fail_text(err, r, "open replica", path, NULL,
				 "%s; use the mirrorctl that wrote it, or a newer one", why.text);
	if (r < 0)
		return fail_text(err, r, "open replica", path, NULL,
				 "%s; mirrorctl adopt, and the next sync compares all of it",
				 why.text);
	return 0;
}

static bool has_state_of(const struct replica *replica, const char *name)
{
	char path[sizeof(BMF_STATE_DIR) + 32];
	struct stat st;

	snprintf(path, sizeof(path), BMF_STATE_DIR "/%s", name);
	return fstatat(replica->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What is given up with its state is said: it may be a source that is in use. */
#define HAS_STATE                                                                                  \
	"it is a source itself, or a copy of one with its state; choose another directory; if it " \
	"is such a copy, or is to be no source any more, remove its " BMF_STATE_DIR " first: its " \
	"history is lost with it"

/* May it be a copy of the source that somebody made, so that only what is in it tells? */
static int check_copied(const struct replica *replica, bool has_content, struct bmf_error *err)
{
	if (!has_content)
		return fail_text(err, -ENODATA, "open destination", replica->path, NULL,
				 "it is empty, so nobody has copied the source to it; is its disk "
				 "mounted? if it is to be a new replica, sync without --since");
	if (has_state_of(replica, BMF_STATE_NAME))
		return fail_text(err, -EINVAL, "open destination", replica->path, NULL, "%s",
				 HAS_STATE);
	if (has_state_of(replica, JOURNAL_NAME))
		return fail_text(err, -EINVAL, "open destination", replica->path, NULL,
				 "it has an update of a replica that was never published, so it "
				 "isn't just a copy; mirrorctl adopt");
	return 0;
}

/* Reads the manifest, and decides whether the directory may become what we want. */
static int read_replica(struct replica *replica, const struct bmf_uuid *source, bool copied,
			struct bmf_error *err)
{
	char uuid[BMF_UUID_TEXT];
	int r;

	r = replica_read_manifest(replica->fd, replica->path, &replica->manifest, err);
	if (r == -ENOENT) {
		r = replica_has_content(replica->fd);
		if (r < 0)
			return fail_errno(err, r, "read destination", replica->path, NULL);
		if (copied)
			return check_copied(replica, r > 0, err);
		if (has_state_of(replica, BMF_STATE_NAME))
			return fail_text(err, -EEXIST, "open destination", replica->path, NULL,
					 "%s", HAS_STATE);
		if (r > 0)
			return fail_text(
				err, -ENOTEMPTY, "open destination", replica->path, NULL,
				"not empty and not a replica; choose an empty directory, "
				"or one that doesn't exist yet; or, if it is a copy of the "
				"source: mirrorctl adopt, or, as at a named checkpoint: --since");
		return 0;
	}
	if (r < 0)
		return r;
	replica->has_manifest = true;
	if (manifest_is_adopted(&replica->manifest) ||
	    (source && bmf_uuid_equal(&replica->manifest.source, source)))
		return 0;
	if (has_state_of(replica, BMF_STATE_NAME))
		return fail_text(err, -EEXIST, "open destination", replica->path, NULL,
				 "it is a source itself, and a replica of another one (%s); choose "
				 "another directory, or, if it is to be this one's from now on: "
				 "mirrorctl adopt",
				 bmf_uuid_format(&replica->manifest.source, uuid));
	return fail_text(err, -EEXIST, "open destination", replica->path, NULL,
			 "it is a replica of another source (%s), or this one has lost its state; "
			 "choose another directory, or, if it is to be this one's from now on: "
			 "mirrorctl adopt",
			 bmf_uuid_format(&replica->manifest.source, uuid));
}

static int set_label(struct replica *replica, struct bmf_error *err)
{
	char link[BENEATH_PROC], target[PATH_MAX];
	ssize_t n = readlink(beneath_proc(replica->fd, link), target, sizeof(target) - 1);

	if (n >= 0)
		target[n] = '\0';
	replica->label = strdup(n >= 0 ? target : replica->path);
	if (!replica->label)
		return fail_errno(err, -ENOMEM, "open destination", replica->path, NULL);
	return 0;
}

/* reads: nothing is to be written. */
static int lock_replica(struct replica *replica, bool reads, struct bmf_error *err)
{
	struct bmf_error why = { 0 };
	char holder[64];
	int r;

	snprintf(holder, sizeof(holder), "mirrorctl (pid %d)", (int)getpid());
	r = bmf_store_open(&bmf_io_posix, replica->fd, BMF_STORE_CREATE | BMF_STORE_LOCK, holder,
			   &replica->store, &why);
	if (r == -EROFS && reads) {
		r = bmf_store_open(&bmf_io_posix, replica->fd, BMF_STORE_LOCK | BMF_STORE_SHARE,
				   NULL, &replica->store, &why);
		replica->read_only = r == 0;
		if (r == -ENOENT) /* what can't be locked may change by another mount */
			r = -EROFS;
	}
	if (r == -EBUSY)
		return fail_text(err, r, "open destination", replica->path, NULL,
				 "another sync is running, or it is mounted elsewhere; %s (%s)",
				 lock_wait_way_out(), why.text);
	if (r == -EROFS)
		return fail_text(err, r, "open destination", replica->path, NULL,
				 "the filesystem is read-only; mount it writable");
	if (r < 0)
		return fail_text(err, r, "open destination", replica->path, NULL, "%s", why.text);
	return 0;
}

/* Of the file that bmf_store_open() locks. */
static bool is_locked(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool replica_await(const char *path, struct lock_wait *wait)
{
	int top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = top < 0 ? -1 : beneath_open(top, BMF_STATE_DIR "/" BMF_LOCK_NAME, O_RDWR, 0);
	bool again;

	do
		again = lock_wait_again(wait);
	while (again && is_locked(fd));
	lock_wait_end(wait);
	if (fd >= 0)
		close(fd);
	if (top >= 0)
		close(top);
	return again;
}

struct bmf_uuid replica_identify(const char *path)
{
	struct bmf_uuid uuid = { 0 };
	struct manifest manifest;
	struct bmf_error why;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && replica_read_manifest(fd, path, &manifest, &why) == 0) {
		uuid = manifest.replica;
		manifest_destroy(&manifest);
	}
	if (fd >= 0)
		close(fd);
	return uuid;
}

static int make_manifest(struct replica *replica, const struct bmf_uuid *source,
			 struct bmf_error *err)
{
	struct manifest fresh = { .source = *source };
	int r = bmf_uuid_generate(&fresh.replica);

	if (r < 0)
		return fail_errno(err, r, "make replica", replica->path, NULL);
	r = replica_save(replica, &fresh, err);
	if (r == 0)
		replica->has_manifest = true;
	return r;
}

/* Is it that one, where there is one? */
static int check_only(const struct replica *replica, const struct bmf_uuid *only,
		      struct bmf_error *err)
{
	char uuid[BMF_UUID_TEXT];

	if (!only || (replica->has_manifest &&
		      (bmf_uuid_is_none(only) || bmf_uuid_equal(&replica->manifest.replica, only))))
		return 0;
	if (bmf_uuid_is_none(only))
		return fail_text(err, -ENOENT, "open destination", replica->path, NULL,
				 "the replica that was busy is not there; is its filesystem "
				 "mounted?");
	return fail_text(
		err, replica->has_manifest ? -ESTALE : -ENOENT, "open destination", replica->path,
		NULL, "the replica %s is not there%s", bmf_uuid_format(only, uuid),
		replica->has_manifest ? ", but another one" : "; is its filesystem mounted?");
}

/* -1 in replica->fd: there is none, and none was made. */
static int open_place(struct replica *replica, const struct source_view *view, bool make,
		      bool copied, struct bmf_error *err)
{
	int r = replica_place_open(replica->path, view, make && !copied, &replica->fd, err);

	if (r == 0 && copied && replica->fd < 0)
		return fail_text(err, -ENOENT, "open destination", replica->path, NULL,
				 "there is no such directory, so nobody has copied the source to "
				 "it; if it is to be a new replica, sync without --since");
	return r;
}

int replica_open(const char *path, const struct source_view *view, const struct bmf_uuid *source,
		 const struct replica_demand *demand, struct replica *ret, struct bmf_error *err)
{
	struct replica replica = { .path = path, .fd = -1 };
	int r;

	r = open_place(&replica, view, !demand->only, demand->copied, err);
	if (r == 0 && replica.fd < 0)
		return fail_errno(err, -ENOENT, "open destination", path, NULL);
	if (r == 0)
		r = set_label(&replica, err);
	/* once before the lock, so that a refused directory stays as it is; once after */
	if (r == 0)
		r = read_replica(&replica, source, demand->copied, err);
	if (r == 0)
		r = check_only(&replica, demand->only, err);
	if (r == 0)
		r = lock_replica(&replica, false, err);
	if (r == 0) {
		manifest_destroy(&replica.manifest);
		replica.has_manifest = false;
		r = read_replica(&replica, source, demand->copied, err);
	}
	if (r == 0)
		r = check_only(&replica, demand->only, err);
	if (r == 0 && !replica.has_manifest && !demand->copied)
		r = make_manifest(&replica, source, err);
	if (r < 0) {
		replica_close(&replica);
		return r;
	}
	*ret = replica;
	return 0;
}

static int read_alone(struct replica *replica, struct bmf_error *err)
{
	int r;

	manifest_destroy(&replica->manifest);
	replica->has_manifest = false;
	r = replica_read_manifest(replica->fd, replica->path, &replica->manifest, err);
	if (r == -ENOENT)
		return fail_text(err, r, "open replica", replica->path, NULL,
				 "it is no replica: there is no " BMF_STATE_DIR "/" MANIFEST_NAME
				 "; mirrorctl sync makes one");
	replica->has_manifest = r == 0;
	return r;
}

/* A copy of a source with its state would be taken for that source, if it were mounted. */
static int read_any(struct replica *replica, struct bmf_error *err)
{
	int r;

	manifest_destroy(&replica->manifest);
	replica->has_manifest = false;
	r = replica_read_manifest(replica->fd, replica->path, &replica->manifest, err);
	replica->has_manifest = r == 0;
	if (r == -ENOENT && has_state_of(replica, BMF_STATE_NAME))
		return fail_text(err, -EINVAL, "adopt", replica->path, NULL, "%s", HAS_STATE);
	return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

/* How it is read: twice, so that nothing is made in a directory that is refused. */
typedef int read_function(struct replica *replica, struct bmf_error *err);

static int open_by(const char *path, read_function *read, bool reads, struct replica *ret,
		   struct bmf_error *err)
{
	struct replica replica = { .path = path, .fd = -1 };
	struct lock_wait wait = { 0 };
	int r;

	r = replica_place_open_alone(path, &replica.fd, err);
	if (r == 0)
		r = read(&replica, err);
	while (r == 0 && (r = lock_replica(&replica, reads, err)) == -EBUSY &&
	       lock_wait_again(&wait))
		r = 0;
	lock_wait_end(&wait);
	if (r == -EBUSY && stop_signal())
		r = -ECANCELED;
	if (r == 0)
		r = read(&replica, err);
	if (r == 0)
		r = set_label(&replica, err);
	if (r < 0) {
		replica_close(&replica);
		return r;
	}
	*ret = replica;
	return 0;
}

int replica_open_alone(const char *path, struct replica *ret, struct bmf_error *err)
{
	return open_by(path, read_alone, false, ret, err);
}

int replica_open_to_read(const char *path, struct replica *ret, struct bmf_error *err)
{
	return open_by(path, read_alone, true, ret, err);
}

int replica_open_any(const char *path, struct replica *ret, struct bmf_error *err)
{
	return open_by(path, read_any, false, ret, err);
}

int replica_look(const char *path, const struct source_view *view, const struct bmf_uuid *source,
		 bool copied, struct replica *ret, struct bmf_error *err)
{
	struct replica replica = { .path = path, .fd = -1 };
	int r;

	r = open_place(&replica, view, false, copied, err);
	if (r == 0 && replica.fd >= 0) {
		r = set_label(&replica, err);
		if (r == 0)
			r = read_replica(&replica, source, copied, err);
	}
	if (r < 0) {
		replica_close(&replica);
		return r;
	}
	*ret = replica;
	return 0;
}

static void take_manifest(struct replica *replica, struct manifest *manifest)
{
	if (manifest == &replica->manifest)
		return;
	manifest_destroy(&replica->manifest);
	replica->manifest = *manifest;
	*manifest = (struct manifest){ 0 };
}

int replica_set(struct replica *replica, struct manifest *manifest, struct bmf_error *err)
{
	int r = manifest_sort(manifest);

	if (r < 0)
		return fail_errno(err, r, "open replica", replica->path, NULL);
	take_manifest(replica, manifest);
	return 0;
}

int replica_save(struct replica *replica, struct manifest *manifest, struct bmf_error *err)
{
	struct timespec now;
	size_t nbytes;
	void *buf;
	int r;

	clock_gettime(CLOCK_REALTIME, &now);
	manifest->time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	r = manifest_sort(manifest); /* it may be searched afterwards */
	if (r == 0)
		r = manifest_encode(manifest, &buf, &nbytes);
	if (r == 0) {
		r = bmf_io_replace_file(&bmf_io_posix, replica->store->dir_fd, MANIFEST_NAME, buf,
					nbytes, true, NULL);
		free(buf);
	}
	if (r < 0)
		return fail_errno(err, r, "save", replica->path, BMF_STATE_DIR "/" MANIFEST_NAME);
	take_manifest(replica, manifest);
	return 0;
}

int replica_open_digests(const struct replica *replica)
{
	int fd, dir_fd = replica->store->dir_fd;

	if (mkdirat(dir_fd, DIGESTS_DIR, 0700) == 0 ? fsync(dir_fd) < 0 : errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, DIGESTS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void replica_trim_digests(const struct replica *replica, int digests_fd)
{
	const struct manifest *manifest = &replica->manifest;
	struct bmf_uuid *keep = calloc(manifest->nimages + 1, sizeof(*keep));

	for (size_t i = 0; keep && i < manifest->nimages; i++)
		keep[i] = manifest->images[i].image;
	if (keep)
		digests_remove_others(&bmf_io_posix, digests_fd, keep, manifest->nimages);
	free(keep);
}

void replica_close(struct replica *replica)
{
	bmf_store_close(replica->store);
	manifest_destroy(&replica->manifest);
	free(replica->label);
	if (replica->fd >= 0)
		close(replica->fd);
	*replica = (struct replica){ .fd = -1 };
}
