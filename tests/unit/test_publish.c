/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_publish.c - journals from an enemy, or from a bad disk, in a replica that is to be recovered
 *
 * What is refused leaves the replica as it was, byte for byte, and its journal where it was; and
 * whatever a journal says, nothing outside of the replica is touched.  Which streams are
 * refused for what is test_stream_refused's job; here some of each kind are tried on files.
 */
#include "config.h"

#include "tests/unit/rawstream.h"
#include "tests/unit/rng.h"
#include "tests/unit/scratch.h"
#include "tests/unit/streams.h"
#include "tests/unit/streamseal.h"
#include "tests/unit/suite.h"

#include "tools/publish.h"

#include "bitmapfile/identity.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define IMAGE_SIZE ((size_t)20000)
#define JOURNAL "dest/.mirrorfs/journal"

static struct replica replica;

/* ---- files ---- */

static void write_file(const char *path, const void *bytes, size_t nbytes)
{
	int fd = openat(scratch_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, nbytes), (ssize_t)nbytes);
	close(fd);
}

static void make_dir(const char *path)
{
	ck_assert_int_eq(mkdirat(scratch_fd, path, 0755), 0);
}

/* What is in a tree: names, kinds, modes, sizes, times, contents; but not of .mirrorfs itself. */
static XXH64_hash_t seen;

static int see(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	uint8_t bytes[IMAGE_SIZE * 2];
	struct {
		uint64_t mode, size, nlink;
		struct timespec mtime;
	} meta = { st->st_mode, S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
		   S_ISDIR(st->st_mode) ? 0 : st->st_nlink, st->st_mtim };
	ssize_t n = 0;
	int fd;

	(void)ftw;
	if (strstr(path, "/.mirrorfs"))
		return 0;
	if (kind == FTW_F && S_ISREG(st->st_mode)) {
		fd = open(path, O_RDONLY);
		n = read(fd, bytes, sizeof(bytes));
		close(fd);
	} else if (kind == FTW_SL) {
		n = readlink(path, (char *)bytes, sizeof(bytes));
	}
	/* the order of a directory's names is the filesystem's */
	seen += XXH3_64bits_withSeed(
		bytes, n > 0 ? (size_t)n : 0,
		XXH3_64bits_withSeed(path, strlen(path), XXH3_64bits(&meta, sizeof(meta))));
	return 0;
}

static XXH64_hash_t look(const char *path)
{
	char full[8192];

	snprintf(full, sizeof(full), "%s/%s", scratch_path, path);
	seen = 0;
	ck_assert_int_eq(nftw(full, see, 8, FTW_PHYS), 0);
	return seen;
}

/* ---- a replica ---- */

static struct bmf_uuid image_uuid;

static void make_image(struct manifest *manifest, const char *path)
{
	uint8_t bytes[IMAGE_SIZE];
	struct bmf_stamp stamp;
	char name[64];
	int fd;

	memset(bytes, 'o', sizeof(bytes));
	snprintf(name, sizeof(name), "dest/%s", path);
	write_file(name, bytes, sizeof(bytes));
	fd = openat(scratch_fd, name, O_RDONLY);
	ck_assert_int_eq(bmf_stamp_take(&bmf_io_posix, fd, &stamp), 0);
	close(fd);
	ck_assert_int_eq(manifest_add(manifest, &image_uuid, path, 0, false, &stamp), 0);
}

static struct manifest_image the_image(void)
{
	ck_assert_uint_eq(replica.manifest.nimages, 1);
	return replica.manifest.images[0];
}

/* At the checkpoint where the sample's journal begins: an image, and a directory. */
static void make_replica(void)
{
	struct stream_header header = streams_header(true);
	struct manifest manifest = { .replica = header.replica,
				     .source = header.source,
				     .checkpoint = header.from,
				     .checkpoint_uuid = header.from_uuid,
				     .complete = true,
				     .block_shift = header.block_shift };
	char path[8192];
	struct bmf_error err = { 0 };

	memset(image_uuid.b, 7, sizeof(image_uuid.b));
	make_dir("dest");
	make_dir("dest/dir");
	make_dir("dest/dir/deep");
	write_file("dest/dir/deep/file", "in dir", 6);
	make_image(&manifest, "image");
	snprintf(path, sizeof(path), "%s/dest", scratch_path);
	ck_assert_msg(replica_open_any(path, &replica, &err) == 0, "%s", err.text);
	ck_assert_msg(replica_save(&replica, &manifest, &err) == 0, "%s", err.text);
	replica.path = "dest";
}

static void remove_tree(const char *path)
{
	char command[8192];

	snprintf(command, sizeof(command), "rm -rf '%s/%s'", scratch_path, path);
	ck_assert_int_eq(system(command), 0);
}

static void remake_replica(void)
{
	replica_close(&replica);
	remove_tree("dest");
	make_replica();
}

static void setup(void)
{
	raw_setup();
	remove_tree("dest"); /* after a test that failed */
	remove_tree("outside");
	make_dir("outside");
	write_file("outside/secret", "secret", 6);
	make_dir("outside/deep");
	write_file("outside/deep/file", "not in dir", 10);
	make_replica();
}

static void teardown(void)
{
	replica_close(&replica);
	remove_tree("dest");
	remove_tree("outside");
	raw_teardown();
}

/* ---- journals ---- */

/* The image, by that name and with that content. */
static void raw_image(const char *path, enum stream_kind kind, off_t size)
{
	struct stream_node node = raw_make(path, S_IFREG | 0644, kind);

	node.meta.st.st_size = size;
	node.meta.st.st_uid = geteuid();
	node.meta.st.st_gid = getegid();
	node.image = image_uuid;
	node.stamp = the_image().stamp;
	raw_put(&node);
}

/* One that is right: all that a journal can have, but for staged files. */
static void make_good_journal(void)
{
	raw_begin(true);
	raw_dir("dir");
	raw_dir("dir/deep");
	raw_image("dir/deep/image", STREAM_DELTA, IMAGE_SIZE + 500);
	raw_link("dir/deep/linked");
	raw_dir("dir/deep/sub");
	raw_content(3);
	raw_data(4096, 4096);
	raw_zero(8192, 4096);
	raw_content_end(IMAGE_SIZE + 500);
	raw_footer();
	streamseal(raw, raw_nbytes);
}

static int publish_raw(size_t nbytes, struct bmf_error *err)
{
	struct publish_report report;
	int r;

	*err = (struct bmf_error){ 0 };
	write_file(JOURNAL, raw, nbytes);
	r = publish(&replica, 0, &report, err);
	publish_report_destroy(&report);
	return r;
}

static bool has_journal(void)
{
	return faccessat(scratch_fd, JOURNAL, F_OK, 0) == 0;
}

/* It is refused, for that reason if there is one, and nothing has changed. */
static void refused(size_t nbytes, const char *why, XXH64_hash_t dest, XXH64_hash_t outside)
{
	struct bmf_error err;
	int r = publish_raw(nbytes, &err);

	ck_assert_msg(r < 0, "it was published");
	ck_assert_msg(err.code == r && err.text[0], "nothing was said");
	ck_assert_msg(!why || strstr(err.text, why), "'%s' isn't in: %s", why, err.text);
	ck_assert_msg(look("dest") == dest, "the replica has changed: %s", err.text);
	ck_assert_msg(look("outside") == outside, "what is outside has changed: %s", err.text);
	ck_assert_msg(has_journal(), "the journal is gone: %s", err.text);
	ck_assert_uint_eq(replica.manifest.checkpoint, streams_header(true).from);
}

/* That the parts make something that is right, or all below would prove little. */
START_TEST(test_good)
{
	uint8_t bytes[IMAGE_SIZE * 2];
	struct bmf_error err;
	int fd;

	make_good_journal();
	ck_assert_msg(publish_raw(raw_nbytes, &err) == 0, "%s", err.text);
	ck_assert(!has_journal());
	ck_assert_uint_eq(replica.manifest.checkpoint, streams_header(true).to);
	ck_assert(replica.manifest.complete);
	fd = openat(scratch_fd, "dest/dir/deep/linked", O_RDONLY);
	ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), (ssize_t)IMAGE_SIZE + 500);
	close(fd);
	for (size_t i = 0; i < IMAGE_SIZE + 500; i++)
		ck_assert_int_eq(bytes[i], (i >= 4096 && i < 12288) || i >= IMAGE_SIZE ? 0 : 'o');
	ck_assert_int_ne(faccessat(scratch_fd, "dest/dir/deep/file", F_OK, 0), 0);
}
END_TEST

START_TEST(test_cut_off)
{
	XXH64_hash_t dest = look("dest"), outside = look("outside");

	make_good_journal();
	for (size_t nbytes = 0; nbytes<raw_nbytes; nbytes += nbytes> 1500 ? 97 : 1)
		refused(nbytes, NULL, dest, outside);
}
END_TEST

START_TEST(test_bit_flipped)
{
	struct rng rng = rng_start("test_bit_flipped");
	XXH64_hash_t dest = look("dest"), outside = look("outside");

	make_good_journal();
	for (size_t i = 0; i<raw_nbytes; i += i> 1500 ? 97 : 1) {
		uint8_t bit = (uint8_t)(1u << rng_below(&rng, 8));

		raw[i] ^= bit;
		refused(raw_nbytes, NULL, dest, outside);
		raw[i] ^= bit;
	}
}
END_TEST

/* Somebody made the checksums right afterwards: it may be published, but only here. */
START_TEST(test_bits_flipped_and_sealed)
{
	struct rng rng = rng_start("test_bits_flipped_and_sealed");
	XXH64_hash_t dest = look("dest"), outside = look("outside");
	struct bmf_error err;

	for (int i = 0; i < 150; i++) {
		make_good_journal();
		for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
			raw[rng_below(&rng, raw_nbytes)] ^= (uint8_t)(1u << rng_below(&rng, 8));
		streamseal(raw, raw_nbytes);
		if (publish_raw(raw_nbytes, &err) < 0) {
			ck_assert_msg(err.text[0], "nothing was said");
			ck_assert_msg(err.code != -EBADMSG || look("dest") == dest,
				      "the replica has changed: %s", err.text);
		}
		ck_assert_msg(look("outside") == outside, "what is outside has changed");
		if (look("dest") != dest || !has_journal()) {
			remake_replica();
			dest = look("dest");
		}
	}
}
END_TEST

#define REFUSED(why, ...)                                \
	do {                                             \
		raw_begin(true);                         \
		__VA_ARGS__;                             \
		raw_footer();                            \
		streamseal(raw, raw_nbytes);             \
		refused(raw_nbytes, why, dest, outside); \
	} while (0)

static void raw_staged(const char *path, const char *staged)
{
	struct stream_node node = raw_make(path, S_IFREG | 0644, STREAM_STAGED);

	node.staged = staged;
	raw_put(&node);
}

START_TEST(test_hostile)
{
	static const uint8_t frame[4096];
	XXH64_hash_t dest = look("dest"), outside = look("outside");

	REFUSED("'..'", raw_dir(".."));
	REFUSED("'..'", raw_file("../outside/new", STREAM_WHOLE, 0));
	REFUSED("'..'", raw_image("a", STREAM_SAME, IMAGE_SIZE), raw_link("dir/../../outside/new"));
	REFUSED("empty", raw_file("/tmp/new", STREAM_WHOLE, 0));
	REFUSED("own directory", raw_dir(".mirrorfs"));
	REFUSED("own directory", raw_file(".mirrorfs/replica", STREAM_WHOLE, 0));
	REFUSED("parent", raw_file("nodir/file", STREAM_WHOLE, 0));
	REFUSED("staged", raw_staged("new", "../replica"));
	REFUSED("order", raw_dir("dir"), raw_dir("a"));
	REFUSED("an image twice", raw_image("a", STREAM_SAME, IMAGE_SIZE),
		raw_image("b", STREAM_SAME, IMAGE_SIZE));
	REFUSED("make no sense", raw_image("a", STREAM_SAME, IMAGE_SIZE), raw_link("nodir/b"));
	REFUSED("make no sense", raw_image("a", STREAM_SAME, IMAGE_SIZE), raw_link("b"),
		raw_dir("b"));
	REFUSED(NULL, raw_record_announced(STREAM_NODE, frame, 10, 0xffffffff));
	REFUSED(NULL, raw_image("image", STREAM_DELTA, IMAGE_SIZE), raw_content(1),
		raw_zero(UINT64_MAX - 4095, 4096), raw_content_end(IMAGE_SIZE));
	REFUSED(NULL, raw_image("image", STREAM_DELTA, IMAGE_SIZE), raw_content(1),
		raw_stored(0, 0xfffff000, STREAM_ZSTD, frame, 16), raw_content_end(IMAGE_SIZE));
	REFUSED(NULL, raw_image("image", STREAM_DELTA, IMAGE_SIZE), raw_content(7), raw_data(0, 10),
		raw_content_end(IMAGE_SIZE));
}
END_TEST

/* Of another replica, and of another checkpoint. */
START_TEST(test_not_ours)
{
	XXH64_hash_t dest = look("dest"), outside = look("outside");

	make_good_journal();
	raw_header()->replica[3] ^= 1;
	streamseal(raw, raw_nbytes);
	refused(raw_nbytes, "another replica", dest, outside);
	make_good_journal();
	raw_header()->from = le64_make(streams_header(true).from - 1);
	streamseal(raw, raw_nbytes);
	refused(raw_nbytes, "another checkpoint", dest, outside);
	make_good_journal();
	raw_header()->from_uuid[3] ^= 1;
	streamseal(raw, raw_nbytes);
	refused(raw_nbytes, "another checkpoint", dest, outside);
}
END_TEST

/* A link in the way is a name that has to go, and never a way out. */
START_TEST(test_symlink_in_the_way)
{
	XXH64_hash_t outside = look("outside");
	struct bmf_error err;

	ck_assert_int_eq(unlinkat(scratch_fd, "dest/dir/deep/file", 0), 0);
	remove_tree("dest/dir");
	ck_assert_int_eq(symlinkat("../outside", scratch_fd, "dest/dir"), 0);
	make_good_journal();
	ck_assert_msg(publish_raw(raw_nbytes, &err) == 0, "%s", err.text);
	ck_assert(look("outside") == outside);
	ck_assert_int_eq(faccessat(scratch_fd, "dest/dir/deep/linked", F_OK, 0), 0);
}
END_TEST

static atomic_bool racing;

/* dest/dir is a directory and a link to outside, by turns. */
static void *swap(void *arg)
{
	(void)arg;
	while (atomic_load_explicit(&racing, memory_order_relaxed))
		renameat2(scratch_fd, "dest/dir", scratch_fd, "swapped", RENAME_EXCHANGE);
	return NULL;
}

START_TEST(test_symlink_race)
{
	XXH64_hash_t outside = look("outside");
	struct bmf_error err;
	pthread_t thread;

	for (int i = 0; i < 30; i++) {
		unlinkat(scratch_fd, "swapped", 0);
		remove_tree("swapped");
		ck_assert_int_eq(symlinkat("../outside", scratch_fd, "swapped"), 0);
		make_good_journal();
		atomic_store_explicit(&racing, true, memory_order_relaxed);
		ck_assert_int_eq(pthread_create(&thread, NULL, swap, NULL), 0);
		publish_raw(raw_nbytes, &err);
		atomic_store_explicit(&racing, false, memory_order_relaxed);
		pthread_join(thread, NULL);
		ck_assert_msg(look("outside") == outside, "round %d", i);
		remake_replica();
	}
	unlinkat(scratch_fd, "swapped", 0);
	remove_tree("swapped");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("publish");
	TCase *tc = tcase_create("publish");

	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_good);
	tcase_add_test(tc, test_cut_off);
	tcase_add_test(tc, test_bit_flipped);
	tcase_add_test(tc, test_bits_flipped_and_sealed);
	tcase_add_test(tc, test_hostile);
	tcase_add_test(tc, test_not_ours);
	tcase_add_test(tc, test_symlink_in_the_way);
	tcase_add_test(tc, test_symlink_race);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
