/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xattrs.c - the extended attributes of a file that a replica should have */
#include "config.h"

#include "tools/beneath.h"
#include "tools/xattrs.h"

#include "bitmapfile/store.h"

#include <attr/libattr.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static bool is_wanted(const char *name)
{
	if (strncmp(name, BMF_XATTR_PREFIX, strlen(BMF_XATTR_PREFIX)) == 0)
		return false;
	return attr_copy_action(name, NULL) != ATTR_ACTION_SKIP;
}

/* Reads a list or a value, whatever its size is and however it changes meanwhile. */
static ssize_t read_all(const char *path, const char *name, char **ret)
{
	for (;;) {
		ssize_t room = name ? getxattr(path, name, NULL, 0) : listxattr(path, NULL, 0), n;
		char *buf;

		if (room < 0)
			return -errno;
		buf = malloc((size_t)room + 1);
		if (!buf)
			return -ENOMEM;
		/* most files have none: that needn't be asked twice, through the mount */
		if (room == 0)
			n = 0;
		else
			n = name ? getxattr(path, name, buf, (size_t)room)
				 : listxattr(path, buf, (size_t)room);
		if (n >= 0 && n <= room) {
			buf[n] = '\0';
			*ret = buf;
			return n;
		}
		free(buf);
		if (n < 0 && errno != ERANGE)
			return -errno;
	}
}

static int add(struct xattrs *xattrs, const char *path, const char *name)
{
	struct xattr *items, item;
	ssize_t n = read_all(path, name, (char **)&item.value);

	if (n == -ENODATA)
		return 0; /* just removed */
	if (n < 0)
		return (int)n;
	item.nbytes = (size_t)n;
	item.name = strdup(name);
	items = reallocarray(xattrs->items, xattrs->n + 1, sizeof(*items));
	if (items)
		xattrs->items = items;
	if (!items || !item.name) {
		free(item.name);
		free(item.value);
		return -ENOMEM;
	}
	items[xattrs->n++] = item;
	return 0;
}

int xattrs_copy(const struct xattrs *xattrs, struct xattrs *ret)
{
	struct xattrs copy = { .items = calloc(xattrs->n + 1, sizeof(*copy.items)) };

	if (!copy.items)
		return -ENOMEM;
	for (size_t i = 0; i < xattrs->n; i++) {
		const struct xattr *item = &xattrs->items[i];
		struct xattr *to = &copy.items[copy.n++];

		to->name = strdup(item->name);
		to->value = malloc(item->nbytes + 1);
		to->nbytes = item->nbytes;
		if (!to->name || !to->value) {
			xattrs_destroy(&copy);
			return -ENOMEM;
		}
		if (item->nbytes > 0)
			memcpy(to->value, item->value, item->nbytes);
	}
	*ret = copy;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

int xattrs_read(int fd, struct xattrs *ret)
{
	struct xattrs xattrs = { 0 };
	char path[BENEATH_PROC], *names;
	ssize_t n = read_all(beneath_proc(fd, path), NULL, &names);
	int r = 0;

	if (n == -EOPNOTSUPP) {
		*ret = xattrs;
		return 0;
	}
	if (n < 0)
		return (int)n;
	for (const char *name = names; r == 0 && name < names + n; name += strlen(name) + 1)
		if (is_wanted(name))
			r = add(&xattrs, path, name);
	free(names);
	if (r < 0) {
		xattrs_destroy(&xattrs);
		return r;
	}
	if (xattrs.n > 0)
		qsort(xattrs.items, xattrs.n, sizeof(*xattrs.items), compare);
	*ret = xattrs;
	return 0;
}

void xattrs_destroy(struct xattrs *xattrs)
{
	for (size_t i = 0; i < xattrs->n; i++) {
		free(xattrs->items[i].name);
		free(xattrs->items[i].value);
	}
	free(xattrs->items);
	*xattrs = (struct xattrs){ 0 };
}

static const struct xattr *find(const struct xattrs *xattrs, const char *name)
{
	struct xattr key = { .name = (char *)name };

	return xattrs->n ? bsearch(&key, xattrs->items, xattrs->n, sizeof(key), compare) : NULL;
}

static bool has_equal(const struct xattrs *xattrs, const struct xattr *wanted)
{
	const struct xattr *found = find(xattrs, wanted->name);

	return found && found->nbytes == wanted->nbytes &&
	       memcmp(found->value, wanted->value, wanted->nbytes) == 0;
}

const char *xattrs_difference(const struct xattrs *a, const struct xattrs *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!has_equal(b, &a->items[i]))
			return a->items[i].name;
	for (size_t i = 0; i < b->n; i++)
		if (!find(a, b->items[i].name))
			return b->items[i].name;
	return NULL;
}

/* Is it a failure that says "not here" or "not you", and not that something broke? */
static bool is_refusal(int error)
{
	return error == EOPNOTSUPP || error == EPERM || error == EACCES || error == EINVAL;
}

static int result_of(int r, const char *name, const char **refused)
{
	if (r == 0 || errno == ENODATA)
		return 0;
	if (!is_refusal(errno))
		return -errno;
	if (!*refused)
		*refused = name;
	return 0;
}

int xattrs_apply(int fd, const struct xattrs *want, const struct xattrs *have,
		 const char **ret_refused)
{
	const char *refused = NULL;
	char path[BENEATH_PROC];
	int r = 0;

	beneath_proc(fd, path);
	for (size_t i = 0; r == 0 && i < have->n; i++) {
		const char *name = have->items[i].name;

		if (!find(want, name))
			r = result_of(removexattr(path, name), name, &refused);
	}
	for (size_t i = 0; r == 0 && i < want->n; i++) {
		const struct xattr *item = &want->items[i];

		if (!has_equal(have, item))
			r = result_of(setxattr(path, item->name, item->value, item->nbytes, 0),
				      item->name, &refused);
	}
	if (r == 0)
		*ret_refused = refused;
	return r;
}
