/* SPDX-License-Identifier: GPL-2.0-or-later */
/* powercut_guest.c - guests that change images through the daemon's write path */
#include "config.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/tracker.h"
#include "fs/image.h"
#include "tests/unit/powercut.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <string.h>
#include <xxhash.h>

const char *powercut_slot(unsigned int slot)
{
	static const char *const names[SLOTS] = { "raw", "qcow2", "vmdk", "scratch" };

	return names[slot];
}

static void lock(struct world *w)
{
	pthread_mutex_lock(&w->disk->lock);
}

static void unlock(struct world *w)
{
	pthread_mutex_unlock(&w->disk->lock);
}

struct record *powercut_record(struct world *w, uint64_t handle, bool make)
{
	struct record *found = NULL;

	for (size_t i = 0; i < RECORDS; i++) {
		struct record *r = &w->records[i];

		if (r->handle == handle)
			return r;
		/* the one that is gone longest: a name may come back with the next cut */
		if ((r->handle == 0 || (r->unlinked && !r->on_replica)) &&
		    (!found || r->handle < found->handle))
			found = r;
	}
	if (!make)
		return NULL;
	ck_assert_msg(found != NULL, "too many files to remember");
	*found = (struct record){ .handle = handle };
	return found;
}

const struct record *powercut_replica(const struct world *w, const struct bmf_uuid *id)
{
	for (size_t i = 0; i < RECORDS; i++)
		if (w->records[i].on_replica && bmf_uuid_equal(&w->records[i].id, id))
			return &w->records[i];
	return NULL;
}

void powercut_read(const struct bmf_io *io, int fd, uint64_t ret[BLOCKS])
{
	uint8_t buf[BLOCK];

	for (size_t b = 0; b < BLOCKS; b++) {
		ssize_t n = io->pread(io, fd, buf, BLOCK, (off_t)(b * BLOCK));

		memset(buf + (n > 0 ? n : 0), 0, BLOCK - (size_t)(n > 0 ? n : 0));
		ret[b] = XXH3_64bits(buf, BLOCK);
	}
}

/* ---- opening and closing ---- */

static int guest_open(struct world *w, unsigned int slot, struct guest *ret)
{
	const struct bmf_io *io = w->fs.io;
	struct guest g = { .fd = io->openat(io, w->root, powercut_slot(slot), O_RDWR | O_CREAT,
					    0600) };
	int r;

	if (g.fd < 0)
		return g.fd;
	r = bmf_source_track(w->fs.source, g.fd, &g.tracker);
	if (r < 0) {
		io->close(io, g.fd);
		return r;
	}
	bmf_tracker_opened(g.tracker);
	lock(w);
	g.handle = simdisk_handle(w->disk, g.fd);
	powercut_record(w, g.handle, true);
	unlock(w);
	powercut_tell(w, "open %s: file %" PRIu64, powercut_slot(slot), g.handle);
	*ret = g;
	return 0;
}

static void guest_close(struct world *w, struct guest *g)
{
	powercut_tell(w, "close file %" PRIu64, g->handle);
	bmf_tracker_closed(g->tracker);
	bmf_tracker_put(g->tracker);
	w->fs.io->close(w->fs.io, g->fd);
	g->fd = -1;
}

void powercut_guests_close(struct world *w)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (w->guests[i].fd >= 0)
			guest_close(w, &w->guests[i]);
}

/* ---- changes ---- */

/* A guest is about to change that: what was promised of it no longer counts. */
static void announce(struct world *w, uint64_t handle, uint64_t from, uint64_t to)
{
	struct record *r;

	powercut_tell(w, "change file %" PRIu64 ": %" PRIu64 " to %" PRIu64, handle, from, to);
	lock(w);
	r = powercut_record(w, handle, true);
	for (uint64_t b = from / BLOCK; b < BLOCKS && b * BLOCK < to; b++) {
		uint64_t region = b * BLOCK >> REGION_SHIFT;

		r->acked[b] = false;
		r->touch_keep[region] = w->nkeeps;
		r->touch_sync[region] = w->nsyncs;
	}
	unlock(w);
}

static uint64_t size_of(struct world *w, int fd)
{
	struct stat st = { 0 };

	w->fs.io->fstat(w->fs.io, fd, &st);
	return (uint64_t)st.st_size;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Whole blocks mostly: most of what guests do lies in the first two thirds of an image. */
static void choose_range(struct rng *rng, uint64_t *offset, uint64_t *nbytes)
{
	*offset = rng_below(rng, BLOCKS * 2 / 3) * BLOCK;
	*nbytes = (1 + rng_below(rng, 3)) * BLOCK;
	if (rng_below(rng, 4) == 0) {
		*offset += rng_below(rng, BLOCK / SIMDISK_SECTOR) * SIMDISK_SECTOR;
		*nbytes = (1 + rng_below(rng, 9)) * SIMDISK_SECTOR;
	}
}

static void guest_write(struct world *w, struct guest *g, struct rng *rng)
{
	struct mfs_image_write_room {
		uint64_t words[5 * BLOCK / 8];
	} room;
	uint64_t offset, nbytes;
	bool durable = rng_below(rng, 8) == 0;

	choose_range(rng, &offset, &nbytes);
	for (size_t i = 0; i < nbytes / 8; i++)
		room.words[i] = rng_next(rng);
	announce(w, g->handle, least(offset, size_of(w, g->fd)), offset + nbytes);
	mfs_image_write(&w->fs, g->tracker, g->fd, room.words, nbytes, (off_t)offset, durable);
}

static void guest_truncate(struct world *w, struct guest *g, struct rng *rng)
{
	uint64_t size = size_of(w, g->fd), to = rng_below(rng, BLOCKS * 2 / 3) * BLOCK;

	announce(w, g->handle, least(size, to), size > to ? size : to);
	mfs_image_truncate(&w->fs, g->tracker, g->fd, (off_t)to);
	if (rng_below(rng, 2) == 0)
		return;
	/* grow it again: what was cut off reads as zeros now */
	announce(w, g->handle, to, size);
	mfs_image_truncate(&w->fs, g->tracker, g->fd, (off_t)size);
}

static void guest_fallocate(struct world *w, struct guest *g, struct rng *rng)
{
	static const int modes[] = { 0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };
	uint64_t offset, nbytes;

	choose_range(rng, &offset, &nbytes);
	announce(w, g->handle, least(offset, size_of(w, g->fd)), offset + nbytes);
	mfs_image_fallocate(&w->fs, g->tracker, g->fd, modes[rng_below(rng, 4)], (off_t)offset,
			    (off_t)nbytes);
}

static void guest_copy(struct world *w, struct guest *g, struct rng *rng)
{
	uint64_t from, to, nbytes, ignored;

	choose_range(rng, &from, &ignored);
	choose_range(rng, &to, &nbytes);
	announce(w, g->handle, least(to, size_of(w, g->fd)), to + nbytes);
	mfs_image_copy(&w->fs, g->fd, (off_t)from, g->tracker, g->fd, (off_t)to, nbytes);
}

/*
 * What an fsync that succeeded has promised.  A guest has one thread here, so nothing
 * changes meanwhile.
 */
static void guest_fsync(struct world *w, struct guest *g, struct rng *rng)
{
	const struct mfs_handle handle = { .tracker = g->tracker };
	uint64_t now[BLOCKS];
	struct record *r;
	int result;

	powercut_tell(w, "fsync file %" PRIu64, g->handle);
	if (w->depth == 0 && !w->concurrent && rng_below(rng, 40) == 0) {
		r = powercut_record(w, g->handle, true);
		r->failed = true;
		r->failed_in = w->life;
		w->disk->sick = g->handle;
		w->sick = true;
	}
	powercut_read(w->fs.io, g->fd, now);
	result = mfs_image_sync(&w->fs, &handle, g->fd, rng_below(rng, 2));
	lock(w);
	r = powercut_record(w, g->handle, true);
	if (result == 0) {
		ck_assert_msg(!r->failed || r->failed_in != w->life,
			      "an fsync succeeded after one that failed");
		memset(r->acked, true, sizeof(r->acked));
		memcpy(r->promised, now, sizeof(now));
	}
	unlock(w);
}

/* ---- names ---- */

static void unlinked(struct world *w, int fd)
{
	struct record *r;
	struct stat st;

	lock(w);
	r = powercut_record(w, simdisk_handle(w->disk, fd), false);
	if (r)
		r->unlinked = true;
	unlock(w);
	if (w->fs.io->fstat(w->fs.io, fd, &st) == 0)
		bmf_source_unlinked(w->fs.source, &st);
}

/*
 * A change of names moves ctime, of which the daemon tells the tracker before.  Here the keeper's
 * passes may follow each other at once; that they are seconds apart is done by holding the image
 * open.
 */
static struct bmf_tracker *touch(struct world *w, const char *name)
{
	const struct bmf_io *io = w->fs.io;
	int fd = io->openat(io, w->root, name, O_PATH, 0);
	struct bmf_tracker *tracker = NULL;

	if (fd >= 0 && bmf_source_track(w->fs.source, fd, &tracker) == 0) {
		bmf_tracker_opened(tracker);
		bmf_tracker_touch(tracker);
	}
	if (fd >= 0)
		io->close(io, fd);
	return tracker;
}

static void touched(struct bmf_tracker *tracker)
{
	if (!tracker)
		return;
	bmf_tracker_closed(tracker);
	bmf_tracker_put(tracker);
}

static void guest_unlink(struct world *w, unsigned int slot, struct rng *rng)
{
	const struct bmf_io *io = w->fs.io;
	int fd = io->openat(io, w->root, powercut_slot(slot), O_PATH, 0);
	struct bmf_tracker *tracker;

	if (fd < 0)
		return;
	powercut_tell(w, "unlink %s: file %" PRIu64, powercut_slot(slot),
		      simdisk_handle(w->disk, fd));
	lock(w);
	/* the name may be gone before the call says so */
	if (powercut_record(w, simdisk_handle(w->disk, fd), false))
		powercut_record(w, simdisk_handle(w->disk, fd), false)->unlinked = true;
	unlock(w);
	tracker = touch(w, powercut_slot(slot));
	if (io->unlinkat(io, w->root, powercut_slot(slot), 0) == 0)
		unlinked(w, fd);
	touched(tracker);
	if (rng_below(rng, 2))
		io->fsync(io, w->root);
	io->close(io, fd);
}

/* As editors and qemu-img do: a new file takes the place of the old one. */
static void guest_replace(struct world *w, unsigned int slot)
{
	const struct bmf_io *io = w->fs.io;
	const char *const to = powercut_slot((slot + 2) % SLOTS);
	int over = io->openat(io, w->root, to, O_PATH, 0);
	struct bmf_tracker *moved, *replaced;

	if (over >= 0) {
		lock(w);
		if (powercut_record(w, simdisk_handle(w->disk, over), false))
			powercut_record(w, simdisk_handle(w->disk, over), false)->unlinked = true;
		unlock(w);
	}
	powercut_tell(w, "rename %s to %s", powercut_slot(slot), to);
	bmf_source_move_begin(w->fs.source);
	moved = touch(w, powercut_slot(slot));
	replaced = touch(w, to);
	if (io->renameat(io, w->root, powercut_slot(slot), w->root, to) == 0 && over >= 0)
		unlinked(w, over);
	bmf_source_move_end(w->fs.source);
	touched(moved);
	touched(replaced);
	if (over >= 0)
		io->close(io, over);
}

/* ---- past the daemon ---- */

static void write_behind(struct world *w, int fd, const char *name)
{
	const struct bmf_io *io = &w->disk->io;
	uint64_t words[SIMDISK_SECTOR / 8];
	int writer = io->openat(io, w->root, name, O_RDWR, 0);
	struct record *r = powercut_record(w, simdisk_handle(w->disk, fd), true);

	for (size_t i = 0; i < SIMDISK_SECTOR / 8; i++)
		words[i] = rng_next(&w->rng);
	powercut_tell(w, "behind: write to %s: file %" PRIu64, name, r->handle);
	r->behind = true;
	memset(r->acked, false, sizeof(r->acked));
	io->pwrite(io, writer, words, sizeof(words),
		   (off_t)(rng_below(&w->rng, BLOCKS * BLOCK / SIMDISK_SECTOR) * SIMDISK_SECTOR));
	io->fsync(io, writer);
	io->close(io, writer);
}

/* As cp -a does it: everything of the image, its id too. */
static void copy_behind(struct world *w, int fd, const char *name)
{
	const struct bmf_io *io = &w->disk->io;
	int to = io->openat(io, w->root, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct bmf_uuid id;
	struct stat st;

	if (to < 0)
		return;
	powercut_tell(w, "behind: copy file %" PRIu64 " to %s: file %" PRIu64,
		      simdisk_handle(w->disk, fd), name, simdisk_handle(w->disk, to));
	if (bmf_identity_read(io, fd, &id) == 0)
		bmf_identity_write(io, to, &id);
	if (io->fstat(io, fd, &st) == 0)
		io->copy_file_range(io, fd, 0, to, 0, (size_t)st.st_size);
	io->fsync(io, to);
	io->fsync(io, w->root);
	io->close(io, to);
}

void powercut_behind(struct world *w)
{
	const struct bmf_io *io = &w->disk->io;
	unsigned int slot = (unsigned int)rng_below(&w->rng, SLOTS);
	int fd;

	w->root = simdisk_root(w->disk);
	/* the machine comes up again */
	w->disk->clock_ns += INT64_C(60) * 1000000000;
	fd = io->openat(io, w->root, powercut_slot(slot), O_RDONLY, 0);
	if (fd >= 0) {
		if (rng_below(&w->rng, 2))
			write_behind(w, fd, powercut_slot(slot));
		else
			copy_behind(w, fd, powercut_slot((slot + 1) % SLOTS));
		io->close(io, fd);
	}
	io->close(io, w->root);
}

static void change(struct world *w, struct guest *g, struct rng *rng)
{
	switch (rng_below(rng, 12)) {
	case 0:
		guest_truncate(w, g, rng);
		break;
	case 1:
		guest_fallocate(w, g, rng);
		break;
	case 2:
		guest_copy(w, g, rng);
		break;
	case 3:
	case 4:
		guest_fsync(w, g, rng);
		break;
	default:
		guest_write(w, g, rng);
	}
	atomic_fetch_add(&w->counters->changes, 1);
}

void powercut_guest(struct world *w, unsigned int slot, struct rng *rng)
{
	struct guest *g = &w->guests[slot], moment;

	switch (rng_below(rng, 24)) {
	case 0:
		guest_unlink(w, slot, rng);
		return;
	case 1:
		guest_replace(w, slot);
		return;
	case 2:
	case 3:
		if (g->fd >= 0)
			guest_close(w, g);
		else
			guest_open(w, slot, g);
		return;
	default:
		if (g->fd >= 0) {
			change(w, g, rng);
		} else if (guest_open(w, slot, &moment) == 0) {
			change(w, &moment, rng);
			guest_close(w, &moment);
		}
	}
}
