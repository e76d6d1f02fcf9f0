/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_long_life.c - thousands of checkpoints, and nothing grows
 *
 * Images come, change and go; of the replicas one comes at every checkpoint, others now and
 * then, and some never again.  However long that goes on: no change is missed by any of
 * them, every checkpoint succeeds, and what a checkpoint costs stays as it was: calls of the
 * io table, memory, descriptors, files and bytes in the state directory, sections in a sidecar.
 *
 * ROLLOVERS: how many checkpoints.
 */
#include "config.h"

#include "bitmapfile/chain.h"
#include "bitmapfile/history.h"
#include "bitmapfile/source.h"
#include "bitmapfile/tracker.h"
#include "tests/unit/fastio.h"
#include "tests/unit/faultio.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGES 12
#define BLOCK 4096u
#define BLOCKS 128u
#define REPLICAS 9
/* Every how many checkpoints a replica comes; the last ones come once and never again. */
static const unsigned int pace[REPLICAS] = { 1, 3, 10, 57, 200, 0, 0, 0, 0 };

/* What a reader may need: each replica's checkpoint, that it is bound for, and the newest. */
#define SECTIONS_MAX (2 * REPLICAS + 2)

struct image {
	bool exists;
	char name[32];
	/* changed since what the replica has, if it has the image at all */
	bool known[REPLICAS], changed[REPLICAS][BLOCKS];
};

/* What is to stay as it is. */
struct cost {
	unsigned long calls;	/* a checkpoint, with all that was done before it */
	size_t memory;		/* bytes allocated, at most */
	unsigned long files;	/* in .mirrorfs, at most */
	unsigned long nbytes;	/* of them, at most */
	unsigned long state;	/* bytes of `state`, at most */
	unsigned long sections; /* in a sidecar, at most */
	unsigned long fds;	/* open after it, at most */
	unsigned int n;
};

static struct bmf_io fast;
static struct faultio count;
static struct bmf_source *source;
static struct rng rng;
static struct image images[IMAGES];
static struct bmf_checkpoint at[REPLICAS];
static unsigned long names;

static void open_source(void)
{
	const struct bmf_source_options options = {
		.block_shift = 12, .region_shift = 15, .create = true, .holder = "test"
	};
	struct bmf_error err = { 0 };

	ck_assert_msg(bmf_source_open(&count.io, scratch_fd, &options, &source, &err) == 0, "%s",
		      err.text);
}

static void make_image(struct image *image)
{
	int fd;

	memset(image, 0, sizeof(*image));
	image->exists = true;
	snprintf(image->name, sizeof(image->name), "image%lu", names++);
	fd = openat(scratch_fd, image->name, O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, BLOCKS * BLOCK), 0);
	close(fd);
}

static void change_image(struct image *image)
{
	uint64_t block = rng_below(&rng, BLOCKS);
	struct bmf_tracker *t;
	int fd = openat(scratch_fd, image->name, O_RDWR);

	ck_assert_int_eq(bmf_source_track(source, fd, &t), 0);
	bmf_tracker_opened(t);
	ck_assert_int_eq(bmf_tracker_change(t, block * BLOCK, BLOCK), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, (off_t)(block * BLOCK)), 1);
	bmf_tracker_closed(t);
	bmf_tracker_put(t);
	close(fd);
	for (int r = 0; r < REPLICAS; r++)
		image->changed[r][block] = true;
}

static void remove_image(struct image *image)
{
	int fd = openat(scratch_fd, image->name, O_PATH);
	struct stat st;

	ck_assert_int_eq(unlinkat(scratch_fd, image->name, 0), 0);
	if (rng_below(&rng, 2)) { /* or nobody of the daemon's is there to see it */
		ck_assert_int_eq(fstat(fd, &st), 0);
		bmf_source_unlinked(source, &st);
	}
	close(fd);
	image->exists = false;
}

static void change_things(void)
{
	for (int i = 0; i < IMAGES; i++) {
		struct image *image = &images[i];

		if (!image->exists && rng_below(&rng, 4) == 0)
			make_image(image);
		if (image->exists && rng_below(&rng, 2) == 0)
			change_image(image);
		/* two of them stay for ever */
		if (image->exists && i > 1 && rng_below(&rng, 20) == 0)
			remove_image(image);
	}
}

static struct bmf_uuid replica_uuid(int r)
{
	return (struct bmf_uuid){ { 1, 2, 3, (uint8_t)r } };
}

/* A sync that goes well, as all of them must. */
static void sync_replica(int r)
{
	const struct bmf_uuid uuid = replica_uuid(r);
	struct bmf_commit commit;
	struct bmf_error err = { 0 };
	char label[32];

	snprintf(label, sizeof(label), "replica %d", r);
	bmf_source_advance(source);
	ck_assert_msg(bmf_source_commit(source, &uuid, label, &commit, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(commit.untrackable, 0);
	ck_assert_int_eq(bmf_source_arrived(source, &uuid, &commit.checkpoint, label), 0);
	at[r] = commit.checkpoint;
	for (int i = 0; i < IMAGES; i++) {
		images[i].known[r] = images[i].exists;
		memset(images[i].changed[r], 0, sizeof(images[i].changed[r]));
	}
}

/* ---- what must hold ---- */

static void check_image(struct bmf_store *store, const struct bmf_state *state, struct image *image,
			struct cost *cost)
{
	struct bmf_history history;
	int fd = openat(scratch_fd, image->name, O_PATH);

	ck_assert_int_eq(bmf_history_load(store, state, fd, 0, BMF_HISTORY_LIVE, &history, NULL),
			 0);
	close(fd);
	if (history.reason == BMF_REASON_NEW)
		goto out; /* made since the last checkpoint */
	ck_assert_msg(history.reason == BMF_REASON_NONE, "%s: %s", image->name,
		      bmf_reason_text(history.reason));
	if (history.sidecar->nsections > cost->sections)
		cost->sections = history.sidecar->nsections;
	for (int r = 0; r < REPLICAS; r++) {
		struct bmf_bits *delta;

		if (!at[r].number || !image->known[r])
			continue;
		/* nobody's history is dropped, however long ago it came */
		ck_assert_int_eq(bmf_chain_delta(history.sidecar, at[r].number,
						 state->generation + 1, &delta),
				 0);
		for (uint64_t b = 0; b < BLOCKS; b++) {
			ck_assert_msg(!image->changed[r][b] || bmf_bits_test(delta, b),
				      "%s, replica %d: block %d was missed", image->name, r,
				      (int)b);
		}
		bmf_bits_free(delta);
	}
out:
	bmf_history_destroy(&history);
}

static void check_images(struct cost *cost)
{
	struct bmf_store *store;
	struct bmf_state *state;

	ck_assert_int_eq(bmf_source_flush(source), 0);
	ck_assert_int_eq(bmf_store_open(&bmf_io_posix, scratch_fd, 0, NULL, &store, NULL), 0);
	ck_assert_int_eq(bmf_store_load_state(store, &state, NULL), 0);
	ck_assert_uint_le(state->ncheckpoints, 2 * REPLICAS + 1);
	ck_assert_uint_le(state->ncursors, REPLICAS);
	for (int i = 0; i < IMAGES; i++)
		if (images[i].exists)
			check_image(store, state, &images[i], cost);
	bmf_state_free(state);
	bmf_store_close(store);
}

static void count_files(const char *path, unsigned long *files, unsigned long *nbytes)
{
	int fd = openat(scratch_fd, path, O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	struct stat st;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (fstatat(fd, entry->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
			continue;
		++*files;
		*nbytes += (unsigned long)st.st_size;
	}
	closedir(dir);
}

static void raise_to(unsigned long *most, unsigned long now)
{
	if (now > *most)
		*most = now;
}

static size_t allocated(void)
{
#if defined(__GLIBC__)
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#else
	return 0;
#endif
}

static void measure(struct cost *cost, unsigned long calls)
{
	unsigned long files = 0, nbytes = 0;
	struct stat st;

	cost->n++;
	cost->calls += calls;
	if (allocated() > cost->memory)
		cost->memory = allocated();
	count_files(BMF_STATE_DIR, &files, &nbytes);
	count_files(BMF_STATE_DIR "/bitmaps", &files, &nbytes);
	raise_to(&cost->fds, (unsigned long)faultio_open_fds(&count));
	raise_to(&cost->files, files);
	raise_to(&cost->nbytes, nbytes);
	ck_assert_int_eq(fstatat(scratch_fd, BMF_STATE_DIR "/state", &st, 0), 0);
	raise_to(&cost->state, (unsigned long)st.st_size);
}

static void say(const char *when, const struct cost *cost)
{
	printf("%s: %lu calls a checkpoint, %zu bytes of memory, %lu files of %lu bytes, state "
	       "%lu, "
	       "%lu sections\n",
	       when, cost->calls / cost->n, cost->memory, cost->files, cost->nbytes, cost->state,
	       cost->sections);
}

static unsigned int rollovers(void)
{
	const char *given = getenv("ROLLOVERS");
	unsigned int n = given ? (unsigned int)atoi(given) : 1500;

	return n < 500 ? 500 : n;
}

START_TEST(test_nothing_grows)
{
	const unsigned int n = rollovers();
	struct cost early = { 0 }, late = { 0 }, between = { 0 };

	rng = rng_start("test_long_life");
	fast = fastio();
	faultio_init(&count, &fast);
	open_source();
	for (unsigned int i = 0; i < n; i++) {
		/* not the very first: what there is must have been made */
		struct cost *cost = i < n / 5	     ? &between
				    : i < 3 * n / 10 ? &early
				    : i < 9 * n / 10 ? &between
						     : &late;
		int replica = 0;

		for (int r = 1; r < REPLICAS; r++)
			if (pace[r] ? i % pace[r] == pace[r] - 1 : i == (unsigned int)r * 11)
				replica = r;
		faultio_arm(&count, FAULTIO_ALL, 0, 0, 0);
		change_things();
		sync_replica(replica);
		bmf_source_keep(source);
		if (i % 3 == 0)
			bmf_source_keep(source);
		measure(cost, faultio_calls(&count));
		if (i % 50 == 49)
			check_images(cost);
		if (i % 700 == 699) {
			ck_assert_int_eq(bmf_source_close(source), 0);
			open_source();
		}
	}
	check_images(&late);
	ck_assert_int_eq(bmf_source_close(source), 0);
	ck_assert_int_eq(faultio_open_fds(&count), 0);
	printf("%u checkpoints\n", n);
	say("early", &early);
	say("late", &late);

	ck_assert_uint_le(late.calls / late.n, early.calls / early.n * 5 / 4 + 5);
	ck_assert_uint_le(late.memory, early.memory * 5 / 4 + 65536);
	/* state, lock, a sidecar an image, and those whose images are just gone */
	ck_assert_uint_le(late.files, 2 + 2 * IMAGES);
	ck_assert_uint_le(late.nbytes, early.nbytes * 5 / 4 + 65536);
	ck_assert_uint_le(late.state, early.state * 5 / 4 + 512);
	ck_assert_uint_le(late.sections, SECTIONS_MAX);
	/* the store's, and two for a tracker */
	ck_assert_uint_le(late.fds, 8 + 2 * IMAGES);
	ck_assert_uint_gt(late.sections, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("long life");
	TCase *tcase = tcase_create("long life");

	tcase_add_unchecked_fixture(tcase, scratch_make, scratch_remove);
	tcase_set_timeout(tcase, 3600);
	tcase_add_test(tcase, test_nothing_grows);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
