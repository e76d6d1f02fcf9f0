/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checkpoints_keep.c - makes the tree of a checkpoint, and removes one
 *
 *   K1  what a crash has left is removed
 *   K2  NUMBER.tmp is made, with the document that says which checkpoint it is
 *   K3  it gets the replica's tree, with clones of its files
 *   K4  are the files that were cloned as they were published?  All of it is durable
 *   K5  it gets its name, durably
 *
 * And removed, in the opposite direction: first it loses its name, durably, then what is in it
 * goes. Killed anywhere, there is a whole one under a name without .tmp, or none, and K1 of the
 * next. A sync that is killed between the completion of its replica and K5 leaves the replica
 * without the tree of its checkpoint: the next one with --keep makes up for it before it changes
 * anything.
 */
#include "config.h"

#include "tools/checkpoints.h"
#include "tools/checkpoints_internal.h"
#include "tools/fail.h"
#include "tools/tree_make.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIRECTORY BMF_STATE_DIR "/" CHECKPOINTS_DIR
#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int failed(const struct replica *replica, int code, const char *verb, struct bmf_error *err)
{
	return fail_errno(err, code, verb, replica->path, DIRECTORY);
}

int checkpoints_open(const struct replica *replica, struct bmf_error *err)
{
	int fd, dir_fd = replica->store->dir_fd;

	if (mkdirat(dir_fd, CHECKPOINTS_DIR, 0700) == 0 ? fsync(dir_fd) < 0 : errno != EEXIST)
		return failed(replica, -errno, "make", err);
	fd = openat(dir_fd, CHECKPOINTS_DIR, DIRECTORY_FLAGS);
	return fd < 0 ? failed(replica, -errno, "open", err) : fd;
}

/* ---- removing ---- */

/* Its document goes last: without it a tree is none. */
static int empty_tree(const struct replica *replica, int fd, struct bmf_error *err)
{
	int state_fd, r = tree_clear(replica->path, fd, err);

	if (r < 0)
		return r;
	state_fd = openat(fd, BMF_STATE_DIR, DIRECTORY_FLAGS);
	if (state_fd < 0)
		return errno == ENOENT ? 0 : failed(replica, -errno, "open", err);
	r = tree_clear(replica->path, state_fd, err);
	close(state_fd);
	if (r == 0 && unlinkat(fd, BMF_STATE_DIR, AT_REMOVEDIR) < 0)
		r = failed(replica, -errno, "remove from", err);
	return r;
}

/* A tree or a delta, whatever is left of it. */
static int remove_leftover(const struct replica *replica, int fd, const char *name,
			   struct bmf_error *err)
{
	int r, tree_fd = openat(fd, name, DIRECTORY_FLAGS);

	if (tree_fd < 0 && errno != ENOTDIR)
		return failed(replica, -errno, "open leftover in", err);
	if (tree_fd < 0)
		return unlinkat(fd, name, 0) < 0 ? failed(replica, -errno, "remove from", err) : 0;
	r = empty_tree(replica, tree_fd, err);
	close(tree_fd);
	if (r == 0 && unlinkat(fd, name, AT_REMOVEDIR) < 0)
		r = failed(replica, -errno, "remove from", err);
	return r;
}

struct cleaning {
	const struct replica *replica;
	int fd;
	struct bmf_error *err;
};

static int clean_one(const char *name, void *arg)
{
	const struct cleaning *cleaning = arg;
	size_t n = strlen(name), suffix = strlen(BMF_TEMP_SUFFIX);

	if (n < suffix || strcmp(name + n - suffix, BMF_TEMP_SUFFIX) != 0)
		return 0;
	return remove_leftover(cleaning->replica, cleaning->fd, name, cleaning->err);
}

int checkpoints_clean(const struct replica *replica, int fd, struct bmf_error *err)
{
	struct cleaning cleaning = { .replica = replica, .fd = fd, .err = err };
	int r = bmf_io_posix.each_name(&bmf_io_posix, fd, clean_one, &cleaning);

	return r < 0 && err->code == 0 ? failed(replica, r, "clean up", err) : r;
}

static char *temp_name(const struct checkpoint *checkpoint, char buf[CHECKPOINTS_NAME])
{
	snprintf(buf, CHECKPOINTS_NAME, "%" PRIu64 "%s" BMF_TEMP_SUFFIX, checkpoint->number,
		 checkpoint->is_delta ? CHECKPOINTS_DELTA : "");
	return buf;
}

int checkpoints_remove(const struct replica *replica, int fd, const struct checkpoint *checkpoint,
		       struct bmf_error *err)
{
	char name[CHECKPOINTS_NAME], temp[CHECKPOINTS_NAME];

	checkpoints_name(checkpoint, name);
	temp_name(checkpoint, temp);
	if (renameat(fd, name, fd, temp) < 0)
		return errno == ENOENT ? 0 : failed(replica, -errno, "remove from", err);
	if (fsync(fd) < 0)
		return failed(replica, -errno, "flush", err);
	return remove_leftover(replica, fd, temp, err);
}

/* ---- making ---- */

/* K2 */
static int put_document(const struct replica *replica, int tree_fd,
			const struct checkpoint *checkpoint, struct bmf_error *err)
{
	size_t nbytes;
	void *buf;
	int state_fd, r;

	r = checkpoints_encode(&replica->manifest.replica, checkpoint, &buf, &nbytes);
	if (r < 0)
		return failed(replica, r, "write to", err);
	if (mkdirat(tree_fd, BMF_STATE_DIR, 0700) < 0)
		r = -errno;
	state_fd = openat(tree_fd, BMF_STATE_DIR, DIRECTORY_FLAGS);
	if (r == 0 && state_fd < 0)
		r = -errno;
	if (r == 0)
		r = bmf_io_replace_file(&bmf_io_posix, state_fd, CHECKPOINTS_DOCUMENT, buf, nbytes,
					true, NULL);
	if (state_fd >= 0)
		close(state_fd);
	free(buf);
	return r < 0 ? failed(replica, r, "write to", err) : 0;
}

static int read_live(const struct replica *replica, struct tree **ret, struct bmf_error *err)
{
	return tree_read(replica->path, replica->fd, TREE_STAMPS | TREE_ONE_FILESYSTEM, ret, err);
}

/* K4: after the copy, so that it holds for what was copied. */
static int check_untouched(const struct replica *replica, struct bmf_error *err)
{
	const char *touched;
	struct tree *tree;
	int r = read_live(replica, &tree, err);

	if (r < 0)
		return r;
	touched = checkpoints_touched(replica, tree);
	if (touched)
		r = fail_text(err, -ESTALE, "keep", replica->path, touched,
			      "somebody changed it since it was synced");
	tree_free(tree);
	return r;
}

/* K2 to K4, in the directory that is to get the name. */
static int fill(const struct replica *replica, int tree_fd, const struct checkpoint *checkpoint,
		struct bmf_error *err)
{
	struct tree_make make = { .fd = -1 };
	struct tree *live = NULL;
	int r = put_document(replica, tree_fd, checkpoint, err);

	if (r == 0)
		r = read_live(replica, &live, err);
	if (r == 0)
		r = tree_copy(live, &make, replica->path, tree_fd, err);
	tree_make_destroy(&make);
	tree_free(live);
	if (r == 0)
		r = check_untouched(replica, err);
	if (r == 0 && syncfs(tree_fd) < 0)
		r = failed(replica, -errno, "flush", err);
	return r;
}

static int make_tree(const struct replica *replica, int fd, const char *temp,
		     const struct checkpoint *checkpoint, struct bmf_error *err)
{
	int r, tree_fd;

	if (mkdirat(fd, temp, 0700) < 0)
		return failed(replica, -errno, "write to", err);
	tree_fd = openat(fd, temp, DIRECTORY_FLAGS);
	if (tree_fd < 0)
		return failed(replica, -errno, "open", err);
	r = fill(replica, tree_fd, checkpoint, err);
	close(tree_fd);
	return r;
}

int checkpoints_keep(const struct replica *replica, int fd, int64_t time_ns, struct bmf_error *err)
{
	const struct checkpoint checkpoint = { .number = replica->manifest.checkpoint,
					       .uuid = replica->manifest.checkpoint_uuid,
					       .time_ns = time_ns };
	char name[CHECKPOINTS_NAME], temp[CHECKPOINTS_NAME];
	int r;

	/* of the same number: one that a source had before it was restored from a backup */
	r = checkpoints_remove(replica, fd, &checkpoint, err);
	if (r < 0)
		return r;
	checkpoints_name(&checkpoint, name);
	temp_name(&checkpoint, temp);
	r = make_tree(replica, fd, temp, &checkpoint, err);
	if (r == 0 && (renameat(fd, temp, fd, name) < 0 || fsync(fd) < 0))
		r = failed(replica, -errno, "write to", err);
	if (r < 0)
		remove_leftover(replica, fd, temp, NULL);
	return r;
}
