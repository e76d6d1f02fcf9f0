/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore.c - makes a plain tree of a checkpoint that a replica is at, or was
 *
 * The replica's lock is held all the time: nobody changes it, and nothing is let go of.
 * What is made shares its blocks with the replica where the filesystem can do that.
 */
#include "config.h"

#include "tools/beneath.h"
#include "tools/checkpoints.h"
#include "tools/fail.h"
#include "tools/progress.h"
#include "tools/publish.h"
#include "tools/restore.h"
#include "tools/restore_deltas.h"
#include "tools/restore_live.h"
#include "tools/restore_out.h"
#include "tools/tree_make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct restore {
	struct replica replica;
	struct checkpoints kept;
	struct restore_out out;
	struct tree_make make;
	struct restore_result *result;
	struct bmf_error *err;
};

static int failed(const struct restore *restore, int code, const char *verb, const char *below)
{
	return fail_errno(restore->err, code, verb, restore->replica.path, below);
}

/* The replica's own files, which are to be what its manifest says. */
static int copy_live(struct restore *restore, struct restore_live *live, struct tree *tree)
{
	const struct manifest *manifest = &restore->replica.manifest;
	uint64_t nbytes = 0;

	for (size_t i = 0; i < manifest->nimages; i++)
		nbytes += manifest->images[i].stamp.size;
	progress_enter(PROGRESS_PROVING);
	progress_update(0, nbytes);
	for (size_t i = 0; i < manifest->nimages; i++) {
		int fd = restore_live_open(live, manifest->by_path[i]);

		if (fd < 0)
			return fd;
		close(fd);
	}
	progress_enter(PROGRESS_RESTORING);
	return tree_copy(tree, &restore->make, restore->out.path, restore->out.fd, restore->err);
}

/* What the replica is at, or what deltas lead back to from there. */
static int make_from_live(struct restore *restore, const struct checkpoint *delta)
{
	const struct replica *replica = &restore->replica;
	struct restore_live live = { .replica = replica, .err = restore->err };
	struct tree *tree;
	int r;

	if (!replica->manifest.complete)
		return fail_text(restore->err, -ESTALE, "restore", replica->path, NULL,
				 "%s; sync, or restore a checkpoint that is kept as a tree",
				 manifest_why_incomplete(&replica->manifest));
	r = tree_read(replica->path, replica->fd, TREE_STAMPS | TREE_ONE_FILESYSTEM, &tree,
		      restore->err);
	if (r < 0)
		return r;
	live.tree = tree;
	progress_enter(PROGRESS_RESTORING);
	r = delta ? restore_deltas(&live, &restore->kept, delta, &restore->make, restore->out.path,
				   restore->out.fd, &restore->result->deltas, restore->err)
		  : copy_live(restore, &live, tree);
	restore->result->ndamaged = live.ndamaged;
	restore->result->first_damaged = live.first_damaged;
	restore->result->first_offset = live.first_offset;
	tree_free(tree);
	return r;
}

static int copy_kept(struct restore *restore, const struct checkpoint *checkpoint)
{
	char name[CHECKPOINTS_NAME];
	struct tree *tree = NULL;
	int r, fd, dir_fd = checkpoints_open(&restore->replica, restore->err);

	if (dir_fd < 0)
		return dir_fd;
	fd = openat(dir_fd, checkpoints_name(checkpoint, name),
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? failed(restore, -errno, "open a kept tree of", NULL)
		   : tree_read(restore->replica.path, fd, 0, &tree, restore->err);
	progress_enter(PROGRESS_RESTORING);
	if (r == 0)
		r = tree_copy(tree, &restore->make, restore->out.path, restore->out.fd,
			      restore->err);
	tree_free(tree);
	if (fd >= 0)
		close(fd);
	close(dir_fd);
	return r;
}

/* What is asked for, as a checkpoint; a tree if there is one.  *ret_kept is NULL for the live one.
 */
static int find(struct restore *restore, const char *at, const struct checkpoint **ret_kept)
{
	const struct manifest *manifest = &restore->replica.manifest;
	struct restore_result *result = restore->result;
	const struct checkpoint *kept = at ? checkpoints_find(&restore->kept, at) : NULL;

	if (!at || checkpoints_is(at, manifest->checkpoint, &manifest->checkpoint_uuid)) {
		if (manifest->checkpoint == 0)
			return fail_text(restore->err, -ENOENT, "restore", restore->replica.path,
					 NULL, "no sync to it has been completed yet");
		result->checkpoint = manifest->checkpoint;
		result->checkpoint_uuid = manifest->checkpoint_uuid;
		*ret_kept = checkpoints_tree(&restore->kept, &manifest->checkpoint_uuid);
		return 0;
	}
	if (!kept)
		return fail_text(restore->err, -ENOENT, "restore", restore->replica.path, NULL,
				 "no checkpoint %s is kept; mirrorctl status lists those that are",
				 at);
	result->checkpoint = kept->number;
	result->checkpoint_uuid = kept->uuid;
	*ret_kept = checkpoints_tree(&restore->kept, &kept->uuid);
	if (!*ret_kept)
		*ret_kept = kept;
	return 0;
}

static int fill(struct restore *restore, const char *at)
{
	const struct checkpoint *kept = NULL;
	int r = publish_check_done(&restore->replica, "restore", restore->err);

	if (r == 0)
		r = checkpoints_read(restore->replica.fd, restore->replica.path,
				     &restore->replica.manifest.replica, false, &restore->kept,
				     restore->err);
	if (r == 0)
		r = find(restore, at, &kept);
	if (r < 0)
		return r;
	return kept && !kept->is_delta ? copy_kept(restore, kept) : make_from_live(restore, kept);
}

static int restore_to_out(struct restore *restore, const char *at)
{
	int r = fill(restore, at);

	if (r == 0)
		r = restore_out_finish(&restore->out, restore->err);
	if (r < 0)
		restore_out_undo(&restore->out, restore->err);
	restore->result->nrefused = restore->make.nrefused;
	restore->result->first_refused = restore->make.first_refused;
	restore->make.first_refused = NULL;
	tree_make_destroy(&restore->make);
	checkpoints_destroy(&restore->kept);
	restore_out_close(&restore->out);
	return r;
}

int restore(const char *dest, const char *at, const char *out, struct restore_result *ret,
	    struct bmf_error *err)
{
	struct restore restore = {
		.out = { .fd = -1 }, .make = { .fd = -1 }, .result = ret, .err = err
	};
	int r;

	*ret = (struct restore_result){ 0 };
	*err = (struct bmf_error){ 0 };
	r = replica_open_to_read(dest, &restore.replica, err);
	if (r < 0)
		return r;
	ret->replica = restore.replica.manifest.replica;
	r = restore_out_open(out, &restore.out, err);
	if (r == 0)
		r = restore_to_out(&restore, at);
	replica_close(&restore.replica);
	return r;
}

void restore_result_destroy(struct restore_result *result)
{
	free(result->first_refused);
	free(result->first_damaged);
	*result = (struct restore_result){ 0 };
}
