/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tree_make.c - makes a tree in an empty directory */
#include "config.h"

#include "tools/clone.h"
#include "tools/copy.h"
#include "tools/counterpart.h"
#include "tools/fail.h"
#include "tools/holes.h"
#include "tools/names.h"
#include "tools/progress.h"
#include "tools/replica.h"
#include "tools/stop.h"
#include "tools/tree_make.h"

#include "tools/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *path_of(const struct tree_make *make, size_t index)
{
	return make->plan->nodes[index].source->first->path;
}

static int failed(struct tree_make *make, int code, const char *verb, const char *below)
{
	return fail_errno(make->err, code, verb, make->path, below);
}

static void note_refused(struct tree_make *make, uint64_t n, const char *path)
{
	if (n > 0 && !make->first_refused)
		make->first_refused = strdup(path);
	make->nrefused += n;
}

/* ---- names ---- */

/* Of the first component of its path. */
static bool is_ignored(const char *path)
{
	char *top = strndup(path, strcspn(path, "/"));
	bool ignored = top && replica_ignores(top);

	free(top);
	return ignored;
}

static int make_plan(struct tree_make *make, struct tree *want)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	make->plan = plan;
	if (!plan)
		return -ENOMEM;
	plan->source = want;
	plan->dest = make->have;
	plan->nnodes = want->nnodes;
	plan->nodes = calloc(want->nnodes + 1, sizeof(*plan->nodes));
	plan->claims = calloc(make->have->nnodes + 1, sizeof(struct plan_node *));
	if (!plan->nodes || !plan->claims)
		return -ENOMEM;
	for (size_t i = 0; i < want->nnodes; i++) {
		struct plan_node *node = &plan->nodes[i];
		const char *path = want->nodes[i]->first->path;

		node->source = want->nodes[i];
		node->vanished = is_ignored(path);
		if (!*path)
			plan_by_path(plan, node);
	}
	return 0;
}

/* From what there is to what is wanted, which may be nothing. */
static int apply_names(struct tree_make *make, struct tree *want)
{
	struct names_result names = { 0 };
	struct name_steps steps = { 0 };
	int r = make_plan(make, want);

	if (r == 0)
		r = names_list(make->plan, &steps);
	if (r < 0)
		return failed(make, r, "make", NULL);
	r = names_apply(make->plan, &steps, make->fd, &names, make->err);
	note_refused(make, names.refused, names.refused_path);
	names_destroy(&steps);
	return r;
}

int tree_make_begin(struct tree_make *make, struct tree *want, const char *path, int fd,
		    struct bmf_error *err)
{
	int r;

	*make = (struct tree_make){ .path = path, .fd = fd, .err = err };
	r = copy_ring_new(0, &make->ring);
	if (r < 0)
		return failed(make, r, "make", NULL);
	r = tree_read(path, fd, 0, &make->have, err);
	return r < 0 ? r : apply_names(make, want);
}

void tree_make_destroy(struct tree_make *make)
{
	plan_free(make->plan);
	tree_free(make->have);
	copy_ring_free(make->ring);
	free(make->first_refused);
	*make = (struct tree_make){ .fd = -1 };
}

int tree_clear(const char *path, int fd, struct bmf_error *err)
{
	struct tree_make make = { .path = path, .fd = fd, .err = err };
	struct tree *nothing = NULL;
	int r = tree_read(path, fd, 0, &make.have, err);

	if (r < 0)
		return r;
	r = tree_new(path, fd, &nothing);
	if (r == 0)
		r = tree_finish(nothing);
	r = r < 0 ? failed(&make, r, "remove", NULL) : apply_names(&make, nothing);
	tree_make_destroy(&make);
	tree_free(nothing);
	return r;
}

/* ---- content ---- */

int tree_make_file(struct tree_make *make, size_t index)
{
	const struct plan_node *node = &make->plan->nodes[index];
	int fd = counterpart_open_rw(make->fd, node);

	return fd < 0 ? counterpart_fail(make->err, make->path, node, fd) : fd;
}

static void tick(void *arg, uint64_t nbytes)
{
	(void)arg;
	progress_add(nbytes);
}

/* The file is empty: only data is to be written. */
static int copy_data(struct copy *copy, int from_fd)
{
	struct stat st;

	if (fstat(from_fd, &st) < 0 || ftruncate(copy->dest.fd, st.st_size) < 0)
		return copy_failed(copy, -errno, "copy", false, 0);
	return copy_range(copy, 0, (uint64_t)st.st_size);
}

int tree_make_copy(struct tree_make *make, size_t index, int from_fd)
{
	struct source_image source = { .fd = from_fd, .file_fd = from_fd };
	struct copy copy = { .ring = make->ring,
			     .source = &source,
			     .sink = &copy_to_new,
			     .old_fd = -1,
			     .tick = tick,
			     .verb = "copy" };
	int r, fd = tree_make_file(make, index);

	if (fd < 0)
		return fd;
	progress_image(path_of(make, index));
	r = clone_file(fd, from_fd);
	if (r == -EOPNOTSUPP) {
		direct_open(&source.direct, from_fd, O_RDONLY);
		direct_open_cached(&copy.dest, fd);
		r = copy_data(&copy, from_fd);
		direct_close(&source.direct);
	}
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r < 0 && r != -ECANCELED ? failed(make, r, copy.verb, path_of(make, index)) : r;
}

/* ---- metadata ---- */

static int apply_meta(struct tree_make *make, size_t index, const struct meta *want)
{
	const struct plan_node *node = &make->plan->nodes[index];
	struct meta_refusal refusal;
	struct meta has = { 0 };
	int r, fd = counterpart_open(make->fd, node);

	if (fd < 0)
		return counterpart_fail(make->err, make->path, node, fd);
	r = meta_apply(want, fd, &has, &refusal);
	if (r < 0)
		failed(make, r, "set metadata of", path_of(make, index));
	else
		note_refused(make, refusal.what != 0, path_of(make, index));
	meta_destroy(&has);
	close(fd);
	return r;
}

static int end_node(struct tree_make *make, size_t index, bool directories,
		    int (*get)(void *arg, size_t index, struct meta *ret), void *arg)
{
	const struct plan_node *node = &make->plan->nodes[index];
	struct meta meta = { 0 };
	int r;

	if (node->vanished || S_ISDIR(node->source->st.st_mode) != directories)
		return 0;
	if (stop_signal())
		return -ECANCELED;
	r = get(arg, index, &meta);
	r = r < 0 ? failed(make, r, "read metadata for", path_of(make, index))
		  : apply_meta(make, index, &meta);
	meta_destroy(&meta);
	return r;
}

/* Directories last, and the deepest of them first: what is made in one changes its time. */
int tree_make_end(struct tree_make *make, int (*get)(void *arg, size_t index, struct meta *ret),
		  void *arg)
{
	size_t n = make->plan->source->nnodes;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = end_node(make, i, false, get, arg);
	for (size_t i = n; r == 0 && i > 0; i--)
		r = end_node(make, i - 1, true, get, arg);
	return r;
}

/* ---- all of a tree ---- */

static int meta_of(void *arg, size_t index, struct meta *ret)
{
	const struct tree *from = arg;
	int r, fd = tree_open(from, from->nodes[index]);

	if (fd < 0)
		return fd;
	r = meta_read(fd, ret);
	close(fd);
	return r;
}

static int copy_node(struct tree_make *make, const struct tree *from, size_t index)
{
	const struct tree_node *node = from->nodes[index];
	int r, fd = -1, path_fd;

	if (!S_ISREG(node->st.st_mode) || make->plan->nodes[index].vanished)
		return 0;
	if (stop_signal())
		return -ECANCELED;
	path_fd = tree_open(from, node);
	if (path_fd >= 0) {
		fd = beneath_reopen(path_fd, O_RDONLY);
		close(path_fd);
	}
	if (fd < 0)
		return fail_errno(make->err, path_fd < 0 ? path_fd : fd, "open", from->top,
				  node->first->path);
	r = tree_make_copy(make, index, fd);
	close(fd);
	return r;
}

static uint64_t size_of_files(const struct tree *tree)
{
	uint64_t nbytes = 0;

	for (size_t i = 0; i < tree->nnodes; i++)
		if (S_ISREG(tree->nodes[i]->st.st_mode))
			nbytes += (uint64_t)tree->nodes[i]->st.st_size;
	return nbytes;
}

int tree_copy(struct tree *from, struct tree_make *make, const char *path, int fd,
	      struct bmf_error *err)
{
	int r = tree_make_begin(make, from, path, fd, err);

	progress_update(0, size_of_files(from));
	for (size_t i = 0; r == 0 && i < from->nnodes; i++)
		r = copy_node(make, from, i);
	return r < 0 ? r : tree_make_end(make, meta_of, from);
}
