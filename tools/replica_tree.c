/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replica_tree.c - what a replica holds, in its tree and on its way there */
#include "config.h"

#include "tools/fail.h"
#include "tools/plan.h"
#include "tools/replica.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Of a directory that needn't be there. */
static int add_directory(const struct replica *replica, const char *path, const char *prefix,
			 struct tree *tree, struct bmf_error *err)
{
	int r, fd = openat(replica->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return 0;
	r = tree_add(tree, fd, prefix, TREE_STAMPS | TREE_ONE_FILESYSTEM, err);
	close(fd);
	return r;
}

static int add_all(const struct replica *replica, struct tree *tree, struct bmf_error *err)
{
	int r = tree_add(tree, replica->fd, "", TREE_STAMPS | TREE_ONE_FILESYSTEM, err);

	if (r == 0)
		r = add_directory(replica, PLAN_MOVING, PLAN_MOVING "/", tree, err);
	return r < 0 ? r : add_directory(replica, PLAN_STAGING, PLAN_STAGING "/", tree, err);
}

int replica_read_tree(const struct replica *replica, struct tree **ret, struct bmf_error *err)
{
	struct tree *tree;
	int r = tree_new(replica->path, replica->fd, &tree);

	if (r < 0)
		return bmf_error_set(err, r, "read replica: %s", fail_reason(r));
	if (replica->fd >= 0)
		r = add_all(replica, tree, err);
	if (r == 0) {
		r = tree_finish(tree);
		if (r < 0)
			bmf_error_set(err, r, "read replica: %s", fail_reason(r));
	}
	if (r < 0) {
		tree_free(tree);
		return r;
	}
	*ret = tree;
	return 0;
}
