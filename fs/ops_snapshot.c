/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ops_snapshot.c - requests for the names and attributes of what is in snapshots */
#include "config.h"

#include "fs/ops_snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Seconds for which the kernel may rely on attributes of what is in a snapshot. */
#define ATTR_TIMEOUT 86400.0

static char snapshot_name[] = "snapshot";
static struct mfs_snapshot_entry state_entries[] = { { snapshot_name, &mfs_snapshot_dir } };

/* Their attributes are those of the source but for these. */
struct mfs_snapshot_node mfs_state_dir = {
	.st = { .st_ino = UINT64_MAX - 1, .st_mode = S_IFDIR | 0555 },
	.fd = -1,
	.parent = &mfs_state_dir,
	.entries = state_entries,
	.nentries = 1,
};

struct mfs_snapshot_node mfs_snapshot_dir = {
	.st = { .st_ino = UINT64_MAX - 2, .st_mode = S_IFDIR | 0555 },
	.fd = -1,
	.parent = &mfs_state_dir,
};

bool mfs_snapshot_begin(fuse_req_t req, const struct mfs_snapshot_node *node)
{
	if (!node->snapshot || mfs_snapshot_use(node->snapshot))
		return true;
	mfs_reply(req, -ESTALE);
	return false;
}

void mfs_snapshot_end(const struct mfs_snapshot_node *node)
{
	if (node->snapshot)
		mfs_snapshot_unuse(node->snapshot);
}

static struct stat virtual_attributes(const struct mfs *fs, const struct mfs_snapshot_node *node)
{
	struct stat st;

	if (fstat(fs->source_fd, &st) < 0)
		memset(&st, 0, sizeof(st));
	st.st_ino = node->st.st_ino;
	st.st_mode = node->st.st_mode;
	st.st_nlink = 1; /* unknown, to those who count directories by it */
	st.st_size = 0;
	st.st_blocks = 0;
	return st;
}

struct stat mfs_snapshot_attributes(const struct mfs *fs, const struct mfs_snapshot_node *node)
{
	struct stat st;

	if (!node->snapshot)
		return virtual_attributes(fs, node);
	st = mfs_attributes(fs, &node->st);
	/* not the factor of mfs_attributes(), or a snapshot could pass for a device */
	st.st_ino ^= mfs_snapshot_id(node->snapshot) * UINT64_C(0xbf58476d1ce4e5b9);
	return st;
}

/*
 * A snapshot comes and goes: its name is looked up whenever it is used.  Those in it stay, but one
 * that the kernel may rely on it also keeps when nobody uses it any more, and our nodes with it.
 */
static double entry_timeout(const struct mfs_snapshot_node *node)
{
	return node->snapshot && node == mfs_snapshot_top(node->snapshot) ? 0 : MFS_TIMEOUT;
}

static double attr_timeout(const struct mfs_snapshot_node *node)
{
	return node->snapshot ? ATTR_TIMEOUT : MFS_TIMEOUT;
}

struct fuse_entry_param mfs_snapshot_entry(const struct mfs *fs,
					   const struct mfs_snapshot_node *node)
{
	return (struct fuse_entry_param){
		.ino = mfs_snapshot_number(node),
		.attr = mfs_snapshot_attributes(fs, node),
		.attr_timeout = attr_timeout(node),
		.entry_timeout = entry_timeout(node),
	};
}

/* Answers with a node that a reference was taken for. */
static void reply_node(fuse_req_t req, const struct mfs_snapshot_node *node)
{
	struct fuse_entry_param entry = mfs_snapshot_entry(mfs_of(req), node);

	/* -ENOENT: the asker is gone, and the kernel has not counted this lookup */
	if (fuse_reply_entry(req, &entry) == -ENOENT && node->snapshot)
		mfs_snapshot_unref(node->snapshot, 1);
}

void mfs_snapshot_reply_state_dir(fuse_req_t req)
{
	reply_node(req, &mfs_state_dir);
}

static void lookup_snapshot(fuse_req_t req, const char *name)
{
	struct mfs_snapshot *snapshot = mfs_snapshot_get(mfs_of(req), name);

	if (snapshot)
		reply_node(req, mfs_snapshot_top(snapshot));
	else
		mfs_reply(req, -ENOENT);
}

static void lookup_in(fuse_req_t req, const struct mfs_snapshot_node *dir, const char *name)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_tree_find(dir, name);

	if (!node) {
		mfs_reply(req, -ENOENT);
		return;
	}
	if (node->snapshot)
		mfs_snapshot_ref(node->snapshot, 1);
	reply_node(req, node);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct mfs_snapshot_node *dir = mfs_snapshot_node_of(parent);

	if (dir == &mfs_snapshot_dir) {
		lookup_snapshot(req, name);
	} else if (mfs_snapshot_begin(req, dir)) {
		lookup_in(req, dir, name);
		mfs_snapshot_end(dir);
	}
}

void mfs_snapshot_forget(fuse_ino_t ino, uint64_t nlookup)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);

	if (node->snapshot)
		mfs_snapshot_unref(node->snapshot, nlookup);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);
	struct stat st;

	(void)fi;
	if (!mfs_snapshot_begin(req, node))
		return;
	st = mfs_snapshot_attributes(mfs_of(req), node);
	fuse_reply_attr(req, &st, attr_timeout(node));
	mfs_snapshot_end(node);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs sfs;

	(void)ino;
	if (fstatvfs(mfs_of(req)->source_fd, &sfs) < 0)
		mfs_reply(req, -errno);
	else
		fuse_reply_statfs(req, &sfs);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);

	if (!mfs_snapshot_begin(req, node))
		return;
	if (node->target)
		fuse_reply_readlink(req, node->target);
	else
		mfs_reply(req, -EINVAL);
	mfs_snapshot_end(node);
}

static void reply_xattr(fuse_req_t req, const struct mfs_snapshot_node *node, const char *name,
			size_t size)
{
	for (size_t i = 0; i < node->nxattrs; i++) {
		const struct mfs_snapshot_xattr *xattr = &node->xattrs[i];

		if (strcmp(xattr->name, name) == 0) {
			mfs_reply_xattr(req, xattr->value, (ssize_t)xattr->nbytes, size);
			return;
		}
	}
	mfs_reply(req, node->xattr_error ? node->xattr_error : -ENODATA);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);

	if (mfs_snapshot_begin(req, node)) {
		reply_xattr(req, node, name, size);
		mfs_snapshot_end(node);
	}
}

/* The names, each with its NUL, one after the other. */
static ssize_t list_xattrs(const struct mfs_snapshot_node *node, char **ret)
{
	size_t nbytes = 0;
	char *list, *to;

	for (size_t i = 0; i < node->nxattrs; i++)
		nbytes += strlen(node->xattrs[i].name) + 1;
	list = malloc(nbytes + 1);
	if (!list)
		return -ENOMEM;
	to = list;
	for (size_t i = 0; i < node->nxattrs; i++)
		to = stpcpy(to, node->xattrs[i].name) + 1;
	*ret = list;
	return (ssize_t)nbytes;
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	const struct mfs_snapshot_node *node = mfs_snapshot_node_of(ino);
	char *list = NULL;
	ssize_t n;

	if (!mfs_snapshot_begin(req, node))
		return;
	n = node->xattr_error ? node->xattr_error : list_xattrs(node, &list);
	mfs_reply_xattr(req, list, n, size);
	free(list);
	mfs_snapshot_end(node);
}

/* Nothing is kept for what is open, and nothing is ever written. */
static void op_done(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	mfs_reply(req, 0);
}

static void op_sync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	op_done(req, ino, fi);
}

const struct fuse_lowlevel_ops mfs_snapshot_ops = {
	.lookup = op_lookup,
	.getattr = op_getattr,
	.statfs = op_statfs,
	.readlink = op_readlink,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.opendir = mfs_snapshot_op_opendir,
	.readdir = mfs_snapshot_op_readdir,
	.readdirplus = mfs_snapshot_op_readdirplus,
	.releasedir = op_done,
	.fsyncdir = op_sync,
	.open = mfs_snapshot_op_open,
	.read = mfs_snapshot_op_read,
	.lseek = mfs_snapshot_op_lseek,
	.flush = op_done,
	.fsync = op_sync,
	.release = op_done,
	.ioctl = mfs_snapshot_op_ioctl,
};
