/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faultworld.c - a daemon without FUSE, its images and one replica, for tests of faults */
#include "config.h"

#include "tests/unit/faultworld_internal.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/tracker.h"
#include "fs/image.h"
#include "tests/unit/fastio.h"
#include "tests/unit/scratch.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BEGIN_BLOCKS 64u /* of a new image */

struct faultio world_tracking, world_guest;
struct mfs world_fs;
char world_notices[4096];
unsigned int world_refused, world_errors;
bool world_goes_on;

const char *const world_names[WORLD_IMAGES] = { "image", "idle", "new" };
int world_dir_fd;

static char path[sizeof(scratch_path) + 32];
static struct mfs_node *nodes[WORLD_IMAGES];
static struct mfs_handle *handles[WORLD_IMAGES];
static bool lost;
static uint64_t stamp; /* what was last written: never the same twice */

static struct bmf_io fast;

/* ---- mount and unmount ---- */

static void note(void *arg, const char *text)
{
	size_t used = strlen(world_notices);

	(void)arg;
	snprintf(world_notices + used, sizeof(world_notices) - used, "%s\n", text);
}

bool world_runs(void)
{
	return world_fs.source != NULL;
}

int world_start(void)
{
	const struct bmf_source_options options = { .block_shift = 12,
						    .region_shift = 15,
						    .create = true,
						    .holder = "test",
						    .notice = note };
	struct bmf_error err = { 0 };
	int r;

	world_fs = (struct mfs){ .io = &world_guest.io, .source_fd = world_dir_fd };
	r = bmf_source_open(&world_tracking.io, world_dir_fd, &options, &world_fs.source, &err);
	if (r < 0) {
		ck_assert_msg(err.text[0], "open source: %d without a word", r);
		world_fs.source = NULL;
		world_errors++;
		return r;
	}
	r = mfs_nodes_init(&world_fs.nodes, world_dir_fd);
	if (r < 0) {
		bmf_source_close(world_fs.source);
		world_fs.source = NULL;
		world_errors++;
		return r;
	}
	mfs_handles_init(&world_fs.handles);
	mfs_gate_init(&world_fs.gate);
	return 0;
}

int world_stop(void)
{
	int r;

	for (int i = 0; i < WORLD_IMAGES; i++)
		world_close(i);
	mfs_handles_destroy(&world_fs.handles);
	mfs_nodes_destroy(&world_fs.nodes);
	memset(nodes, 0, sizeof(nodes));
	mfs_gate_destroy(&world_fs.gate);
	r = bmf_source_close(world_fs.source);
	world_fs.source = NULL;
	if (r < 0)
		world_errors++;
	return r;
}

void world_damage_state(void)
{
	int fd = openat(world_dir_fd, BMF_STATE_DIR "/state", O_WRONLY);

	ck_assert_int_eq(ftruncate(fd, 10), 0);
	close(fd);
	lost = true;
}

bool world_is_lost(void)
{
	return lost;
}

void world_open_one(enum world_image image)
{
	struct stat st;
	int fd;

	if (handles[image])
		return;
	fd = openat(world_dir_fd, world_names[image], O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	if (!nodes[image] && mfs_node_of_fd(&world_fs, fd, &nodes[image], &st) < 0) {
		nodes[image] = NULL;
		close(fd);
	} else if (mfs_handle_new(&world_fs, nodes[image], fd, O_RDWR, &handles[image]) < 0) {
		handles[image] = NULL;
	}
	if (!handles[image])
		world_errors++;
}

void world_open(void)
{
	world_open_one(IMAGE);
	world_open_one(NEW);
}

void world_close(enum world_image image)
{
	if (handles[image])
		mfs_handle_close(&world_fs, handles[image]);
	handles[image] = NULL;
}

/* ---- what guests do ---- */

static int count(int r)
{
	if (r == -EOPNOTSUPP)
		return 0; /* not every filesystem can do everything */
	if (r >= 0)
		return 0;
	world_refused++;
	ck_assert_msg(!world_goes_on, "a guest's change failed: %s\n%s", strerror(-r),
		      world_notices);
	return r;
}

static int write_blocks(enum world_image image, unsigned int block, unsigned int n, bool durable)
{
	static unsigned char buf[WORLD_BYTES];
	struct mfs_handle *h = handles[image];

	if (!h)
		return -EBADF; /* it could not be opened */
	for (size_t i = 0; i < n * WORLD_BLOCK; i += sizeof(stamp)) {
		stamp += i % WORLD_BLOCK == 0;
		memcpy(buf + i, &stamp, sizeof(stamp));
	}
	return count((int)mfs_image_write(&world_fs, h->tracker, h->fd, buf, n * WORLD_BLOCK,
					  (off_t)block * WORLD_BLOCK, durable));
}

int world_write(enum world_image image, unsigned int block, unsigned int n)
{
	return write_blocks(image, block, n, false);
}

int world_write_durable(enum world_image image, unsigned int block, unsigned int n)
{
	return write_blocks(image, block, n, true);
}

int world_truncate(enum world_image image, unsigned int size)
{
	struct mfs_handle *h = handles[image];

	return h ? count(mfs_image_truncate(&world_fs, h->tracker, h->fd,
					    (off_t)size * WORLD_BLOCK))
		 : -EBADF;
}

int world_fallocate(enum world_image image, int mode, unsigned int block, unsigned int n)
{
	struct mfs_handle *h = handles[image];

	return h ? count(mfs_image_fallocate(&world_fs, h->tracker, h->fd, mode,
					     (off_t)block * WORLD_BLOCK, (off_t)n * WORLD_BLOCK))
		 : -EBADF;
}

int world_copy(enum world_image image, unsigned int from, unsigned int to, unsigned int n)
{
	struct mfs_handle *h = handles[image];

	return h ? count((int)mfs_image_copy(&world_fs, h->fd, (off_t)from * WORLD_BLOCK,
					     h->tracker, h->fd, (off_t)to * WORLD_BLOCK,
					     (size_t)n * WORLD_BLOCK))
		 : -EBADF;
}

/* That one fails is no refusal: what it says is that something is not yet durable. */
int world_fsync(enum world_image image)
{
	struct mfs_handle *h = handles[image];
	int r = h ? mfs_image_sync(&world_fs, h, h->fd, false) : 0;

	if (r < 0)
		world_errors++;
	return r;
}

void world_unlink(enum world_image image)
{
	if (unlinkat(world_dir_fd, world_names[image], 0) == 0 && nodes[image])
		mfs_image_unlinked(&world_fs, nodes[image]);
}

void world_touch(enum world_image image)
{
	if (!handles[image])
		return;
	mfs_image_touch(&world_fs, nodes[image]);
	ck_assert_int_eq(fchmod(handles[image]->fd, 0640), 0);
}

/* ---- all of it ---- */

static void begin(void (*prepare)(void))
{
	ck_assert_int_eq(world_start(), 0);
	world_open_one(IMAGE);
	world_open_one(IDLE);
	ck_assert_int_eq(world_write(IMAGE, 0, BEGIN_BLOCKS), 0);
	ck_assert_int_eq(world_write(IDLE, 0, BEGIN_BLOCKS), 0);
	ck_assert_int_eq(world_sync(), 0);
	world_close(IDLE);
	/* at rest, and then its first region armed */
	world_close(IMAGE);
	for (int i = 0; i < 3; i++)
		bmf_source_keep(world_fs.source);
	world_open();
	ck_assert_int_eq(world_write(IMAGE, 0, 1), 0);
	ck_assert_int_eq(world_write(NEW, 0, 8), 0);
	if (prepare)
		prepare();
}

static void begin_and_die(void (*prepare)(void))
{
	int status, ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		begin(prepare);
		/* what the replica has got the parent must know */
		if (write(ends[1], &world_at, sizeof(world_at)) != sizeof(world_at))
			_exit(1);
		for (int i = 0; i < WORLD_IMAGES; i++)
			for (size_t n = 0, put; n < sizeof(world_replica[i]); n += put) {
				put = (size_t)write(ends[1], (char *)&world_replica[i] + n,
						    sizeof(world_replica[i]) - n);
				if ((ssize_t)put < 0)
					_exit(1);
			}
		_exit(0);
	}
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &world_at, sizeof(world_at)), sizeof(world_at));
	for (int i = 0; i < WORLD_IMAGES; i++)
		for (size_t n = 0; n < sizeof(world_replica[i]);) {
			ssize_t got = read(ends[0], (char *)&world_replica[i] + n,
					   sizeof(world_replica[i]) - n);

			ck_assert_int_gt(got, 0);
			n += (size_t)got;
		}
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	stamp += 1 << 20; /* the child's are taken */
}

void world_make(void (*prepare)(void), bool killed)
{
	int state_fd;

	/* a test that failed leaves its own behind */
	snprintf(path, sizeof(path), "%s/world%d", scratch_path, getpid());
	ck_assert_int_eq(mkdir(path, 0700), 0);
	world_dir_fd = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(world_dir_fd, 0);
	fast = fastio();
	faultio_init(&world_tracking, &fast);
	faultio_init(&world_guest, &fast);
	memset(&world_at, 0, sizeof(world_at));
	world_notices[0] = '\0';
	world_refused = world_errors = 0;
	world_goes_on = lost = false;
	memset(&world_fs, 0, sizeof(world_fs));
	if (killed)
		begin_and_die(prepare);
	else
		begin(prepare);
	state_fd = openat(world_dir_fd, BMF_STATE_DIR, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(bmf_identity_read(&bmf_io_posix, state_fd, &world_source), 0);
	close(state_fd);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(name);
}

void world_remove(void)
{
	world_check_source();
	ck_assert_int_eq(faultio_open_fds(&world_tracking), 0);
	ck_assert_int_eq(faultio_open_fds(&world_guest), 0);
	close(world_dir_fd);
	ck_assert_int_eq(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
