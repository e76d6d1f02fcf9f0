/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshots.c - the snapshots of a mounted source, as its daemon tells of them */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/snapshots.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* It isn't mounted, or mounted elsewhere: the lock's holder tells where. */
static int refuse_unmounted(struct source_view *view, struct bmf_error *err)
{
	int r = source_view_read(view, err);

	if (r < 0 && r != -ENOENT)
		return r;
	return fail_text(err, -ENOTCONN, "open source", view->path, NULL,
			 "no mirrorfs is mounted there, and only one that is has snapshots; mount "
			 "it, or read the images as they are");
}

int snapshots_open(const char *path, struct source_view *ret, struct bmf_error *err)
{
	struct source_view view;
	int r = source_view_locate(path, &view, err);

	if (r < 0)
		return r;
	if (view.read_only)
		r = fail_text(err, -EROFS, "open source", path, NULL,
			      "its filesystem is read-only, so it can't have snapshots; nothing "
			      "changes there: read the images as they are");
	else if (view.mount_fd < 0)
		r = refuse_unmounted(&view, err);
	if (r < 0) {
		source_view_close(&view, NULL);
		return r;
	}
	*ret = view;
	return 0;
}

/* -ENOENT: there is none of that name. */
static int ask(const struct source_view *view, const char *name,
	       struct mfs_control_snapshot_info *ret)
{
	*ret = (struct mfs_control_snapshot_info){ .version = MFS_CONTROL_VERSION };
	if (strlen(name) >= sizeof(ret->name))
		return -ENOENT;
	memcpy(ret->name, name, strlen(name)); /* ends with the zeros that are there */
	if (ioctl(view->mount_fd, MFS_CONTROL_SNAPSHOT_INFO, ret) < 0)
		return -errno;
	ret->reason[sizeof(ret->reason) - 1] = '\0';
	return 0;
}

static int add(const struct source_view *view, const char *name, struct snapshots_list *list)
{
	int r;

	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 16;
		struct mfs_control_snapshot_info *bigger =
			reallocarray(list->items, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		list->items = bigger;
		list->room = room;
	}
	r = ask(view, name, &list->items[list->n]);
	if (r == -ENOENT)
		return 0; /* just deleted */
	list->n += r == 0;
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct mfs_control_snapshot_info *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

int snapshots_list(struct source_view *view, struct snapshots_list *ret, struct bmf_error *err)
{
	struct snapshots_list list = { 0 };
	struct dirent *entry;
	int r = 0, fd = beneath_open(view->mount_fd, MFS_SNAPSHOT_DIR, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return fail_errno(err, fd < 0 ? fd : -ENOMEM, "read", view->path, MFS_SNAPSHOT_DIR);
	errno = 0;
	while (r == 0 && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = add(view, entry->d_name, &list);
		errno = 0;
	}
	if (r == 0 && errno != 0)
		r = -errno;
	closedir(dir);
	if (r < 0) {
		snapshots_list_destroy(&list);
		return fail_errno(err, r, "read", view->path, MFS_SNAPSHOT_DIR);
	}
	if (list.n > 0)
		qsort(list.items, list.n, sizeof(*list.items), compare);
	*ret = list;
	return 0;
}

void snapshots_list_destroy(struct snapshots_list *list)
{
	free(list->items);
	*list = (struct snapshots_list){ 0 };
}

int snapshots_delete(struct source_view *view, const char *name, struct bmf_error *err)
{
	struct mfs_control_snapshot_delete request = { .version = MFS_CONTROL_VERSION };
	struct mfs_control_snapshot_info info;
	int r = ask(view, name, &info);

	if (r == 0 && info.owned)
		return fail_text(err, -EBUSY, "delete snapshot", view->path, name,
				 "a sync reads it; it goes with that sync");
	if (r == 0) {
		memcpy(request.name, info.name, sizeof(request.name));
		if (ioctl(view->mount_fd, MFS_CONTROL_SNAPSHOT_DELETE, &request) < 0)
			r = -errno;
	}
	if (r == -ENOENT)
		return fail_text(err, r, "delete snapshot", view->path, name,
				 "there is none of that name; mirrorctl snapshot list shows them");
	return r < 0 ? fail_errno(err, r, "delete snapshot", view->path, name) : 0;
}

char *snapshots_path(const struct source_view *view, const char *name)
{
	char *top = realpath(view->path, NULL), *path;

	if (asprintf(&path, "%s/%s/%s", top ? top : view->path, MFS_SNAPSHOT_DIR, name) < 0)
		path = NULL;
	free(top);
	return path;
}

int snapshots_check_name(const char *name, struct bmf_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.:@+";
	size_t n = strlen(name);

	if (n <= MFS_SNAPSHOT_NAME_MAX && name[0] != '.' && strspn(name, allowed) == n)
		return 0;
	return fail_text(err, -EINVAL, "name snapshot", name, NULL,
			 "a name has letters, digits and _-.:@+, at most %d, and no dot first",
			 MFS_SNAPSHOT_NAME_MAX);
}
