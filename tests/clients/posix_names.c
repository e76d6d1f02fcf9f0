/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * posix_names.c - posix_names DIRECTORY CHECK...: what programs rely on in directories
 *
 * Each check works in DIRECTORY, which it leaves as it found it.  They hold on
 * any local filesystem: the test runs them there first.
 */
#include "config.h"

#include "expect.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NMANY 10000

static struct stat stat_of(const char *name)
{
	struct stat st;

	EXPECT(lstat(name, &st) == 0);
	return st;
}

static bool exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static void make(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	EXPECT(fd >= 0 && close(fd) == 0);
}

static ino_t inode_of(const char *name)
{
	return stat_of(name).st_ino;
}

static void renames(void)
{
	ino_t a, b;

	make("a");
	make("b");
	a = inode_of("a");
	b = inode_of("b");
	EXPECT_ERROR(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
	EXPECT(inode_of("a") == a && inode_of("b") == b);
	EXPECT(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0);
	EXPECT(inode_of("a") == b && inode_of("b") == a);
	EXPECT_ERROR(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_EXCHANGE), ENOENT);
	EXPECT(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE) == 0);
	EXPECT(!exists("a") && inode_of("c") == b);
	EXPECT_ERROR(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_NOREPLACE | RENAME_EXCHANGE),
		     EINVAL);
	EXPECT(rename("b", "c") == 0 && inode_of("c") == a && !exists("b"));
	EXPECT_ERROR(rename("b", "c"), ENOENT);
	/* over a hard link of itself nothing happens */
	EXPECT(link("c", "d") == 0 && rename("c", "d") == 0 && exists("c") && exists("d"));
	EXPECT(unlink("c") == 0 && unlink("d") == 0);
}

static void directory_renames(void)
{
	EXPECT(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0 && mkdir("f", 0755) == 0);
	make("d/e/file");
	make("file");
	EXPECT_ERROR(rename("d", "d/e/d"), EINVAL);
	EXPECT_ERROR(rename("f", "d"), ENOTEMPTY);
	EXPECT_ERROR(rename("file", "d"), EISDIR);
	EXPECT_ERROR(rename("d", "file"), ENOTDIR);
	EXPECT(rename("d", "f") == 0 && exists("f/e/file") && !exists("d"));
	EXPECT(renameat2(AT_FDCWD, "f", AT_FDCWD, "file", RENAME_EXCHANGE) == 0);
	EXPECT(exists("file/e/file"));
	EXPECT(rename("file/e/file", "moved") == 0 && exists("moved"));
	EXPECT_ERROR(rmdir("file"), ENOTEMPTY);
	EXPECT_ERROR(unlink("file"), EISDIR);
	EXPECT_ERROR(rmdir("moved"), ENOTDIR);
	EXPECT(rmdir("file/e") == 0 && rmdir("file") == 0);
	EXPECT(unlink("moved") == 0 && unlink("f") == 0);
}

static void links(void)
{
	char target[64];
	ssize_t n;

	make("a");
	EXPECT(link("a", "b") == 0);
	EXPECT(inode_of("a") == inode_of("b") && stat_of("a").st_nlink == 2);
	EXPECT_ERROR(link("a", "b"), EEXIST);
	EXPECT(unlink("a") == 0 && stat_of("b").st_nlink == 1);
	EXPECT(mkdir("d", 0755) == 0);
	EXPECT_ERROR(link("d", "e"), EPERM);

	EXPECT(symlink("some/where", "s") == 0);
	n = readlink("s", target, sizeof(target));
	EXPECT(n == 10 && memcmp(target, "some/where", 10) == 0 && stat_of("s").st_size == 10);
	EXPECT_ERROR(open("s", O_RDONLY), ENOENT);
	EXPECT_ERROR(open("s", O_RDONLY | O_NOFOLLOW), ELOOP);
	EXPECT(linkat(AT_FDCWD, "s", AT_FDCWD, "t", 0) == 0 && inode_of("s") == inode_of("t"));
	EXPECT_ERROR(symlink("x", "s"), EEXIST);
	EXPECT(unlink("s") == 0 && unlink("t") == 0 && unlink("b") == 0 && rmdir("d") == 0);
}

static void special_files(void)
{
	EXPECT(mkfifo("fifo", 0600) == 0 && S_ISFIFO(stat_of("fifo").st_mode));
	EXPECT(mknod("file", S_IFREG | 0604, 0) == 0 && S_ISREG(stat_of("file").st_mode));
	EXPECT(mknod("socket", S_IFSOCK | 0600, 0) == 0 && S_ISSOCK(stat_of("socket").st_mode));
	EXPECT((stat_of("file").st_mode & 07777) == 0604);
	if (geteuid() == 0) {
		EXPECT(mknod("null", S_IFCHR | 0600, makedev(1, 3)) == 0);
		EXPECT(stat_of("null").st_rdev == makedev(1, 3));
		EXPECT(unlink("null") == 0);
	}
	EXPECT(unlink("fifo") == 0 && unlink("file") == 0 && unlink("socket") == 0);
}

static void long_names(void)
{
	char name[258];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	make(name);
	EXPECT(exists(name) && unlink(name) == 0);
	name[255] = 'n';
	name[256] = '\0';
	EXPECT_ERROR(open(name, O_RDONLY | O_CREAT, 0644), ENAMETOOLONG);
	make(" \n\"\\\377");
	EXPECT(exists(" \n\"\\\377") && unlink(" \n\"\\\377") == 0);
}

static int index_of(const struct dirent *d)
{
	int index = -1;

	if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
		EXPECT(sscanf(d->d_name, "name-%d", &index) == 1 && index >= 0 && index < NMANY);
	return index;
}

/*
 * Each name once, however large the directory; with telldir and seekdir too.  The directory
 * may be there already, with the names in it.
 */
static void big_directory(void)
{
	static bool seen[NMANY], seen_again[NMANY];
	struct dirent *d;
	long middle = 0;
	char name[32];
	int n = 0;
	DIR *dir;

	if (mkdir("big", 0755) == 0) {
		for (int i = 0; i < NMANY; i++) {
			snprintf(name, sizeof(name), "big/name-%d", i);
			make(name);
		}
	}
	EXPECT(chdir("big") == 0);
	dir = opendir(".");
	EXPECT(dir);
	for (int round = 0; round < 2; round++) {
		memset(seen, 0, sizeof(seen));
		for (n = 0; (d = readdir(dir)); n++) {
			if (index_of(d) < 0)
				continue;
			EXPECT(!seen[index_of(d)]);
			seen[index_of(d)] = true;
			if (n == NMANY / 2) {
				middle = telldir(dir);
				memcpy(seen_again, seen, sizeof(seen));
			}
		}
		EXPECT(n == NMANY + 2);
		rewinddir(dir);
	}
	seekdir(dir, middle);
	while ((d = readdir(dir))) {
		EXPECT(!seen_again[index_of(d)]);
		seen_again[index_of(d)] = true;
	}
	for (int i = 0; i < NMANY; i++)
		EXPECT(seen_again[i]);
	/* removing what is read leaves nothing out */
	rewinddir(dir);
	while ((d = readdir(dir)))
		if (index_of(d) >= 0)
			EXPECT(unlink(d->d_name) == 0);
	EXPECT(closedir(dir) == 0);
	EXPECT(chdir("..") == 0 && rmdir("big") == 0);
}

/* The type and inode number that a listing gives are those that stat gives. */
static void listed_types(void)
{
	struct dirent *d;
	int n = 0;
	DIR *dir;

	EXPECT(mkdir("d", 0755) == 0 && chdir("d") == 0);
	make("file");
	EXPECT(mkdir("dir", 0755) == 0 && symlink("x", "link") == 0 && mkfifo("fifo", 0644) == 0);
	dir = opendir(".");
	EXPECT(dir);
	while ((d = readdir(dir))) {
		if (strcmp(d->d_name, "..") == 0)
			continue;
		EXPECT(stat_of(d->d_name).st_ino == d->d_ino);
		EXPECT(d->d_type == DT_UNKNOWN || d->d_type == IFTODT(stat_of(d->d_name).st_mode));
		n++;
	}
	EXPECT(n == 5 && closedir(dir) == 0);
	EXPECT(unlink("file") == 0 && rmdir("dir") == 0 && unlink("link") == 0);
	EXPECT(unlink("fifo") == 0 && chdir("..") == 0 && rmdir("d") == 0);
}

/* A directory that is gone but open is empty, and nothing can be made in it. */
static void removed_directory(void)
{
	struct stat st;
	int fd;

	EXPECT(mkdir("d", 0755) == 0);
	fd = open("d", O_RDONLY | O_DIRECTORY);
	EXPECT(fd >= 0 && fsync(fd) == 0 && rmdir("d") == 0);
	EXPECT(fstat(fd, &st) == 0);
	EXPECT_ERROR(openat(fd, "f", O_CREAT | O_WRONLY, 0644), ENOENT);
	EXPECT(close(fd) == 0);
}

static void modes(void)
{
	mode_t old = umask(027);

	EXPECT(mkdir("d", 0777) == 0 && (stat_of("d").st_mode & 07777) == 0750);
	EXPECT(close(open("f", O_CREAT | O_WRONLY, 0666)) == 0);
	EXPECT((stat_of("f").st_mode & 07777) == 0640);
	umask(0);
	EXPECT(close(open("g", O_CREAT | O_RDWR, 0444)) == 0);
	EXPECT((stat_of("g").st_mode & 07777) == 0444);
	EXPECT(chmod("f", 06755) == 0 && (stat_of("f").st_mode & 07777) == 06755);
	EXPECT(chmod("d", 01777) == 0 && (stat_of("d").st_mode & 07777) == 01777);
	EXPECT(chmod("d", 02755) == 0 && mkdir("d/e", 0755) == 0);
	EXPECT((stat_of("d/e").st_mode & 07777) == 02755);
	EXPECT(rmdir("d/e") == 0 && rmdir("d") == 0 && unlink("f") == 0 && unlink("g") == 0);
	umask(old);
}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{ "rename", renames },	      { "rename-directories", directory_renames },
	{ "links", links },	      { "special-files", special_files },
	{ "long-names", long_names }, { "big-directory", big_directory },
	{ "types", listed_types },    { "removed-directory", removed_directory },
	{ "modes", modes },
};

int main(int argc, char **argv)
{
	const size_t nchecks = sizeof(checks) / sizeof(checks[0]);

	if (argc < 3)
		return 2;
	EXPECT(chdir(argv[1]) == 0);
	for (int i = 2; i < argc; i++) {
		size_t j = 0;

		while (j < nchecks && strcmp(checks[j].name, argv[i]) != 0)
			j++;
		if (j == nchecks) {
			fprintf(stderr, "no check '%s'\n", argv[i]);
			return 2;
		}
		checks[j].run();
	}
	return 0;
}
