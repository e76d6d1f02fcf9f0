/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle.c - random changes of a tree by several processes, with an account of them
 *
 *   oracle DIR SEED PROCESSES OPERATIONS
 *
 * Each process does that many operations (0: without end) in DIR: everything that changes
 * bytes, sizes, names or metadata.  Files named image0 .. image3 are changed if they are
 * there, but never removed nor moved by much; all others come and go.  What one process
 * does fails now and then because of another: that is counted, and no error.  At
 * the end there is one line:
 *
 *   oracle: seed=S processes=N operations=N refused=N bytes=B ranges=R
 *
 * At most B bytes in R ranges were changed, so that with blocks of K bytes a copy of the
 * blocks that changed is at most B + 2 * R * K bytes.  Bytes that were only cut off don't
 * count, those that a collapse or an insertion moves do.
 *
 * Locks keep the account right: who may change the size of a file has it locked
 * exclusively, reads back what it wrote, and fails if that isn't there; who overwrites
 * bytes shares the lock with others who do.
 *
 * What is written tells who wrote it: 32 bytes with offset, seed, process and operation, so
 * that a look into a file that differs says what was missed.
 *
 * Exit codes: 0; 1 something that must not fail failed; 75 the filesystem went away.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define EXIT_GONE 75
#define UNIT 4096u		 /* of O_DIRECT, and of collapsing and inserting */
#define LENGTH_MAX (96u << 10)	 /* of one change */
#define SMALL_MAX (2u << 20)	 /* size of a file that comes and goes */
#define NIMAGES 4u
#define NFILES 5u

struct account {
	_Atomic uint64_t operations, refused, bytes, ranges;
};

static struct account *account; /* shared by all processes */
static uint64_t seed, rng;
static uint32_t process, operation;
static const char *operation_name;
static int top = -1;
static unsigned char *buffer, *back; /* LENGTH_MAX, aligned */

static uint64_t next_random(void)
{
	uint64_t z = rng += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
	return n ? next_random() % n : 0;
}

static bool chance(unsigned int percent)
{
	return below(100) < percent;
}

/* ---- how it went ---- */

/* Every statfs goes to the daemon: nothing else tells for sure whether there is one. */
static bool is_gone(void)
{
	struct statfs sfs;

	return fstatfs(top, &sfs) < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

/* A page of a mapping that can't be had: so it is when the daemon has died. */
static void on_bus_error(int signal_number)
{
	(void)signal_number;
	_exit(is_gone() ? EXIT_GONE : 1);
}

static void __attribute__((noreturn)) fatal(const char *what, int error)
{
	if (is_gone())
		exit(EXIT_GONE);
	fprintf(stderr, "oracle: seed %" PRIu64 ", process %u, operation %u (%s): %s: %s\n", seed,
		process, operation, operation_name, what, error ? strerror(error) : "wrong");
	exit(1);
}

/* Errors that come of what others did, or of what the filesystem does not have. */
static bool is_tolerable(int error)
{
	static const int errors[] = { ENOENT, EEXIST,	 ENOTDIR, EISDIR, ENOTEMPTY,  EBUSY, ELOOP,
				      EINVAL, EMLINK,	 ESTALE,  ENXIO,  EOPNOTSUPP, ENODATA,
				      EXDEV,  EWOULDBLOCK };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (error == errors[i])
			return true;
	return geteuid() != 0 && (error == EPERM || error == EACCES);
}

/* True if the call succeeded. */
static bool did(const char *what, int64_t result)
{
	if (result >= 0)
		return true;
	if (!is_tolerable(errno))
		fatal(what, errno);
	atomic_fetch_add(&account->refused, 1);
	return false;
}

/* The same, where one more error is as good. */
static bool did_or(const char *what, int result, int error)
{
	if (result >= 0 || errno != error)
		return did(what, result);
	atomic_fetch_add(&account->refused, 1);
	return false;
}

static void changes(uint64_t nbytes)
{
	atomic_fetch_add(&account->bytes, nbytes);
	atomic_fetch_add(&account->ranges, 1);
}

/* ---- names ---- */

static const char *const directories[] = { "a", "b", "a/c", "e" };
#define NDIRECTORIES (sizeof(directories) / sizeof(directories[0]))

static const char *any_directory(void)
{
	return directories[below(NDIRECTORIES)];
}

struct path {
	char text[64];
};

/* A name of the pool: of special files if kind is 'p', else of anything; few, to collide. */
static struct path any_path(char kind)
{
	struct path path;

	if (kind == 'f' && chance(3))
		snprintf(path.text, sizeof(path.text), "%s", any_directory());
	else if (chance(50))
		snprintf(path.text, sizeof(path.text), "%c%u", kind, (unsigned int)below(NFILES));
	else
		snprintf(path.text, sizeof(path.text), "%s/%c%u", any_directory(), kind,
			 (unsigned int)below(NFILES));
	return path;
}

static struct path any_image(void)
{
	struct path path;

	snprintf(path.text, sizeof(path.text), "image%u", (unsigned int)below(NIMAGES));
	return path;
}

/* Whatever may be there. */
static struct path anything(void)
{
	struct path path = any_path(chance(80) ? 'f' : 'p');

	if (chance(15))
		snprintf(path.text, sizeof(path.text), "%s", any_directory());
	return chance(25) ? any_image() : path;
}

/* ---- bytes ---- */

static void describe(unsigned char *buf, uint64_t offset, size_t n)
{
	bool zeros = chance(5);

	for (size_t i = 0; i < n; i++) {
		uint64_t position = offset + i, record = position & ~UINT64_C(31);
		uint64_t words[4] = { record, seed, (uint64_t)process << 32 | operation,
				      (record ^ seed) * UINT64_C(0x9e3779b97f4a7c15) + operation };

		buf[i] = zeros ? 0 : (unsigned char)(words[position / 8 % 4] >> position % 8 * 8);
	}
}

struct image {
	int fd;
	bool big, exclusive;
	uint64_t size;
	struct path path;
};

/* Opens any file for writing and locks it; false if there is none. */
static bool open_path(struct image *image, struct path path, int flags, int lock)
{
	struct stat st;

	image->path = path;
	image->exclusive = (lock & LOCK_EX) != 0;
	image->fd = openat(top, path.text,
			   O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | flags, 0644);
	/* EACCES: another's file in a sticky directory that anybody may write to */
	if (!did_or("open", image->fd, EACCES))
		return false;
	if (did("flock", flock(image->fd, lock)) && did("fstat", fstat(image->fd, &st)) &&
	    S_ISREG(st.st_mode)) {
		image->size = (uint64_t)st.st_size;
		image->big = strncmp(path.text, "image", 5) == 0;
		return true;
	}
	close(image->fd);
	return false;
}

static bool open_any(struct image *image, int flags, int lock)
{
	return open_path(image, chance(50) ? any_image() : any_path('f'), flags, lock);
}

/* The descriptor is the lock's: it is closed last. */
static void close_image(struct image *image)
{
	close(image->fd);
}

/* The same file by another description, or -1. */
static int reopen(const struct image *image, int flags)
{
	char link[32];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", image->fd);
	fd = open(link, flags | O_CLOEXEC);
	return did("reopen", fd) ? fd : -1;
}

static uint64_t size_limit(const struct image *image)
{
	return image->big ? image->size : SMALL_MAX;
}

/* A range to be changed: within the file, or beyond its end where the lock allows that. */
static bool any_range(const struct image *image, uint64_t unit, uint64_t *ret_offset,
		      size_t *ret_n)
{
	uint64_t limit = image->exclusive ? size_limit(image) : image->size;
	uint64_t n = chance(30) ? 1 + below(300) : 1 + below(LENGTH_MAX), offset;

	if (chance(30))
		n = (n + UNIT - 1) / UNIT * UNIT;
	n = (n + unit - 1) / unit * unit;
	if (image->exclusive && !image->big && chance(70))
		limit = image->size + 64 * 1024; /* not too far beyond the end */
	if (limit > SMALL_MAX && !image->big)
		limit = SMALL_MAX;
	if (n > limit || n > LENGTH_MAX)
		return false;
	offset = below(limit - n + 1);
	if (chance(40))
		offset = offset / UNIT * UNIT;
	*ret_offset = offset / unit * unit;
	*ret_n = (size_t)n;
	return true;
}

/* The part that a write changes: what lies between the old end and it turns to zeros. */
static void changes_from(const struct image *image, uint64_t offset, uint64_t n)
{
	changes(offset > image->size ? offset + n - image->size : n);
}

/* Nobody else may have changed it meanwhile, so it has to be there, by whatever way. */
static void check_back(const struct image *image, uint64_t offset, size_t n)
{
	int fd = reopen(image, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return;
	got = pread(fd, back, n, (off_t)offset);
	if (got < 0)
		fatal("read back", errno);
	if ((size_t)got != n || memcmp(back, buffer, n) != 0)
		fatal("what was written is not what is read", 0);
	close(fd);
}

static void write_range(int extra_flags, uint64_t unit)
{
	int lock = chance(50) ? LOCK_EX : LOCK_SH, fd;
	uint64_t offset;
	struct image image;
	ssize_t done;
	size_t n;

	if (!open_any(&image, chance(60) ? O_CREAT : 0, lock))
		return;
	fd = any_range(&image, unit, &offset, &n) ? reopen(&image, O_RDWR | extra_flags) : -1;
	if (fd >= 0) {
		describe(buffer, offset, n);
		changes_from(&image, offset, n);
		done = pwrite(fd, buffer, n, (off_t)offset);
		if (did("write", done) && (size_t)done != n)
			fatal("short write", 0);
		if (done > 0 && image.exclusive && chance(50))
			check_back(&image, offset, n);
		close(fd);
	}
	close_image(&image);
}

static void do_write(void)
{
	write_range(0, 1);
}

static void do_write_direct(void)
{
	write_range(O_DIRECT, UNIT);
}

static void do_write_sync(void)
{
	write_range(chance(50) ? O_DSYNC : O_SYNC, 1);
}

static void do_append(void)
{
	struct image image;
	size_t n = 1 + below(20000);
	int fd;

	if (!open_path(&image, any_path('f'), O_CREAT, LOCK_EX))
		return;
	fd = image.size + n <= SMALL_MAX ? reopen(&image, O_WRONLY | O_APPEND) : -1;
	if (fd >= 0) {
		describe(buffer, image.size, n);
		changes(n);
		if (did("append", write(fd, buffer, n)))
			check_back(&image, image.size, n);
		close(fd);
	}
	close_image(&image);
}

static void do_map(void)
{
	struct image image;
	unsigned char *map;
	uint64_t offset;
	size_t n;

	if (!open_any(&image, 0, chance(50) ? LOCK_EX : LOCK_SH))
		return;
	image.exclusive = false; /* a mapping never makes a file longer */
	if (any_range(&image, 1, &offset, &n)) {
		map = mmap(NULL, image.size, PROT_READ | PROT_WRITE, MAP_SHARED, image.fd, 0);
		if (map == MAP_FAILED)
			fatal("mmap", errno);
		describe(buffer, offset, n);
		changes(n);
		memcpy(map + offset, buffer, n);
		if (chance(30) && msync(map, image.size, MS_SYNC) < 0)
			fatal("msync", errno);
		munmap(map, image.size); /* writes it back */
	}
	close_image(&image);
}

/* Cuts off, and perhaps makes it as long as it was: what comes back are zeros. */
static void do_truncate(void)
{
	struct image image;
	uint64_t size;
	char link[32];
	int r;

	if (!open_any(&image, 0, LOCK_EX))
		return;
	size = image.big ? image.size - below(image.size < LENGTH_MAX ? 1 : LENGTH_MAX) :
			   below(image.size + 50000 < SMALL_MAX ? image.size + 50000 : SMALL_MAX);
	changes(size > image.size ? size - image.size : 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", image.fd);
	r = chance(50) ? ftruncate(image.fd, (off_t)size) : truncate(link, (off_t)size);
	if (did("truncate", r) && size < image.size && (image.big || chance(50))) {
		changes(image.size - size);
		did("truncate", ftruncate(image.fd, (off_t)image.size));
	}
	close_image(&image);
}

static void do_open_truncate(void)
{
	struct image image;
	int fd;

	if (!open_path(&image, any_path('f'), 0, LOCK_EX))
		return;
	fd = reopen(&image, O_WRONLY | O_TRUNC);
	changes(0);
	if (fd >= 0)
		close(fd);
	close_image(&image);
}

static void allocate(int mode)
{
	struct image image;
	uint64_t offset;
	size_t n;

	if (!open_any(&image, 0, mode & FALLOC_FL_KEEP_SIZE ? LOCK_SH : LOCK_EX))
		return;
	if (any_range(&image, 1, &offset, &n)) {
		changes_from(&image, offset, n);
		did("fallocate", fallocate(image.fd, mode, (off_t)offset, (off_t)n));
	}
	close_image(&image);
}

static void do_punch(void)
{
	allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
}

static void do_zero(void)
{
	allocate(FALLOC_FL_ZERO_RANGE | (chance(50) ? FALLOC_FL_KEEP_SIZE : 0));
}

static void do_allocate(void)
{
	allocate(chance(30) ? FALLOC_FL_KEEP_SIZE : 0);
}

static void do_shift(void)
{
	int mode = chance(50) ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE;
	uint64_t offset, n = UNIT * (1 + below(8));
	struct image image;

	if (!open_path(&image, any_path('f'), 0, LOCK_EX))
		return;
	offset = below(image.size) / UNIT * UNIT;
	if (image.size + n <= SMALL_MAX) {
		changes(image.size - offset + n);
		did("fallocate", fallocate(image.fd, mode, (off_t)offset, (off_t)n));
	}
	close_image(&image);
}

static void do_copy_range(void)
{
	struct image from, to;
	uint64_t offset;
	off_t in, out;
	size_t n;

	if (!open_any(&to, chance(50) ? O_CREAT : 0, LOCK_EX))
		return;
	/* never waits with a lock held: two who do could wait for each other */
	if (open_any(&from, 0, LOCK_SH | LOCK_NB)) {
		if (any_range(&to, chance(50) ? UNIT : 1, &offset, &n)) {
			in = (off_t)below(from.size + 1);
			out = (off_t)offset;
			changes_from(&to, offset, n);
			did("copy_file_range", copy_file_range(from.fd, &in, to.fd, &out, n, 0));
		}
		close_image(&from);
	}
	close_image(&to);
}

static void do_sync(void)
{
	struct image image;

	if (!open_any(&image, 0, LOCK_SH))
		return;
	if ((chance(50) ? fsync(image.fd) : fdatasync(image.fd)) < 0)
		fatal("fsync", errno);
	close_image(&image);
}

/* Removed, but still in use; now and then linked again by another name. */
static void do_unnamed(void)
{
	struct path path = any_path('f');
	struct image image = { .exclusive = true };
	char link[32];
	size_t n = 1 + below(50000);

	if (chance(50)) {
		image.fd = openat(top, any_directory(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		if (!did("make unnamed", image.fd))
			return;
	} else if (!open_path(&image, path, 0, LOCK_EX)) {
		return;
	} else if (!did("unlink", unlinkat(top, path.text, 0))) {
		close_image(&image);
		return;
	}
	describe(buffer, 0, n);
	changes(n);
	if (did("write unnamed", pwrite(image.fd, buffer, n, 0)))
		check_back(&image, 0, n);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", image.fd);
	did("link unnamed", linkat(AT_FDCWD, link, top, any_path('f').text, AT_SYMLINK_FOLLOW));
	close_image(&image);
}

/* ---- names ---- */

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

	snprintf(name, sizeof(name), "%s.%c",
		 geteuid() == 0 && chance(20) ? "trusted" : "user", (char)('a' + below(4)));
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

/* ---- all of it ---- */

static const struct {
	const char *name;
	void (*run)(void);
	unsigned int weight;
} kinds[] = {
	{ "write", do_write, 18 },
	{ "write direct", do_write_direct, 8 },
	{ "write sync", do_write_sync, 3 },
	{ "append", do_append, 6 },
	{ "map", do_map, 6 },
	{ "truncate", do_truncate, 6 },
	{ "open truncate", do_open_truncate, 1 },
	{ "punch", do_punch, 5 },
	{ "zero", do_zero, 4 },
	{ "allocate", do_allocate, 3 },
	{ "shift", do_shift, 2 },
	{ "copy range", do_copy_range, 5 },
	{ "sync", do_sync, 3 },
	{ "unnamed", do_unnamed, 2 },
	{ "create", do_create, 8 },
	{ "rename", do_rename, 8 },
	{ "rename directory", do_rename_directory, 2 },
	{ "link", do_link, 5 },
	{ "symlink", do_symlink, 3 },
	{ "special", do_special, 2 },
	{ "unlink", do_unlink, 5 },
	{ "mkdir", do_mkdir, 7 },
	{ "rmdir", do_rmdir, 2 },
	{ "chmod", do_chmod, 3 },
	{ "chown", do_chown, 3 },
	{ "times", do_times, 3 },
	{ "xattr", do_xattr, 4 },
	{ "acl", do_acl, 2 },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static void run_any(void)
{
	unsigned int total = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < NKINDS; k++)
		total += kinds[k].weight;
	at = (unsigned int)below(total);
	while (at >= kinds[i].weight)
		at -= kinds[i++].weight;
	operation_name = kinds[i].name;
	kinds[i].run();
	atomic_fetch_add(&account->operations, 1);
}

static void __attribute__((noreturn)) run_process(uint64_t noperations)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rng = (seed + process) * UINT64_C(0xd1342543de82ef95);
	umask((mode_t)(chance(50) ? 022 : 0));
	for (operation = 1; noperations == 0 || operation <= noperations; operation++)
		run_any();
	exit(0);
}

static int start(const char *dir)
{
	account = mmap(NULL, sizeof(*account), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	buffer = aligned_alloc(UNIT, LENGTH_MAX);
	back = aligned_alloc(UNIT, LENGTH_MAX);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (account == MAP_FAILED || !buffer || !back || top < 0 || fchdir(top) < 0) {
		perror(dir);
		return -1;
	}
	signal(SIGBUS, on_bus_error);
	return 0;
}

/* The worst of them: 1, EXIT_GONE, 0. */
static int wait_for_all(void)
{
	int status, code = 0;
	pid_t pid;

	while ((pid = wait(&status)) > 0) {
		int one = WIFEXITED(status) ? WEXITSTATUS(status) : 1;

		if (!WIFEXITED(status))
			fprintf(stderr, "oracle: a process died: status %#x\n", status);
		if (one != 0 && code != 1)
			code = one;
	}
	return code;
}

int main(int argc, char **argv)
{
	unsigned int nprocesses;
	int code;

	if (argc != 5)
		return 2;
	seed = strtoull(argv[2], NULL, 0);
	nprocesses = (unsigned int)strtoul(argv[3], NULL, 0);
	if (start(argv[1]) < 0)
		return 1;
	for (process = 0; process < nprocesses; process++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (pid == 0)
			run_process(strtoull(argv[4], NULL, 0));
	}
	code = wait_for_all();
	printf("oracle: seed=%" PRIu64 " processes=%u operations=%" PRIu64 " refused=%" PRIu64
	       " bytes=%" PRIu64 " ranges=%" PRIu64 "\n",
	       seed, nprocesses, account->operations, account->refused, account->bytes,
	       account->ranges);
	return code;
}
