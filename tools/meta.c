/* SPDX-License-Identifier: GPL-2.0-or-later */
/* meta.c - what a file is besides its content: mode, owner, times, xattrs and ACLs */
#include "config.h"

#include "tools/beneath.h"
#include "tools/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int meta_read(int fd, struct meta *ret)
{
	struct meta meta;
	int r;

	if (fstat(fd, &meta.st) < 0)
		return -errno;
	r = xattrs_read(fd, &meta.xattrs);
	if (r == 0)
		*ret = meta;
	return r;
}

void meta_destroy(struct meta *meta)
{
	xattrs_destroy(&meta->xattrs);
}

/* May this process give its files to that group? */
static bool may_set_group(gid_t gid)
{
	bool may = geteuid() == 0 || getegid() == gid;
	int n = may ? 0 : getgroups(0, NULL);
	gid_t *groups = n > 0 ? calloc((size_t)n, sizeof(*groups)) : NULL;

	n = groups ? getgroups(n, groups) : 0;
	for (int i = 0; i < n && !may; i++)
		may = groups[i] == gid;
	free(groups);
	return may;
}

unsigned int meta_compare(const struct meta *source, const struct meta *dest)
{
	const struct stat *a = &source->st, *b = &dest->st;
	unsigned int differs = 0;

	if (!S_ISLNK(a->st_mode) && ((a->st_mode ^ b->st_mode) & 07777))
		differs |= META_MODE;
	if (a->st_uid != b->st_uid && geteuid() == 0)
		differs |= META_OWNER;
	if (a->st_gid != b->st_gid && may_set_group(a->st_gid))
		differs |= META_GROUP;
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
		differs |= META_MTIME;
	if (xattrs_difference(&source->xattrs, &dest->xattrs))
		differs |= META_XATTRS;
	return differs;
}

/* Our user.* xattrs want the owner's write permission; root needs none. */
static int make_writable(const char *path, const struct stat *st)
{
	if (geteuid() == 0 || S_ISLNK(st->st_mode) || (st->st_mode & S_IWUSR))
		return 0;
	return chmod(path, (st->st_mode & 07777) | S_IWUSR) < 0 ? -errno : 0;
}

static int apply_owner(int fd, const struct stat *want, unsigned int differs,
		       struct meta_refusal *refusal)
{
	uid_t uid = differs & META_OWNER ? want->st_uid : (uid_t)-1;
	gid_t gid = differs & META_GROUP ? want->st_gid : (gid_t)-1;

	if (!(differs & (META_OWNER | META_GROUP)))
		return 0;
	if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != EPERM && errno != EINVAL && errno != EOPNOTSUPP)
		return -errno;
	refusal->what |= differs & (META_OWNER | META_GROUP);
	refusal->error = -errno;
	return 0;
}

static int apply_mode(const char *path, const struct stat *want, struct meta_refusal *refusal)
{
	if (S_ISLNK(want->st_mode) || chmod(path, want->st_mode & 07777) == 0)
		return 0;
	if (errno != EPERM && errno != EOPNOTSUPP)
		return -errno;
	refusal->what |= META_MODE;
	refusal->error = -errno;
	return 0;
}

static int reread(int fd, struct meta *meta)
{
	struct meta fresh;
	int r = meta_read(fd, &fresh);

	if (r < 0)
		return r;
	meta_destroy(meta);
	*meta = fresh;
	return 0;
}

/*
 * The order matters.  A change of owner clears set-user-id bits and file capabilities, so
 * it comes first; an ACL changes the mode's group bits, so the mode comes after it; times last.
 */
int meta_apply(const struct meta *source, int fd, struct meta *dest, struct meta_refusal *ret)
{
	struct timespec times[2] = { source->st.st_atim, source->st.st_mtim };
	struct meta_refusal refusal = { 0 };
	char path[BENEATH_PROC];
	unsigned int differs;
	int r = reread(fd, dest);

	if (r < 0)
		return r;
	beneath_proc(fd, path);
	differs = meta_compare(source, dest);
	r = apply_owner(fd, &source->st, differs, &refusal);
	if (r == 0 && (differs & (META_OWNER | META_GROUP)))
		r = reread(fd, dest);
	if (r == 0 && xattrs_difference(&source->xattrs, &dest->xattrs)) {
		r = make_writable(path, &dest->st);
		if (r == 0)
			r = xattrs_apply(fd, &source->xattrs, &dest->xattrs, &refusal.xattr);
		if (refusal.xattr)
			refusal.what |= META_XATTRS;
		if (r == 0 && fstat(fd, &dest->st) < 0)
			r = -errno;
	}
	if (r == 0 && (meta_compare(source, dest) & META_MODE))
		r = apply_mode(path, &source->st, &refusal);
	if (r == 0 && (differs & META_MTIME) && utimensat(AT_FDCWD, path, times, 0) < 0)
		r = -errno;
	if (r == 0)
		*ret = refusal;
	return r;
}
