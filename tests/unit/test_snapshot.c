/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_snapshot.c - snapshots of one image: they show what was, whatever is written since
 *
 * Random changes under the write path, held against copies that the test took itself when
 * it made the snapshots; limits and failing disks, under which a snapshot breaks and the
 * guest goes on; and writers and readers in threads, for ThreadSanitizer too.
 */
#include "config.h"

#include "fs/image.h"
#include "fs/rollover.h"
#include "fs/snapshot_image.h"
#include "tests/unit/faultmem.h"
#include "tests/unit/imageworld.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define NSNAPSHOTS 4
#define NROUNDS 400

/* A snapshot, and what it has to show. */
struct shadow {
	struct mfs_snapshot *snapshot; /* a reference; NULL: none */
	struct mfs_snapshot_image *image;
	char name[MFS_SNAPSHOT_NAME_MAX + 1];
	struct bmf_checkpoint checkpoint;
	unsigned char content[MAX_BYTES];
	size_t size;
	bool partial; /* only some blocks are needed: */
	bool needed[NBLOCKS];
};
static struct shadow shadows[NSNAPSHOTS];
static unsigned char got[MAX_BYTES];

static const struct bmf_uuid replica = { { 1 } };

static void take(struct shadow *s, uint64_t from)
{
	struct mfs_control_commit message = { .flags = MFS_COMMIT_HOLD,
					      .replica = replica,
					      .from = from };

	s->size = image_read(s->content);
	ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &message), 0);
	s->checkpoint = (struct bmf_checkpoint){ .number = message.number, .uuid = message.uuid };
	s->partial = from != 0;
	memcpy(s->name, message.name, sizeof(s->name));
	s->snapshot = mfs_snapshot_get(&image_fs, s->name);
	ck_assert_ptr_nonnull(s->snapshot);
	s->image = mfs_snapshot_tree_find(mfs_snapshot_top(s->snapshot), "image")->image;
}

static void drop(struct shadow *s)
{
	ck_assert_int_eq(mfs_snapshot_delete(&image_fs, s->name), 0);
	ck_assert(!mfs_snapshot_use(s->snapshot));
	mfs_snapshot_unref(s->snapshot, 1);
	s->snapshot = NULL;
}

static void drop_all(void)
{
	for (int i = 0; i < NSNAPSHOTS; i++)
		if (shadows[i].snapshot)
			drop(&shadows[i]);
}

static uint64_t preserved(const struct shadow *s)
{
	struct mfs_control_snapshot_info info = { 0 };

	memcpy(info.name, s->name, sizeof(info.name));
	ck_assert_int_eq(mfs_snapshot_info(&image_fs, &info), 0);
	return info.preserved;
}

static void check_range(const struct shadow *s, size_t offset, size_t n)
{
	ssize_t r = mfs_snapshot_image_read(s->image, got, n, (off_t)offset);
	size_t expected = offset >= s->size ? 0 : s->size - offset < n ? s->size - offset : n;

	if (r == -ENODATA && s->partial) {
		bool unneeded = false;

		for (size_t b = offset / BLOCK; b * BLOCK < offset + n && b < NBLOCKS; b++)
			unneeded |= !s->needed[b];
		ck_assert_msg(unneeded, "[%zu, +%zu) was needed, and is lost", offset, n);
		return;
	}
	ck_assert_msg(r == (ssize_t)expected, "read [%zu, +%zu) of %zu: %zd", offset, n, s->size,
		      r);
	/* not an assertion for each byte: check notes every one that it comes by */
	for (size_t i = 0; i < expected; i++)
		if (got[i] != s->content[offset + i])
			ck_abort_msg("byte %zu of block %zu is new", (offset + i) % BLOCK,
				     (offset + i) / BLOCK);
}

static void check_all(const struct shadow *s)
{
	if (!s->partial) {
		check_range(s, 0, MAX_BYTES);
		return;
	}
	for (size_t b = 0; b < NBLOCKS; b++)
		check_range(s, b * BLOCK, BLOCK);
}

/* Holes read as zeros, data and holes take turns until the end. */
static void check_seek(const struct shadow *s)
{
	off_t at = 0, size = (off_t)s->size, data, hole;

	while (at < size) {
		data = mfs_snapshot_image_seek(s->image, at, SEEK_DATA);
		if (data == -ENXIO)
			data = size;
		ck_assert_int_ge(data, at);
		for (off_t i = at; i < data; i++)
			if (s->content[i] != 0)
				ck_abort_msg("byte %jd is in a hole", (intmax_t)i);
		if (data == size)
			break;
		hole = mfs_snapshot_image_seek(s->image, data, SEEK_HOLE);
		ck_assert_int_gt(hole, data);
		ck_assert_int_le(hole, size);
		at = hole;
	}
	ck_assert_int_eq(mfs_snapshot_image_seek(s->image, size, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(mfs_snapshot_image_seek(s->image, size, SEEK_HOLE), -ENXIO);
}

static void check_some(const struct shadow *s)
{
	size_t offset = rng_below(&rng, MAX_BYTES), n = 1 + rng_below(&rng, LENGTH_MAX);

	check_range(s, offset, n);
	if (rng_below(&rng, 8) == 0)
		check_all(s);
	if (rng_below(&rng, 8) == 0 && !s->partial)
		check_seek(s);
}

START_TEST(test_shows_what_was)
{
	rng = rng_start("test_snapshot");
	random_write(0, 30 * BLOCK + 17);
	for (int round = 0; round < NROUNDS; round++) {
		struct shadow *s = &shadows[rng_below(&rng, NSNAPSHOTS)];

		if (!s->snapshot)
			take(s, 0);
		else if (rng_below(&rng, 10) == 0)
			drop(s);
		for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
			random_change();
		for (int i = 0; i < NSNAPSHOTS; i++)
			if (shadows[i].snapshot)
				check_some(&shadows[i]);
		if (rng_below(&rng, 16) == 0) {
			bmf_source_keep(image_fs.source);
			mfs_snapshots_keep(&image_fs);
		}
	}
	for (int i = 0; i < NSNAPSHOTS; i++)
		if (shadows[i].snapshot)
			check_all(&shadows[i]);
	drop_all();
}
END_TEST

static void fill(size_t nblocks)
{
	for (size_t b = 0; b < nblocks; b++)
		random_write(b * BLOCK, BLOCK);
}

/* Of a sync's snapshot, what changed since its replica's checkpoint is there. */
START_TEST(test_keeps_what_is_needed)
{
	struct shadow *first = &shadows[0], *s = &shadows[1];
	struct mfs_control_commit plain = { 0 };
	size_t lost = 0;

	rng = rng_start("test_snapshot");
	fill(300);
	for (int round = 0; round < 20; round++) {
		take(first, 0);
		ck_assert_int_eq(
			bmf_source_arrived(image_fs.source, &replica, &first->checkpoint, NULL), 0);
		memset(touched, 0, sizeof(touched));
		for (int n = 0; n < 4; n++) {
			random_write(rng_below(&rng, 300) * BLOCK, 1 + rng_below(&rng, 5 * BLOCK));
			if (n == 2) /* of several generations */
				ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &plain), 0);
		}
		take(s, first->checkpoint.number);
		memcpy(s->needed, touched, sizeof(touched));
		for (int n = 0; n < 8; n++)
			random_change();
		check_all(s);
		for (size_t b = 0; b * BLOCK < s->size; b++)
			lost += mfs_snapshot_image_read(s->image, got, BLOCK, (off_t)(b * BLOCK)) ==
				-ENODATA;
		drop_all();
	}
	ck_assert_msg(lost > 0, "everything was preserved, needed or not");
}
END_TEST

START_TEST(test_released_is_let_go)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot");
	fill(8);
	take(s, 0);
	random_write(0, 4 * BLOCK);
	ck_assert_uint_eq(preserved(s), 4 * BLOCK);
	/* blocks that lie in it as a whole: 1 and 2 */
	mfs_snapshot_image_release(s->image, BLOCK - 1, 2 * BLOCK + 2);
	ck_assert_uint_eq(preserved(s), 2 * BLOCK);
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, got, BLOCK, BLOCK), -ENODATA);
	check_range(s, 0, BLOCK);
	check_range(s, 3 * BLOCK, BLOCK);
	mfs_snapshot_image_release(s->image, 4 * BLOCK, MAX_BYTES);
	random_write(4 * BLOCK, 4 * BLOCK);
	ck_assert_uint_eq(preserved(s), 2 * BLOCK);
	mfs_snapshot_image_release(s->image, 0, MAX_BYTES);
	ck_assert_uint_eq(preserved(s), 0);
	drop_all();
}
END_TEST

/* The guest's own changes went well, though the snapshot is broken. */
static void expect_broken(const struct shadow *s, int error)
{
	struct mfs_control_snapshot_info info = { 0 };

	memcpy(info.name, s->name, sizeof(info.name));
	for (int i = 0; i < 500; i++) {
		ck_assert_int_eq(mfs_snapshot_info(&image_fs, &info), 0);
		if (info.broken)
			break;
		usleep(10000); /* what the preserving thread meets is told when it meets it */
	}
	ck_assert_int_eq(info.broken, error);
	ck_assert_msg(info.reason[0] != '\0', "no reason is given");
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, got, BLOCK, 0), -EIO);
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, got, BLOCK, 7 * BLOCK), -EIO);
	/* a hole of now is none of then */
	ck_assert_int_eq(mfs_snapshot_image_seek(s->image, 0, SEEK_DATA), -EIO);
	ck_assert_int_eq(mfs_snapshot_image_seek(s->image, 7 * BLOCK, SEEK_HOLE), -EIO);
	mfs_snapshots_keep(&image_fs);
	ck_assert_uint_eq(preserved(s), 0);
}

START_TEST(test_breaks_when_old_blocks_cannot_be_read)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot");
	fill(8);
	take(s, 0);
	faultio_arm(&fault, FAULTIO_PREAD, 1, -EIO, 0);
	random_write(0, 2 * BLOCK);
	ck_assert(faultio_fired(&fault));
	expect_broken(s, -EIO);
	drop_all();
}
END_TEST

START_TEST(test_breaks_when_old_blocks_cannot_be_written)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot");
	fill(8);
	take(s, 0);
	faultio_arm(&fault, FAULTIO_OPENAT, 1, -EDQUOT, 0); /* of the file for them */
	random_write(0, 2 * BLOCK);
	expect_broken(s, -EDQUOT);
	/* the next one is not concerned */
	faultio_arm(&fault, 0, 0, 0, 0);
	take(&shadows[1], 0);
	random_write(0, 2 * BLOCK);
	check_all(&shadows[1]);
	drop_all();
}
END_TEST

/* The file in preserve/ that is open, by another descriptor. */
static int open_preserved(void)
{
	char path[64], target[4096];
	ssize_t n;

	for (int fd = 3; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (strstr(target, "/preserve/") && strstr(target, "(deleted)"))
			return open(path, O_RDWR);
	}
	return -1;
}

/* The disk loses what was written to it, and says nothing: no wrong content is shown. */
START_TEST(test_breaks_when_old_blocks_were_lost)
{
	struct shadow *s = &shadows[0];
	int fd;

	rng = rng_start("test_snapshot");
	fill(8);
	take(s, 0);
	random_write(0, 2 * BLOCK);
	while ((fd = open_preserved()) < 0 || lseek(fd, 0, SEEK_END) < 2 * BLOCK) {
		if (fd >= 0)
			close(fd);
		usleep(10000); /* until it is written */
	}
	usleep(100000);
	check_all(s);
	ck_assert_int_eq(pwrite(fd, "other", 5, BLOCK + 100), 5);
	close(fd);
	check_range(s, 0, BLOCK);
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, got, BLOCK, BLOCK), -EIO);
	expect_broken(s, -EIO);
	drop_all();
}
END_TEST

static void set_limit(void)
{
	imageworld_options.preserve_limit = 3 * BLOCK;
	imageworld_setup();
}

START_TEST(test_breaks_at_the_limit)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot");
	fill(8);
	take(s, 0);
	random_write(0, 3 * BLOCK);
	random_write(0, 3 * BLOCK); /* preserved already */
	check_all(s);
	random_write(4 * BLOCK, BLOCK);
	expect_broken(s, -E2BIG);
	take(&shadows[1], 0); /* the space is there again */
	random_write(0, 3 * BLOCK);
	check_all(&shadows[1]);
	drop_all();
}
END_TEST

/* Cut off by somebody who does not come through the mount: not shown as if it were old. */
START_TEST(test_tells_what_was_cut_off_behind)
{
	struct shadow *s = &shadows[0];

	rng = rng_start("test_snapshot");
	fill(8);
	take(s, 0);
	ck_assert_int_eq(ftruncate(handle->fd, 2 * BLOCK), 0);
	check_range(s, 0, 2 * BLOCK);
	ck_assert_int_eq(mfs_snapshot_image_read(s->image, got, BLOCK, 4 * BLOCK), -EIO);
	drop_all();
}
END_TEST

/* Of an image that somebody uses no more, but did while the tree was read. */
START_TEST(test_size_is_of_the_instant)
{
	struct mfs_snapshot_request request = { 0 };
	struct mfs_snapshot *s;
	struct bmf_error err;

	rng = rng_start("test_snapshot");
	fill(8);
	ck_assert_int_eq(mfs_snapshot_new(&image_fs, &request, &s, &err), 0);
	fill(12);
	if (_i) {
		mfs_handle_close(&image_fs, handle);
		for (int pass = 0; pass < 4; pass++)
			bmf_source_keep(image_fs.source);
	}
	ck_assert_int_eq(bmf_source_departed(image_fs.source) > 0, _i);
	ck_assert_int_eq(mfs_gate_close(&image_fs.gate, 60000), 0);
	ck_assert_int_eq(mfs_snapshot_publish(&image_fs, s), 0);
	mfs_gate_open(&image_fs.gate);
	ck_assert_int_eq(mfs_snapshot_tree_find(mfs_snapshot_top(s), "image")->st.st_size,
			 12 * BLOCK);
	mfs_snapshot_discard(&image_fs, s);
}
END_TEST

START_TEST(test_names)
{
	struct mfs_control_commit message = { .flags = MFS_COMMIT_HOLD, .name = "a-1" };
	struct mfs_control_snapshot_info info = { .name = "a-1" };
	struct mfs_snapshot *s;
	uint64_t number_made;

	ck_assert(!mfs_snapshot_name_ok(""));
	ck_assert(!mfs_snapshot_name_ok("."));
	ck_assert(!mfs_snapshot_name_ok(".hidden"));
	ck_assert(!mfs_snapshot_name_ok("a/b"));
	ck_assert(!mfs_snapshot_name_ok("a\nb"));
	ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &message), 0);
	number_made = message.number;
	ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &message), -EEXIST);
	ck_assert_int_eq(mfs_snapshot_info(&image_fs, &info), 0);
	ck_assert_uint_eq(info.number, number_made);
	s = mfs_snapshot_next(&image_fs, NULL);
	ck_assert_str_eq(mfs_snapshot_name(s), "a-1");
	ck_assert_ptr_null(mfs_snapshot_next(&image_fs, s));
	ck_assert_int_eq(mfs_snapshot_delete(&image_fs, "a-1"), 0);
	ck_assert_int_eq(mfs_snapshot_delete(&image_fs, "a-1"), -ENOENT);
	ck_assert_int_eq(mfs_snapshot_info(&image_fs, &info), -ENOENT);
	ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &message), 0);
}
END_TEST

/* --- every call fails, the Nth for every N */

#define ENDLESS 5000

static const struct kind {
	const char *name;
	unsigned int ops, flags; /* ops 0: allocations */
	int error;
	bool goes_on; /* no guest's change may fail (I3) */
} kinds[] = {
	{ "EIO", FAULTIO_PREAD | FAULTIO_OPENAT | FAULTIO_UNLINKAT | FAULTIO_MKDIRAT, 0, -EIO,
	  true },
	{ "EMFILE for ever", FAULTIO_OPENAT, FAULTIO_STICKY, -EMFILE, true },
	{ "EIO of any", FAULTIO_ALL, 0, -EIO, false },
	{ "EIO of any for ever", FAULTIO_ALL, FAULTIO_STICKY, -EIO, false },
	{ "ENOSPC", FAULTIO_WRITING, FAULTIO_SHORT, -ENOSPC, false },
	{ "ENOSPC for ever", FAULTIO_WRITING, FAULTIO_SHORT | FAULTIO_STICKY, -ENOSPC, false },
	{ "ENOMEM", 0, 0, 0, false },
	{ "ENOMEM for ever", 0, FAULTIO_STICKY, 0, false },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static void arm(const struct kind *kind, unsigned long nth)
{
	if (kind->ops)
		faultio_arm(&fault, kind->ops, nth, kind->error, kind->flags);
	else
		faultmem_arm(nth, kind->flags & FAULTIO_STICKY);
}

/* True when it failed. */
static bool try_write(const struct kind *kind, size_t first, size_t n)
{
	static unsigned char data[16 * BLOCK];
	ssize_t r;

	memset(data, (int)(first + n), sizeof(data));
	r = mfs_image_write(&image_fs, handle->tracker, handle->fd, data, n * BLOCK,
			    (off_t)(first * BLOCK), false);
	ck_assert_msg(r > 0 || !kind->goes_on, "%s: a guest's write: %zd", kind->name, r);
	return r < 0;
}

/* What it shows is what was, or an error; nothing else. */
static void check_or_error(const struct shadow *s)
{
	for (size_t b = 0; b * BLOCK < s->size; b++) {
		ssize_t r = mfs_snapshot_image_read(s->image, got, BLOCK, (off_t)(b * BLOCK));

		ck_assert_msg(r == BLOCK || r < 0, "%zd bytes", r);
		if (r == BLOCK && memcmp(got, s->content + b * BLOCK, BLOCK) != 0)
			ck_abort_msg("block %zu is new: %02x instead of %02x", b, got[0],
				     s->content[b * BLOCK]);
	}
}

static bool try_take(struct shadow *s)
{
	struct mfs_control_commit message = { .flags = MFS_COMMIT_HOLD };

	s->size = image_read(s->content);
	if (mfs_rollover(&image_fs, NULL, &message) < 0)
		return false;
	memcpy(s->name, message.name, sizeof(s->name));
	s->snapshot = mfs_snapshot_get(&image_fs, s->name);
	s->image = mfs_snapshot_tree_find(mfs_snapshot_top(s->snapshot), "image")->image;
	return true;
}

static void act(const struct kind *kind)
{
	try_write(kind, 0, 2);
	if (try_take(&shadows[0])) {
		try_write(kind, 1, 3);
		check_or_error(&shadows[0]);
	}
	try_write(kind, 8, 4);
	if (try_take(&shadows[1])) {
		try_write(kind, 0, 12);
		mfs_image_truncate(&image_fs, handle->tracker, handle->fd, 5 * BLOCK);
		check_or_error(&shadows[1]);
	}
	mfs_snapshots_keep(&image_fs);
}

static void check_what_is_left(void)
{
	for (int i = 0; i < 2; i++)
		if (shadows[i].snapshot) {
			check_or_error(&shadows[i]);
			drop(&shadows[i]);
		}
	take(&shadows[2], 0);
	try_write(&kinds[0], 2, 4);
	check_all(&shadows[2]);
	drop(&shadows[2]);
}

START_TEST(test_every_call_fails)
{
	const struct kind *kind = &kinds[_i];
	unsigned long n;

	for (n = 1; n < ENDLESS; n++) {
		bool fired;

		imageworld_setup();
		fill(16);
		arm(kind, n);
		act(kind);
		fired = kind->ops ? faultio_fired(&fault) : faultmem_fired();
		arm(kind, 0);
		check_what_is_left();
		imageworld_teardown();
		if (!fired)
			break;
	}
	printf("%s: %lu faults\n", kind->name, n - 1);
	ck_assert_uint_lt(n, ENDLESS);
	ck_assert_uint_gt(n, 10);
}
END_TEST

/* --- threads: every block holds one number again and again, which only grows */

#define NTHREADS 4
#define NSHARED 24 /* blocks */

static atomic_bool finished;
static _Atomic uint64_t number;
static atomic_ulong failures, nwrites; /* check's assertions belong to the main thread */

static void *write_numbers(void *arg)
{
	struct rng mine = { (uint64_t)(uintptr_t)arg };
	uint64_t buf[2 * BLOCK / sizeof(uint64_t)];
	size_t n, first;

	while (!atomic_load(&finished)) {
		n = 1 + rng_below(&mine, 2);
		first = rng_below(&mine, NSHARED - n + 1);
		for (size_t i = 0; i < n * BLOCK / sizeof(*buf); i++)
			buf[i] = i % (BLOCK / sizeof(*buf)) ? buf[i - 1]
							    : atomic_fetch_add(&number, 1) + 1;
		if (mfs_image_write(&image_fs, handle->tracker, handle->fd, buf, n * BLOCK,
				    (off_t)(first * BLOCK), false) != (ssize_t)(n * BLOCK))
			atomic_fetch_add(&failures, 1);
		atomic_fetch_add(&nwrites, 1);
	}
	return NULL;
}

static void read_numbers(const struct shadow *s, uint64_t ret[NSHARED])
{
	uint64_t buf[BLOCK / sizeof(uint64_t)];

	for (size_t b = 0; b < NSHARED; b++) {
		ck_assert_int_eq(mfs_snapshot_image_read(s->image, buf, BLOCK, (off_t)(b * BLOCK)),
				 BLOCK);
		for (size_t i = 1; i < BLOCK / sizeof(*buf); i++)
			if (buf[i] != buf[0])
				ck_abort_msg("block %zu is torn", b);
		ret[b] = buf[0];
	}
}

START_TEST(test_threads)
{
	uint64_t once[NSHARED], again[NSHARED], after;
	pthread_t threads[NTHREADS];
	struct shadow *s;

	rng = rng_start("test_snapshot");
	fill(NSHARED);
	for (uintptr_t i = 0; i < NTHREADS; i++)
		ck_assert(pthread_create(&threads[i], NULL, write_numbers,
					 (void *)(rng_next(&rng) | 1)) == 0);
	while (atomic_load(&nwrites) < 2000) /* every block has been written to */
		usleep(1000);
	for (int round = 0; round < 60; round++) {
		s = &shadows[round % NSNAPSHOTS];
		if (s->snapshot)
			drop(s);
		take(s, 0);
		after = atomic_load(&number);
		read_numbers(s, once);
		usleep((useconds_t)rng_below(&rng, 3000));
		read_numbers(s, again);
		ck_assert_msg(memcmp(once, again, sizeof(once)) == 0, "a snapshot has changed");
		for (size_t b = 0; b < NSHARED; b++)
			ck_assert_uint_le(again[b], after);
	}
	atomic_store(&finished, true);
	for (int i = 0; i < NTHREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(atomic_load(&failures), 0);
	drop_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tcase = tcase_create("snapshot"), *limited = tcase_create("limited");
	TCase *faults = tcase_create("faults");

	tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
	tcase_add_checked_fixture(tcase, imageworld_setup, imageworld_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_shows_what_was);
	tcase_add_test(tcase, test_keeps_what_is_needed);
	tcase_add_test(tcase, test_released_is_let_go);
	tcase_add_test(tcase, test_breaks_when_old_blocks_cannot_be_read);
	tcase_add_test(tcase, test_breaks_when_old_blocks_cannot_be_written);
	tcase_add_test(tcase, test_breaks_when_old_blocks_were_lost);
	tcase_add_test(tcase, test_tells_what_was_cut_off_behind);
	tcase_add_loop_test(tcase, test_size_is_of_the_instant, 0, 2);
	tcase_add_test(tcase, test_names);
	tcase_add_test(tcase, test_threads);
	suite_add_tcase(suite, tcase);
	tcase_add_unchecked_fixture(limited, scratch_make, scratch_remove);
	tcase_add_checked_fixture(limited, set_limit, imageworld_teardown);
	tcase_add_test(limited, test_breaks_at_the_limit);
	suite_add_tcase(suite, limited);
	tcase_add_unchecked_fixture(faults, scratch_make, scratch_remove);
	tcase_set_timeout(faults, 300);
	tcase_add_loop_test(faults, test_every_call_fails, 0, KINDS);
	suite_add_tcase(suite, faults);
	return suite_run(suite);
}
