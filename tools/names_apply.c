/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names_apply.c - carries out the steps of names_list.c */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/names.h"
#include "tools/stop.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two places, each as an open directory and a name in it. */
struct place {
	int fd;
	const char *name;
};

static int place_open(int dest_fd, const char *path, struct place *ret)
{
	ret->fd = beneath_parent(dest_fd, path, &ret->name);
	return ret->fd < 0 ? ret->fd : 0;
}

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static int rename_to(int dest_fd, const char *from, const char *to, unsigned int flags)
{
	struct place a, b;
	int r = place_open(dest_fd, from, &a);

	if (r < 0)
		return r;
	r = place_open(dest_fd, to, &b);
	if (r == 0) {
		r = result(renameat2(a.fd, a.name, b.fd, b.name, flags));
		if (flags && (r == -EINVAL || r == -ENOSYS)) /* a filesystem without the flag */
			r = result(renameat(a.fd, a.name, b.fd, b.name));
		close(b.fd);
	}
	close(a.fd);
	return r;
}

static int link_to(int dest_fd, const char *from, const char *to)
{
	struct place a, b;
	int r = place_open(dest_fd, from, &a);

	if (r < 0)
		return r;
	r = place_open(dest_fd, to, &b);
	if (r == 0) {
		r = result(linkat(a.fd, a.name, b.fd, b.name, 0));
		close(b.fd);
	}
	close(a.fd);
	return r;
}

static int move_aside(int dest_fd, const char *path, struct plan_node *node)
{
	char text[BMF_UUID_TEXT];
	struct bmf_uuid name;
	int r = bmf_uuid_generate(&name);

	if (r < 0)
		return r;
	r = result(mkdirat(dest_fd, PLAN_MOVING, 0700));
	if (r < 0 && r != -EEXIST)
		return r;
	free(node->aside);
	if (asprintf(&node->aside, "%s/%s", PLAN_MOVING, bmf_uuid_format(&name, text)) < 0) {
		node->aside = NULL;
		return -ENOMEM;
	}
	return rename_to(dest_fd, path, node->aside, RENAME_NOREPLACE);
}

/*
 * What was made is remembered, so that nothing else is written to later: the directory may
 * belong to a user who puts another file there, such as a link to one of somebody else's.
 */
static int note_made(struct plan_node *node, int fd)
{
	const mode_t type = node->source->st.st_mode & S_IFMT;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != type || (type != S_IFDIR && st.st_nlink != 1))
		return -ESTALE;
	node->made_dev = st.st_dev;
	return bmf_stamp_take(&bmf_io_posix, fd, &node->made);
}

static int make_regular(const struct place *at, struct plan_node *node)
{
	int r, fd = openat(at->fd, at->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			   0600);

	if (fd < 0)
		return -errno;
	r = note_made(node, fd);
	close(fd); /* nothing was written to it */
	return r;
}

/* All other kinds can't be opened as they are made: so this looks right after. */
static int look_at_made(const struct place *at, struct plan_node *node)
{
	int r, fd = openat(at->fd, at->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	r = note_made(node, fd);
	close(fd);
	return r;
}

static int make_file(const struct place *at, struct plan_node *node)
{
	const struct tree_node *source = node->source;
	const mode_t type = source->st.st_mode & S_IFMT;
	int r;

	if (type == S_IFREG)
		return make_regular(at, node);
	if (type == S_IFLNK)
		r = result(symlinkat(source->target, at->fd, at->name));
	else
		r = result(mknodat(at->fd, at->name, type | 0600, source->st.st_rdev));
	return r < 0 ? r : look_at_made(at, node);
}

static int create(int dest_fd, const char *path, struct plan_node *node)
{
	struct place at;
	int r = place_open(dest_fd, path, &at);

	if (r < 0)
		return r;
	r = make_file(&at, node);
	close(at.fd);
	return r;
}

static int remove_name(int dest_fd, const char *path, int flags)
{
	struct place at;
	int r = place_open(dest_fd, path, &at);

	if (r < 0)
		return r;
	r = result(unlinkat(at.fd, at.name, flags));
	close(at.fd);
	return r;
}

static int make_directory(int dest_fd, const char *path, struct plan_node *node)
{
	struct place at;
	int r = place_open(dest_fd, path, &at);

	if (r < 0)
		return r;
	r = result(mkdirat(at.fd, at.name, 0700));
	if (r == 0)
		r = look_at_made(&at, node);
	close(at.fd);
	return r;
}

/* Devices are root's to make: without them a replica is still worth having. */
static bool is_refused(const struct name_step *step, int r)
{
	mode_t mode = step->node ? step->node->source->st.st_mode : 0;

	return step->kind == NAME_CREATE && r == -EPERM && !S_ISREG(mode) && !S_ISLNK(mode);
}

static int take_step(const struct name_step *step, int dest_fd)
{
	switch (step->kind) {
	case NAME_ASIDE:
		return move_aside(dest_fd, step->path, step->node);
	case NAME_UNLINK:
		return remove_name(dest_fd, step->path, 0);
	case NAME_RMDIR:
		return remove_name(dest_fd, step->path, AT_REMOVEDIR);
	case NAME_MKDIR:
		return make_directory(dest_fd, step->path, step->node);
	case NAME_PLACE:
		return rename_to(dest_fd, step->node->aside, step->path, RENAME_NOREPLACE);
	case NAME_REPLACE:
		return rename_to(dest_fd, step->node->aside, step->path, 0);
	case NAME_CREATE:
		return create(dest_fd, step->path, step->node);
	default:
		return link_to(dest_fd, step->from, step->path);
	}
}

static const char *verb_of(enum name_kind kind)
{
	static const char *const verbs[] = {
		[NAME_ASIDE] = "move",	[NAME_UNLINK] = "remove", [NAME_RMDIR] = "remove",
		[NAME_MKDIR] = "make",	[NAME_PLACE] = "move to", [NAME_REPLACE] = "move to",
		[NAME_CREATE] = "make", [NAME_LINK] = "link",
	};

	return verbs[kind];
}

/* The directories of a replica have their source's modes, which may forbid us to change them. */
static int make_directories_writable(const struct plan *plan, int dest_fd)
{
	for (size_t i = 0; i < plan->dest->nentries; i++) {
		const struct tree_entry *entry = &plan->dest->entries[i];
		mode_t mode = entry->node->st.st_mode;
		char link[BENEATH_PROC];
		int fd, r;

		if (!S_ISDIR(mode) || (mode & S_IRWXU) == S_IRWXU || plan_ignores(plan, entry))
			continue;
		fd = beneath_open(dest_fd, entry->path, O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			return fd;
		r = result(chmod(beneath_proc(fd, link), (mode & 07777) | S_IRWXU));
		close(fd);
		if (r < 0)
			return r;
	}
	return 0;
}

int names_apply(struct plan *plan, const struct name_steps *steps, int dest_fd,
		struct names_result *ret, struct bmf_error *err)
{
	struct names_result counts = { 0 };
	int r = 0;

	if (steps->n > 0 && geteuid() != 0)
		r = make_directories_writable(plan, dest_fd);
	if (r < 0)
		return fail_errno(err, r, "make directories writable in", plan->dest->top, NULL);
	for (size_t i = 0; i < steps->n; i++) {
		const struct name_step *step = &steps->steps[i];

		if (stop_signal())
			return -ECANCELED;
		if (step->node && step->node->vanished)
			continue;
		r = take_step(step, dest_fd);
		if (is_refused(step, r)) {
			step->node->vanished = true;
			counts.refused++;
			counts.refused_path = step->path;
			continue;
		}
		if (r < 0)
			return fail_errno(err, r, verb_of(step->kind), plan->dest->top, step->path);
		if (step->node)
			step->node->changed = true;
	}
	/* empty by now; if it isn't, it will be looked at the next time */
	unlinkat(dest_fd, PLAN_MOVING, AT_REMOVEDIR);
	*ret = counts;
	return 0;
}
