/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_node.c - a file's record in the delta stream as bytes, and back
 *
 * Only what a struct stream_node can't express is looked at here; whether it makes sense
 * is stream_rules.c's to say.
 */
#include "config.h"

#include "tools/stream_format.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define XATTR_MIN (sizeof(struct stream_disk_xattr) + 1) /* what one takes, besides its bytes */

static size_t length(const char *string)
{
	return string ? strlen(string) : 0;
}

static size_t xattrs_nbytes(const struct xattrs *xattrs)
{
	size_t nbytes = 0;

	for (size_t i = 0; i < xattrs->n; i++)
		nbytes += XATTR_MIN + strlen(xattrs->items[i].name) + xattrs->items[i].nbytes;
	return nbytes;
}

size_t stream_node_nbytes(const struct stream_node *node, bool journal)
{
	size_t nbytes = sizeof(struct stream_disk_node) + length(node->path) + 1 +
			length(node->target) + 1 + xattrs_nbytes(&node->meta.xattrs);

	if (journal)
		nbytes += sizeof(struct stream_disk_journal) + length(node->staged) + 1;
	return nbytes;
}

int stream_node_fits(const struct stream_node *node, bool journal)
{
	const struct xattrs *xattrs = &node->meta.xattrs;

	if (length(node->path) > STREAM_PATH_MAX || length(node->target) > STREAM_TARGET_MAX)
		return -ENAMETOOLONG;
	if (journal && length(node->staged) > STREAM_NAME_MAX)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < xattrs->n; i++) {
		if (strlen(xattrs->items[i].name) > STREAM_NAME_MAX)
			return -ENAMETOOLONG;
		if (xattrs->items[i].nbytes > STREAM_XATTRS_MAX)
			return -E2BIG;
	}
	return xattrs_nbytes(xattrs) > STREAM_XATTRS_MAX ? -E2BIG : 0;
}

/* ---- encoding ---- */

static uint8_t *put(uint8_t *at, const void *data, size_t nbytes)
{
	if (nbytes)
		memcpy(at, data, nbytes);
	return at + nbytes;
}

static uint8_t *put_string(uint8_t *at, const char *string)
{
	at = put(at, string, length(string));
	*at = '\0';
	return at + 1;
}

static uint8_t *put_fixed(uint8_t *at, const struct stream_node *node)
{
	const struct stat *st = &node->meta.st;
	bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
	struct stream_disk_node disk = {
		.mode = le32_make(st->st_mode),
		.uid = le32_make(st->st_uid),
		.gid = le32_make(st->st_gid),
		.content = le32_make(node->content),
		.atime_s = le64_make((uint64_t)st->st_atim.tv_sec),
		.mtime_s = le64_make((uint64_t)st->st_mtim.tv_sec),
		.atime_ns = le32_make((uint32_t)st->st_atim.tv_nsec),
		.mtime_ns = le32_make((uint32_t)st->st_mtim.tv_nsec),
		.rdev_major = le32_make(device ? major(st->st_rdev) : 0),
		.rdev_minor = le32_make(device ? minor(st->st_rdev) : 0),
		.size = le64_make(S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0),
		.path_nbytes = le32_make((uint32_t)length(node->path)),
		.target_nbytes = le32_make((uint32_t)length(node->target)),
		.nxattrs = le32_make((uint32_t)node->meta.xattrs.n),
		.xattrs_nbytes = le32_make((uint32_t)xattrs_nbytes(&node->meta.xattrs)),
	};

	memcpy(disk.image, node->image.b, sizeof(disk.image));
	return put(at, &disk, sizeof(disk));
}

static uint8_t *put_journal(uint8_t *at, const struct stream_node *node)
{
	struct stream_disk_journal disk = {
		.inode = le64_make(node->stamp.inode),
		.handle = le64_make(node->stamp.handle),
		.size = le64_make(node->stamp.size),
		.mtime_ns = le64_make((uint64_t)node->stamp.mtime_ns),
		.ctime_ns = le64_make((uint64_t)node->stamp.ctime_ns),
		.busy = le32_make(node->busy),
		.staged_nbytes = le32_make((uint32_t)length(node->staged)),
	};

	return put(at, &disk, sizeof(disk));
}

void stream_node_encode(const struct stream_node *node, bool journal, uint8_t *buf)
{
	const struct xattrs *xattrs = &node->meta.xattrs;
	uint8_t *at = put_fixed(buf, node);

	if (journal)
		at = put_journal(at, node);
	at = put_string(at, node->path);
	at = put_string(at, node->target);
	if (journal)
		at = put_string(at, node->staged);
	for (size_t i = 0; i < xattrs->n; i++) {
		const struct xattr *xattr = &xattrs->items[i];
		struct stream_disk_xattr disk = {
			.name_nbytes = le32_make((uint32_t)strlen(xattr->name)),
			.value_nbytes = le32_make((uint32_t)xattr->nbytes),
		};

		at = put(at, &disk, sizeof(disk));
		at = put_string(at, xattr->name);
		at = put(at, xattr->value, xattr->nbytes);
	}
}

/* ---- decoding ---- */

/* What is left of a payload.  After its first fault, nothing is. */
struct rest {
	uint8_t *next, *end;
	bool fault;
};

static void *get(struct rest *rest, size_t nbytes)
{
	uint8_t *at = rest->next;

	if (rest->fault || nbytes > (size_t)(rest->end - at)) {
		rest->fault = true;
		return NULL;
	}
	rest->next += nbytes;
	return at;
}

/* A string of that length, and no NUL in it but the one at its end. */
static char *get_string(struct rest *rest, size_t nbytes, size_t max)
{
	char *at = nbytes <= max ? get(rest, nbytes + 1) : NULL;

	if (!at || at[nbytes] || memchr(at, '\0', nbytes)) {
		rest->fault = true;
		return NULL;
	}
	return at;
}

/* As above; one that is empty isn't there. */
static const char *get_optional(struct rest *rest, size_t nbytes, size_t max)
{
	const char *at = get_string(rest, nbytes, max);

	return at && *at ? at : NULL;
}

/* Fields that have to be 0 where they mean nothing; and numbers wider than ours. */
static void get_fixed(const struct stream_disk_node *disk, struct stream_node *ret,
		      struct rest *rest)
{
	struct stat *st = &ret->meta.st;
	uint32_t rdev_major = le32_get(disk->rdev_major), rdev_minor = le32_get(disk->rdev_minor);

	st->st_mode = le32_get(disk->mode);
	st->st_uid = le32_get(disk->uid);
	st->st_gid = le32_get(disk->gid);
	st->st_atim.tv_sec = (time_t)le64_get(disk->atime_s);
	st->st_atim.tv_nsec = (long)le32_get(disk->atime_ns);
	st->st_mtim.tv_sec = (time_t)le64_get(disk->mtime_s);
	st->st_mtim.tv_nsec = (long)le32_get(disk->mtime_ns);
	st->st_size = (off_t)le64_get(disk->size);
	st->st_rdev = makedev(rdev_major, rdev_minor);
	ret->content = le32_get(disk->content);
	memcpy(ret->image.b, disk->image, sizeof(ret->image.b));
	if (!S_ISREG(st->st_mode) && st->st_size != 0)
		rest->fault = true;
	if (!S_ISCHR(st->st_mode) && !S_ISBLK(st->st_mode) && st->st_rdev != 0)
		rest->fault = true;
}

static void get_journal(const struct stream_disk_journal *disk, struct stream_node *ret,
			struct rest *rest)
{
	uint32_t busy = le32_get(disk->busy);

	ret->stamp.inode = le64_get(disk->inode);
	ret->stamp.handle = le64_get(disk->handle);
	ret->stamp.size = le64_get(disk->size);
	ret->stamp.mtime_ns = (int64_t)le64_get(disk->mtime_ns);
	ret->stamp.ctime_ns = (int64_t)le64_get(disk->ctime_ns);
	ret->busy = busy == 1;
	if (busy > 1)
		rest->fault = true;
}

static int make_room(struct xattr **items, size_t *room, size_t n)
{
	struct xattr *grown;

	if (n <= *room)
		return 0;
	grown = reallocarray(*items, n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*room = n;
	return 0;
}

static void get_xattr(struct rest *rest, struct xattr *ret)
{
	const struct stream_disk_xattr *disk = get(rest, sizeof(*disk));

	if (!disk)
		return;
	ret->name = get_string(rest, le32_get(disk->name_nbytes), STREAM_NAME_MAX);
	ret->nbytes = le32_get(disk->value_nbytes);
	ret->value = get(rest, ret->nbytes);
}

/* They take up all that is left. */
static int get_xattrs(struct rest *rest, size_t n, struct xattr **items, size_t *room,
		      struct xattrs *ret)
{
	int r;

	if (rest->fault || n > (size_t)(rest->end - rest->next) / XATTR_MIN) {
		rest->fault = true;
		return 0;
	}
	r = make_room(items, room, n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		get_xattr(rest, &(*items)[i]);
	*ret = (struct xattrs){ .items = n > 0 ? *items : NULL, .n = n };
	return 0;
}

int stream_node_decode(uint8_t *payload, size_t nbytes, bool journal, struct stream_node *ret,
		       struct xattr **items, size_t *room, const char **ret_why)
{
	struct rest rest = { .next = payload, .end = payload + nbytes };
	const struct stream_disk_node *disk = get(&rest, sizeof(*disk));
	const struct stream_disk_journal *journal_disk = NULL;
	struct stream_node node = { 0 };
	int r = 0;

	if (disk)
		get_fixed(disk, &node, &rest);
	if (disk && journal)
		journal_disk = get(&rest, sizeof(*journal_disk));
	if (journal_disk)
		get_journal(journal_disk, &node, &rest);
	if (!rest.fault) {
		node.path = get_string(&rest, le32_get(disk->path_nbytes), STREAM_PATH_MAX);
		node.target = get_optional(&rest, le32_get(disk->target_nbytes), STREAM_TARGET_MAX);
	}
	if (journal && !rest.fault)
		node.staged =
			get_optional(&rest, le32_get(journal_disk->staged_nbytes), STREAM_NAME_MAX);
	if (!rest.fault && le32_get(disk->xattrs_nbytes) != (size_t)(rest.end - rest.next))
		rest.fault = true;
	if (!rest.fault)
		r = get_xattrs(&rest, le32_get(disk->nxattrs), items, room, &node.meta.xattrs);
	if (r < 0)
		return r;
	if (rest.fault || rest.next != rest.end) {
		*ret_why = "its fields make no sense";
		return -EBADMSG;
	}
	*ret = node;
	return 0;
}
