/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle_names.h - the part of oracle.c that changes names and metadata
 */
#ifndef TESTS_CLIENTS_ORACLE_NAMES_H
#define TESTS_CLIENTS_ORACLE_NAMES_H

#include "tests/clients/oracle_base.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static void do_create(void)
{
	int flags = O_RDWR | O_CREAT | O_CLOEXEC | (chance(50) ? O_EXCL : O_NOFOLLOW);
	int fd = openat(top, any_path('f').text, flags | O_NONBLOCK, (mode_t)below(01000) | 0600);

	if (did_or("create", fd, EACCES))
		close(fd);
}

/* Over another, in place of another and the other way round, or where there is none. */
static void do_rename(void)
{
	static const unsigned int flags[] = { 0, 0, RENAME_EXCHANGE, RENAME_NOREPLACE };
	char kind = chance(85) ? 'f' : 'p';
	struct path from = any_path(kind), to = any_path(kind);
	unsigned int flag = flags[below(4)];

	if (chance(10)) {
		from = any_image();
		to = any_image();
		flag = RENAME_EXCHANGE;
	}
	did("rename", renameat2(top, from.text, top, to.text, flag));
}

static void do_rename_directory(void)
{
	did("rename", renameat2(top, any_directory(), top, any_directory(),
				chance(50) ? RENAME_EXCHANGE : 0));
}

static void do_link(void)
{
	char kind = chance(90) ? 'f' : 'p';

	/* EPERM: of a directory */
	did_or("link", linkat(top, any_path(kind).text, top, any_path(kind).text, 0), EPERM);
}

static void do_symlink(void)
{
	did("symlink", symlinkat(any_path('f').text, top, any_path('f').text));
}

static void do_special(void)
{
	struct path path = any_path('p');

	if (geteuid() == 0 && chance(30))
		did("mknod", mknodat(top, path.text, (chance(50) ? S_IFCHR : S_IFBLK) | 0600,
				     makedev(below(300), below(70000))));
	else
		did("mknod", mknodat(top, path.text, (chance(70) ? S_IFIFO : S_IFSOCK) | 0640, 0));
}

static void do_unlink(void)
{
	did("unlink", unlinkat(top, any_path(chance(80) ? 'f' : 'p').text, 0));
}

static void do_mkdir(void)
{
	did("mkdir", mkdirat(top, any_directory(), (mode_t)below(01000) | 0700));
}

/* Most directories are not empty, so it empties one first. */
static void do_rmdir(void)
{
	const char *path = any_directory();
	struct dirent *entry;
	DIR *dir;
	int fd = openat(top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!did("open directory", fd))
		return;
	dir = fdopendir(fd);
	if (!dir)
		fatal("open directory", errno);
	while ((errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			did("unlink", unlinkat(fd, entry->d_name, 0));
	if (errno != 0)
		did("read directory", -1);
	closedir(dir);
	did("rmdir", unlinkat(top, path, AT_REMOVEDIR));
}

/* ---- metadata ---- */

static void do_chmod(void)
{
	mode_t mode = (mode_t)below(010000) | (geteuid() == 0 ? 0 : 0700);
	struct path path = anything();
	struct stat st;

	/* there is no fchmodat that does not follow */
	if (did("stat", fstatat(top, path.text, &st, AT_SYMLINK_NOFOLLOW)) && !S_ISLNK(st.st_mode))
		did("chmod", fchmodat(top, path.text, mode, 0));
}

static void do_chown(void)
{
	did("chown", fchownat(top, anything().text, chance(30) ? (uid_t)-1 : (uid_t)below(4),
			      chance(30) ? (gid_t)-1 : (gid_t)below(4), AT_SYMLINK_NOFOLLOW));
}

static void do_times(void)
{
	struct timespec times[2] = {
		{ .tv_sec = (time_t)below(INT32_MAX), .tv_nsec = (long)below(1000000000) },
		{ .tv_sec = (time_t)below(INT32_MAX), .tv_nsec = (long)below(1000000000) },
	};

	if (chance(20))
		times[1].tv_nsec = UTIME_NOW;
	did("utimens", utimensat(top, anything().text, times, AT_SYMLINK_NOFOLLOW));
}

/* user.* go with files and directories only, which is said with EPERM. */
static void do_xattr(void)
{
	struct path path = anything();
	char name[16], value[200];
	size_t n = below(sizeof(value));
	int r;

	snprintf(name, sizeof(name), "%s.%c", geteuid() == 0 && chance(20) ? "trusted" : "user",
		 (char)('a' + below(4)));
	memset(value, 'a' + (int)below(26), n);
	r = chance(70) ? lsetxattr(path.text, name, value, n, 0) : lremovexattr(path.text, name);
	did_or("set xattr", r, EPERM);
}

/* As in linux/posix_acl_xattr.h: version 2, then tag, permissions and id of each entry. */
static void do_acl(void)
{
	static const uint16_t tags[] = { 0x01, 0x02, 0x04, 0x10, 0x20 };
	struct path path = anything();
	struct {
		uint32_t version;
		struct {
			uint16_t tag, permissions;
			uint32_t id;
		} entries[5];
	} acl = { .version = 2 };
	bool is_default = chance(20);

	for (size_t i = 0; i < 5; i++) {
		acl.entries[i].tag = tags[i];
		acl.entries[i].permissions = (uint16_t)(i == 0 ? 7 : below(8));
		acl.entries[i].id = tags[i] == 0x02 ? (uint32_t)below(5) : UINT32_MAX;
	}
	if (is_default)
		snprintf(path.text, sizeof(path.text), "%s", any_directory());
	/* EACCES: a default one, of a file */
	did_or("set acl",
	       lsetxattr(path.text,
			 is_default ? "system.posix_acl_default" : "system.posix_acl_access", &acl,
			 sizeof(acl), 0),
	       EACCES);
}

#endif
