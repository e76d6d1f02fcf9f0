/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.c - every name below a directory
 *
 * The walk keeps its own stack, one struct level for each directory that it is in: a
 * deep tree costs descriptors and heap, not machine stack, and paths may be longer
 * than PATH_MAX because every name is opened relative to its directory.
 */
#include "config.h"

#include "bitmapfile/store.h"
#include "bitmapfile/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A directory that the walk is in. */
struct level {
	int fd;
	char **names; /* sorted */
	size_t nnames, next;
	size_t path_nbytes; /* of walk.path, that lead to it */
};

struct walk {
	const struct bmf_io *io;
	int (*visit)(const struct bmf_walk_entry *entry, void *arg);
	void *arg;
	struct bmf_error *err;
	struct level *levels;
	size_t nlevels, capacity;
	char *path; /* of what is being looked at */
	size_t path_capacity;
};

/* Fills *err for the path being looked at, of which only the end may fit. */
static int fail(const struct walk *w, int code)
{
	const size_t shown = 300;
	size_t nbytes = strlen(w->path);
	const char *path = nbytes == 0 ? "." : w->path;
	const char *cut = "";

	if (nbytes > shown) {
		path += nbytes - shown;
		cut = "...";
	}
	if (code == -EMFILE)
		return bmf_error_set(w->err, code,
				     "read '%s%s': too many open files; raise the limit "
				     "(ulimit -n) above the depth of the tree",
				     cut, path);
	return bmf_error_set(w->err, code, "read '%s%s': %s", cut, path, bmf_errno_text(code));
}

/* Makes w->path the path of a name in that directory. */
static int set_path(struct walk *w, const struct level *dir, const char *name)
{
	size_t name_nbytes = strlen(name);
	size_t needed = dir->path_nbytes + 1 + name_nbytes + 1;
	char *path = w->path, *end;

	if (needed > w->path_capacity) {
		path = realloc(path, needed * 2);
		if (!path)
			return -ENOMEM;
		w->path = path;
		w->path_capacity = needed * 2;
	}
	end = path + dir->path_nbytes;
	if (dir->path_nbytes)
		*end++ = '/';
	memcpy(end, name, name_nbytes + 1);
	return 0;
}

static void free_names(char **names, size_t nnames)
{
	for (size_t i = 0; i < nnames; i++)
		free(names[i]);
	free(names);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	struct level *dir;
	size_t capacity;
	bool top; /* where .mirrorfs is left out */
};

static int add_name(const char *name, void *arg)
{
	struct names *names = arg;
	struct level *dir = names->dir;
	char **grown;

	if (names->top && strcmp(name, BMF_STATE_DIR) == 0)
		return 0;
	if (dir->nnames == names->capacity) {
		names->capacity = names->capacity * 2 + 16;
		grown = realloc(dir->names, names->capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		dir->names = grown;
	}
	dir->names[dir->nnames] = strdup(name);
	if (!dir->names[dir->nnames])
		return -ENOMEM;
	dir->nnames++;
	return 0;
}

static int read_names(const struct bmf_io *io, struct level *dir, bool top)
{
	struct names names = { .dir = dir, .top = top };
	int r = io->each_name(io, dir->fd, add_name, &names);

	if (dir->nnames)
		qsort(dir->names, dir->nnames, sizeof(*dir->names), compare_names);
	return r;
}

static int push_level(struct walk *w, struct level *dir)
{
	if (w->nlevels == w->capacity) {
		size_t capacity = w->capacity * 2 + 16;
		struct level *levels = realloc(w->levels, capacity * sizeof(*levels));

		if (!levels)
			return -ENOMEM;
		w->levels = levels;
		w->capacity = capacity;
	}
	w->levels[w->nlevels++] = *dir;
	return 0;
}

static void close_level(const struct bmf_io *io, struct level *dir)
{
	free_names(dir->names, dir->nnames);
	io->close(io, dir->fd);
}

/* Goes into the directory at w->path; fd may be O_PATH and stays the caller's. */
static int enter(struct walk *w, int fd)
{
	struct level dir = { .path_nbytes = strlen(w->path) };
	int r;

	dir.fd = w->io->openat(w->io, fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (dir.fd < 0)
		return dir.fd;
	r = read_names(w->io, &dir, w->nlevels == 0);
	if (r == 0)
		r = push_level(w, &dir);
	if (r < 0)
		close_level(w->io, &dir);
	return r;
}

/* Visits what fd (O_PATH) is open on, and goes into it if it is a directory. */
static int visit_fd(struct walk *w, int fd, int dirfd, const char *name)
{
	struct bmf_walk_entry entry = { .path = w->path, .dirfd = dirfd, .name = name, .fd = fd };
	struct stat st;
	int r;

	r = w->io->fstat(w->io, fd, &st);
	if (r < 0)
		return fail(w, r);
	entry.st = &st;
	r = w->visit(&entry, w->arg);
	if (r != 0 || !S_ISDIR(st.st_mode))
		return r;
	r = enter(w, fd);
	if (r == -ENOENT) /* removed meanwhile */
		return 0;
	return r < 0 ? fail(w, r) : 0;
}

static int visit_name(struct walk *w, int dirfd, const char *name)
{
	int fd, r;

	fd = w->io->openat(w->io, dirfd, name, O_PATH | O_NOFOLLOW, 0);
	if (fd == -ENOENT) /* removed meanwhile */
		return 0;
	if (fd < 0)
		return fail(w, fd);
	r = visit_fd(w, fd, dirfd, name);
	w->io->close(w->io, fd);
	return r;
}

static int walk_levels(struct walk *w)
{
	int r = 0;

	while (w->nlevels > 0 && r == 0) {
		/* visiting may move the stack, so nothing here points into it then */
		struct level *dir = &w->levels[w->nlevels - 1];
		const char *name;

		if (dir->next == dir->nnames) {
			close_level(w->io, dir);
			w->nlevels--;
			continue;
		}
		name = dir->names[dir->next++];
		if (set_path(w, dir, name) < 0)
			return fail(w, -ENOMEM);
		r = visit_name(w, dir->fd, name);
	}
	return r;
}

/* The top: a descriptor of our own, as the caller's may be of any kind. */
static int visit_top(struct walk *w, int top_fd)
{
	int fd, r;

	fd = w->io->openat(w->io, top_fd, ".", O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return fail(w, fd);
	r = visit_fd(w, fd, -1, "");
	w->io->close(w->io, fd);
	return r;
}

int bmf_walk(const struct bmf_io *io, int top_fd,
	     int (*visit)(const struct bmf_walk_entry *entry, void *arg), void *arg,
	     struct bmf_error *err)
{
	struct walk w = { .io = io, .visit = visit, .arg = arg, .err = err };
	int r;

	w.path = strdup("");
	if (!w.path)
		return bmf_error_set(err, -ENOMEM, "read directory: out of memory");
	w.path_capacity = 1;
	r = visit_top(&w, top_fd);
	if (r == 0)
		r = walk_levels(&w);
	while (w.nlevels > 0)
		close_level(io, &w.levels[--w.nlevels]);
	free(w.levels);
	free(w.path);
	return r;
}
