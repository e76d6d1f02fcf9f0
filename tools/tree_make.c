/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tree_make.c - makes a tree in an empty directory */
#include "config.h"

#include "tools/clone.h"
#include "tools/copy.h"
#include "tools/counterpart.h"
#include "tools/fail.h"
#include "tools/holes.h"
#include "tools/names.h"
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
	make->buffer = malloc(COPY_BUFFER);
	if (!make->buffer)
		return failed(make, -ENOMEM, "make", NULL);
	r = tree_read(path, fd, 0, &make->have, err);
	return r < 0 ? r : apply_names(make, want);
}

void tree_make_destroy(struct tree_make *make)
{
	plan_free(make->plan);
	tree_free(make->have);
	free(make->buffer);
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

static int copy_piece(struct copy *copy, int from_fd, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		size_t n = end - offset < COPY_BUFFER ? (size_t)(end - offset) : COPY_BUFFER;
		ssize_t got =
			bmf_io_posix.pread(&bmf_io_posix, from_fd, copy->buffer, n, (off_t)offset);
		int r;

		if (stop_signal())
			return -ECANCELED;
		if (got < 0)
			return copy_failed(copy, (int)got, "read for", true, offset);
		if (got == 0)
			return 0;
		r = copy_to_file.data(copy, copy->buffer, (size_t)got, offset);
		if (r < 0)
			return r;
		offset += (size_t)got;
	}
	return 0;
}

/* The file is empty: only data is to be written. */
static int copy_data(struct copy *copy, int from_fd)
{
	uint64_t first, end, offset = 0;
	struct stat st;
	int r;

	copy->verb = "copy";
	if (fstat(from_fd, &st) < 0 || ftruncate(copy->dest_fd, st.st_size) < 0)
		return -errno;
	while ((r = holes_next_data(from_fd, offset, (uint64_t)st.st_size, &first, &end)) > 0) {
		r = copy_piece(copy, from_fd, first, end);
		if (r < 0)
			return r;
		offset = end;
	}
	return r;
}

int tree_make_copy(struct tree_make *make, size_t index, int from_fd)
{
	struct copy copy = { .buffer = make->buffer, .verb = "copy" };
	int r;

	copy.dest_fd = tree_make_file(make, index);
	if (copy.dest_fd < 0)
		return copy.dest_fd;
	r = clone_file(copy.dest_fd, from_fd);
	if (r == -EOPNOTSUPP)
		r = copy_data(&copy, from_fd);
	if (close(copy.dest_fd) < 0 && r == 0)
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

int tree_copy(struct tree *from, struct tree_make *make, const char *path, int fd,
	      struct bmf_error *err)
{
	int r = tree_make_begin(make, from, path, fd, err);

	for (size_t i = 0; r == 0 && i < from->nnodes; i++)
		r = copy_node(make, from, i);
	return r < 0 ? r : tree_make_end(make, meta_of, from);
}
