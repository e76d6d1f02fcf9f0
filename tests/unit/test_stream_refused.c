/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stream_refused.c - streams from an enemy: every checksum is right, and yet they are refused
 *
 * A stream is put together from raw records, one of which is wrong.  err has to say what
 * is; else it might have been refused for something else.
 */
#include "config.h"

#include "tests/unit/rawstream.h"
#include "tests/unit/streams.h"
#include "tests/unit/streamseal.h"
#include "tests/unit/suite.h"

#include "tools/stream_format.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* begin, the records given and a footer are refused for that reason */
#define REFUSED(why, ...)                        \
	do {                                     \
		raw_begin(false);                \
		__VA_ARGS__;                     \
		raw_footer();                    \
		raw_refused_with(-EBADMSG, why); \
	} while (0)
#define REFUSED_JOURNAL(why, ...)                \
	do {                                     \
		raw_begin(true);                 \
		__VA_ARGS__;                     \
		raw_footer();                    \
		raw_refused_with(-EBADMSG, why); \
	} while (0)
#define ACCEPTED(...)                                                                   \
	do {                                                                            \
		struct bmf_error err_ = { 0 };                                          \
		raw_begin(false);                                                       \
		__VA_ARGS__;                                                            \
		raw_footer();                                                           \
		streamseal(raw, raw_nbytes);                                            \
		ck_assert_msg(streams_verify(raw, raw_nbytes, false, &err_) == 0, "%s", \
			      err_.text);                                               \
	} while (0)

/* That the parts make something that is right, or all below would prove little. */
START_TEST(test_accepted)
{
	ACCEPTED((void)0);
	ACCEPTED(raw_file("a", STREAM_WHOLE, 10000), raw_link("z/y"), raw_file("b", STREAM_SAME, 5),
		 raw_content(1), raw_data(0, 10), raw_zero(10, 9990), raw_digests(0, 3, 3),
		 raw_content_end(10000));
	ACCEPTED(raw_dir(".mirrorfs2"), raw_dir("a"), raw_file("a/.mirrorfs", STREAM_SAME, 1),
		 raw_dir("a!"));
	ACCEPTED(raw_dir("..."), raw_dir("a"), raw_dir("a/b"), raw_dir("a/b/c"), raw_dir("a/c"),
		 raw_dir("a b"));
}
END_TEST

START_TEST(test_headers)
{
#define HEADER(code, why, change)            \
	do {                                 \
		raw_begin(false);            \
		raw_footer();                \
		change;                      \
		raw_refused_with(code, why); \
	} while (0)
	HEADER(-EBADMSG, "no delta stream", raw_header()->magic[0] = 'X');
	HEADER(-EPROTONOSUPPORT, "newer", raw_header()->version = le32_make(2));
	HEADER(-EPROTONOSUPPORT, "newer", raw_header()->incompat = le32_make(1u << 31));
	HEADER(-EBADMSG, "makes no sense", raw_header()->version = le32_make(0));
	HEADER(-EBADMSG, "makes no sense", raw_header()->header_nbytes = le32_make(200));
	HEADER(-EBADMSG, "makes no sense", raw_header()->flags = le32_make(2));
	HEADER(-EBADMSG, "makes no sense", raw_header()->reserved[55] = 1);
	HEADER(-EBADMSG, "block size", raw_header()->block_shift = le32_make(11));
	HEADER(-EBADMSG, "block size", raw_header()->block_shift = le32_make(22));
	HEADER(-EBADMSG, "no source", memset(raw_header()->source, 0, 16));
	HEADER(-EBADMSG, "no replica", memset(raw_header()->replica, 0, 16));
	HEADER(-EBADMSG, "no number", raw_header()->from = le64_make(0));
	HEADER(-EBADMSG, "no UUID", memset(raw_header()->from_uuid, 0, 16));
	HEADER(-EBADMSG, "no checkpoint", raw_header()->to = le64_make(0));
	HEADER(-EBADMSG, "no checkpoint", memset(raw_header()->to_uuid, 0, 16));
#undef HEADER
	/* a compatible feature, and what it may have put there */
	raw_begin(false);
	raw_footer();
	raw_header()->compat = le32_make(4);
	raw_header()->reserved[3] = 1;
	streamseal(raw, raw_nbytes);
	ck_assert_int_eq(streams_verify(raw, raw_nbytes, false, NULL), 0);
}
END_TEST

START_TEST(test_paths)
{
	REFUSED("'..'", raw_file("..", STREAM_SAME, 1));
	REFUSED("'..'", raw_dir("a"), raw_file("a/..", STREAM_SAME, 1));
	REFUSED("'..'", raw_dir("a"), raw_file("a/../b", STREAM_SAME, 1));
	REFUSED("'.'", raw_file(".", STREAM_SAME, 1));
	REFUSED("'.'", raw_dir("a"), raw_file("a/.", STREAM_SAME, 1));
	REFUSED("empty", raw_file("/etc/passwd", STREAM_SAME, 1));
	REFUSED("empty", raw_dir("a"), raw_file("a//b", STREAM_SAME, 1));
	REFUSED("empty", raw_dir("a"), raw_file("a/", STREAM_SAME, 1));
	REFUSED("own directory", raw_dir(".mirrorfs"));
	REFUSED("own directory", raw_file(".mirrorfs", STREAM_SAME, 1));
	REFUSED("own directory", raw_file(".mirrorfs/replica", STREAM_SAME, 1));
	REFUSED("out of order", raw_dir("a"), raw_dir("a"));
	REFUSED("empty", raw_dir("a"), raw_dir(""));
	REFUSED("out of order", raw_dir("b"), raw_dir("a"));
	REFUSED("out of order", raw_dir("a"), raw_dir("a!"), raw_dir("a/b"));
	REFUSED("parent", raw_dir("a/b"));
	REFUSED("parent", raw_file("a", STREAM_SAME, 1), raw_file("a/b", STREAM_SAME, 1));
	REFUSED("parent", raw_dir("a"), raw_dir("a/b"), raw_dir("a/bc/d"));
	REFUSED("parent", raw_dir("ab"), raw_dir("ab/c"), raw_file("b/c", STREAM_SAME, 1));
	REFUSED("parent", raw_dir("a"), raw_file("a/f", STREAM_SAME, 1), raw_dir("a/f/g"));
}
END_TEST

START_TEST(test_links)
{
	REFUSED("one name", raw_link("a"));
	REFUSED("one name", raw_dir("a"), raw_link("b"));
	REFUSED("'..'", raw_file("a", STREAM_SAME, 1), raw_link("b/../../c"));
	REFUSED("empty", raw_file("a", STREAM_SAME, 1), raw_link("/b"));
	REFUSED("empty", raw_file("a", STREAM_SAME, 1), raw_link(""));
	REFUSED("own directory", raw_file("a", STREAM_SAME, 1), raw_link(".mirrorfs/x"));
	REFUSED("out of order", raw_file("b", STREAM_SAME, 1), raw_link("a"));
	REFUSED("out of order", raw_file("b", STREAM_SAME, 1), raw_link("b"));
	REFUSED("out of order", raw_file("b", STREAM_SAME, 1), raw_link("d"), raw_link("c"));
	REFUSED("no sense", raw_file("b", STREAM_SAME, 1), raw_record(STREAM_LINK, "c\0d", 4));
	REFUSED("no sense", raw_file("b", STREAM_SAME, 1), raw_record(STREAM_LINK, "cd", 2));
	raw_begin(false);
	raw_nbytes = sizeof(struct stream_disk_header);
	raw_link("a");
	raw_footer();
	raw_refused_with(-EBADMSG, "after their file");
}
END_TEST

static void changed(struct stream_node node, mode_t mode, void (*change)(struct stream_node *))
{
	node.meta.st.st_mode = mode;
	change(&node);
	raw_put(&node);
}

static char user_a[] = "user.a", user_b[] = "user.b", ours[] = "user.mirrorfs.id", nameless[] = "";
static struct xattr twice[] = { { user_a, NULL, 0 }, { user_a, NULL, 0 } };
static struct xattr backwards[] = { { user_b, NULL, 0 }, { user_a, NULL, 0 } };
static struct xattr own[] = { { ours, NULL, 0 } };
static struct xattr no_name[] = { { nameless, NULL, 0 } };

/* A node with one field that is wrong. */
#define NODE(why, mode, kind, field, value)                           \
	do {                                                          \
		struct stream_node node_ = raw_make("a", mode, kind); \
		node_.field = value;                                  \
		REFUSED(why, raw_put(&node_));                        \
	} while (0)

START_TEST(test_nodes)
{
	const struct bmf_uuid none = { { 0 } }, some = { { 1 } };

	NODE("type is unknown", 0755, STREAM_NONE, index, 0);
	NODE("mode", S_IFDIR | 01000000, STREAM_NONE, index, 0);
	NODE("owner", S_IFDIR, STREAM_NONE, meta.st.st_uid, (uid_t)-1);
	NODE("owner", S_IFDIR, STREAM_NONE, meta.st.st_gid, (gid_t)-1);
	NODE("times", S_IFDIR, STREAM_NONE, meta.st.st_atim.tv_nsec, 1000000000);
	NODE("times", S_IFDIR, STREAM_NONE, meta.st.st_mtim.tv_nsec, 1000000000);
	NODE("size", S_IFREG, STREAM_SAME, meta.st.st_size, -1);
	NODE("go with its type", S_IFDIR, STREAM_SAME, index, 0);
	NODE("go with its type", S_IFREG, STREAM_NONE, index, 0);
	NODE("image's UUID", S_IFIFO, STREAM_NONE, image, some);
	NODE("find its content", S_IFREG, STREAM_SAME, image, none);
	NODE("find its content", S_IFREG, STREAM_DELTA, image, none);
	NODE("unknown", S_IFREG, 5, index, 0);
	NODE("only a journal", S_IFREG, STREAM_STAGED, index, 0);
	NODE("target", S_IFLNK, STREAM_NONE, index, 0);
	NODE("target", S_IFDIR, STREAM_NONE, target, "x");
	NODE("out of order", S_IFDIR, STREAM_NONE, meta.xattrs, ((struct xattrs){ twice, 2 }));
	NODE("out of order", S_IFDIR, STREAM_NONE, meta.xattrs, ((struct xattrs){ backwards, 2 }));
	NODE("for itself", S_IFDIR, STREAM_NONE, meta.xattrs, ((struct xattrs){ own, 1 }));
	NODE("no name", S_IFDIR, STREAM_NONE, meta.xattrs, ((struct xattrs){ no_name, 1 }));
}
END_TEST

static void set_staged_on_same(struct stream_node *node)
{
	node->staged = "x";
}

static void set_staged_path(struct stream_node *node)
{
	node->content = STREAM_STAGED;
	node->staged = "../x";
}

static void set_staged_dots(struct stream_node *node)
{
	node->content = STREAM_STAGED;
	node->staged = "..";
}

static void set_staged_nothing(struct stream_node *node)
{
	node->content = STREAM_STAGED;
}

START_TEST(test_journal_nodes)
{
	struct stream_node node = raw_make("a", S_IFREG, STREAM_SAME);

	REFUSED_JOURNAL("needs none", changed(node, S_IFREG, set_staged_on_same));
	REFUSED_JOURNAL("file's name", changed(node, S_IFREG, set_staged_path));
	REFUSED_JOURNAL("file's name", changed(node, S_IFREG, set_staged_dots));
	REFUSED_JOURNAL("file's name", changed(node, S_IFREG, set_staged_nothing));
	/* busy: after the head and the fixed part, and five numbers */
	raw_begin(true);
	raw[sizeof(struct stream_disk_header) + 8 + 88 + 40] = 2;
	raw_footer();
	raw_refused_with(-EBADMSG, "fields make no sense");
}
END_TEST

/* Numbers in a node's fixed part, each overwritten with something too large. */
START_TEST(test_node_lengths)
{
	static const size_t offsets[] = {
		offsetof(struct stream_disk_node, path_nbytes),
		offsetof(struct stream_disk_node, target_nbytes),
		offsetof(struct stream_disk_node, nxattrs),
		offsetof(struct stream_disk_node, xattrs_nbytes),
		offsetof(struct stream_disk_node, rdev_major),
		offsetof(struct stream_disk_node, rdev_minor),
		offsetof(struct stream_disk_node, size),
	};
	static const uint32_t values[] = {
		1, 2, 65535, 65536, 1 << 30, UINT32_MAX - 1, UINT32_MAX
	};
	uint8_t *fixed = raw + sizeof(struct stream_disk_header) + sizeof(struct stream_disk_head);

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			struct le32 value = le32_make(values[j]);

			raw_begin(false);
			memcpy(fixed + offsets[i], &value, sizeof(value));
			raw_footer();
			raw_refused_with(-EBADMSG, "fields make no sense");
		}
	}
}
END_TEST

START_TEST(test_order)
{
	REFUSED("files or contents are missing", raw_file("a", STREAM_WHOLE, 1));
	REFUSED("next file", raw_file("a", STREAM_SAME, 1), raw_content(1), raw_content_end(1));
	REFUSED("next file", raw_file("a", STREAM_WHOLE, 1), raw_content(0));
	REFUSED("next file", raw_file("a", STREAM_WHOLE, 1), raw_content(2));
	REFUSED("next file", raw_file("a", STREAM_WHOLE, 1), raw_content(UINT64_MAX));
	REFUSED("next file", raw_file("a", STREAM_WHOLE, 1), raw_file("b", STREAM_WHOLE, 1),
		raw_content(2), raw_content_end(1), raw_content(1), raw_content_end(1));
	REFUSED("next file", raw_file("a", STREAM_WHOLE, 1), raw_content(1), raw_content_end(1),
		raw_content(1), raw_content_end(1));
	REFUSED("one after another", raw_file("a", STREAM_WHOLE, 1), raw_file("b", STREAM_WHOLE, 1),
		raw_content(1), raw_content(2));
	REFUSED("before contents", raw_file("a", STREAM_WHOLE, 1), raw_content(1), raw_dir("b"));
	REFUSED("before contents", raw_file("a", STREAM_WHOLE, 1), raw_content(1),
		raw_content_end(1), raw_dir("b"));
	REFUSED("after their file", raw_file("a", STREAM_WHOLE, 1), raw_content(1),
		raw_content_end(1), raw_link("b"));
	REFUSED("outside", raw_file("a", STREAM_WHOLE, 1), raw_data(0, 1));
	REFUSED("outside", raw_file("a", STREAM_WHOLE, 1), raw_content(1), raw_content_end(1),
		raw_zero(0, 1));
	REFUSED("outside", raw_digests(0, 1, 1));
	REFUSED("no content to end", raw_content_end(0));
	REFUSED("are missing", raw_file("a", STREAM_WHOLE, 1), raw_content(1));
	REFUSED("fit what came before", raw_file("a", STREAM_WHOLE, 1), raw_content(1),
		raw_content_end(2));
	REFUSED("more after it", raw_footer());
	REFUSED("type makes no sense", raw_record(0, "", 0));
	REFUSED("type makes no sense", raw_record(9, "", 0));
	REFUSED("type makes no sense", raw_record(65535, "", 0));
	raw_begin(false);
	raw_nbytes = sizeof(struct stream_disk_header);
	raw_footer();
	raw_refused_with(-EBADMSG, "are missing");
	raw_nbytes = sizeof(struct stream_disk_header);
	raw_file("", STREAM_WHOLE, 1);
	raw_refused_with(-EBADMSG, "top directory");
	raw_nbytes = sizeof(struct stream_disk_header);
	raw_dir("a");
	raw_refused_with(-EBADMSG, "top directory");
	raw_begin(false);
	raw[sizeof(struct stream_disk_header) + 2] = 1; /* a flag of the record */
	raw_refused_with(-EBADMSG, "type makes no sense");
}
END_TEST

/* From nothing, there is nothing to build on. */
START_TEST(test_from_nothing)
{
	for (unsigned int kind = STREAM_SAME; kind <= STREAM_WHOLE; kind++) {
		raw_begin(false);
		raw_header()->from = le64_make(0);
		memset(raw_header()->from_uuid, 0, 16);
		raw_file("a", kind, 1);
		raw_refused_with(-EBADMSG, kind == STREAM_WHOLE ? "ends before" : "hasn't got");
	}
}
END_TEST

#define EXTENTS(why, ...) \
	REFUSED(why, raw_file("a", STREAM_WHOLE, 10000), raw_content(1), __VA_ARGS__)

START_TEST(test_extents)
{
	EXTENTS("empty", raw_data(0, 0));
	EXTENTS("empty", raw_zero(0, 0));
	EXTENTS("overlaps", raw_data(0, 10), raw_data(9, 1));
	EXTENTS("overlaps", raw_data(0, 10), raw_zero(0, 10));
	EXTENTS("overlaps", raw_zero(5000, 10), raw_data(0, 10));
	EXTENTS("beyond", raw_data(9999, 2));
	EXTENTS("beyond", raw_data(10000, 1));
	EXTENTS("beyond", raw_zero(0, 10001));
	EXTENTS("beyond", raw_zero(1, UINT64_MAX));
	EXTENTS("beyond", raw_zero(UINT64_MAX, 1));
	EXTENTS("beyond", raw_data(UINT64_MAX - 5, 10));
	EXTENTS("overlap", raw_digests(0, 2, 2), raw_digests(1, 1, 1));
	EXTENTS("beyond", raw_digests(0, 4, 4));
	EXTENTS("beyond", raw_digests(3, 1, 1));
	EXTENTS("beyond", raw_digests(UINT64_MAX, 1, 1));
	EXTENTS("none", raw_digests(0, 0, 0));
	EXTENTS("no sense", raw_digests(0, 1, 2));
	EXTENTS("no sense", raw_digests(0, 2, 1));
	EXTENTS("no sense", raw_digests(0, 1 << 28, 0));
	EXTENTS("agree", raw_stored(0, 10, STREAM_RAW, NULL, 9));
	EXTENTS("agree", raw_stored(0, 10, STREAM_RAW, NULL, 11));
	EXTENTS("encoding", raw_stored(0, 10, 2, NULL, 9));
	REFUSED("too long", raw_file("a", STREAM_WHOLE, 1 << 30), raw_content(1),
		raw_stored(0, STREAM_EXTENT_MAX + 1, STREAM_ZSTD, NULL, 100));
	REFUSED("too long", raw_file("a", STREAM_WHOLE, INT64_MAX), raw_content(1),
		raw_stored(0, UINT32_MAX, STREAM_ZSTD, NULL, 100));
}
END_TEST

/* Frames that unpack to another length than is announced, longer and shorter. */
START_TEST(test_zstd)
{
	static uint8_t bomb[STREAM_EXTENT_MAX * 2];
	static uint8_t frame[STREAM_EXTENT_MAX];
	size_t n = ZSTD_compress(frame, sizeof(frame), bomb, sizeof(bomb), 1), two;
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	EXTENTS("unpacked", raw_stored(0, 9000, STREAM_ZSTD, frame, n));
	n = ZSTD_compress(frame, sizeof(frame), bomb, 8999, 1);
	EXTENTS("unpacked", raw_stored(0, 9000, STREAM_ZSTD, frame, n));
	EXTENTS("unpacked", raw_stored(0, 8998, STREAM_ZSTD, frame, n));
	EXTENTS("unpacked", raw_stored(0, 8999, STREAM_ZSTD, frame, n - 1));
	EXTENTS("unpacked", raw_stored(0, 8999, STREAM_ZSTD, frame, n + 1));
	/* two frames, of which the first is as long as it should be */
	two = n + ZSTD_compress(frame + n, sizeof(frame) - n, bomb, 8999, 1);
	EXTENTS("unpacked", raw_stored(0, 8999, STREAM_ZSTD, frame, two));
	/* and then one of nothing */
	two = n + ZSTD_compress(frame + n, sizeof(frame) - n, bomb, 0, 1);
	EXTENTS("unpacked", raw_stored(0, 8999, STREAM_ZSTD, frame, two));
	/* no length in the frame */
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
	n = ZSTD_compress2(zstd, frame, sizeof(frame), bomb, 8999);
	EXTENTS("unpacked", raw_stored(0, 8999, STREAM_ZSTD, frame, n));
	ZSTD_freeCCtx(zstd);
	EXTENTS("unpacked", raw_stored(0, 100, STREAM_ZSTD, bomb, 99));
	EXTENTS("unpacked", raw_stored(0, 100, STREAM_ZSTD, bomb, 100));
}
END_TEST

/* Strings that are longer than may be, or shorter than is said; and what nothing belongs to. */
START_TEST(test_strings)
{
	char *longest = calloc(1, STREAM_PATH_MAX + 2);
	struct stream_disk_node *fixed =
		(void *)(raw + sizeof(struct stream_disk_header) + sizeof(struct stream_disk_head));
	struct stream_node node = raw_make("", S_IFDIR | 0755, STREAM_NONE);
	struct xattr xattrs[] = { { user_a, NULL, 0 }, { user_b, NULL, 0 } };

	memset(longest, 'a', STREAM_PATH_MAX + 1);
	REFUSED("fields make no sense", raw_dir(longest));
	longest[STREAM_TARGET_MAX + 1] = '\0';
	NODE("fields make no sense", S_IFLNK, STREAM_NONE, target, longest);
	REFUSED_JOURNAL("fields make no sense", {
		struct stream_node staged = raw_make("a", S_IFREG, STREAM_STAGED);

		longest[STREAM_NAME_MAX + 1] = '\0';
		staged.staged = longest;
		raw_put(&staged);
	});
	free(longest);
	/* a path with a NUL in it */
	REFUSED("fields make no sense", raw_dir("abc"), raw[raw_nbytes - 8 - 1 - 3] = '\0');
	/* one xattr more than is said */
	node.meta.xattrs = (struct xattrs){ xattrs, 2 };
	raw_begin(false);
	raw_nbytes = sizeof(struct stream_disk_header);
	raw_put(&node);
	fixed->nxattrs = le32_make(1);
	raw_footer();
	raw_refused_with(-EBADMSG, "fields make no sense");
}
END_TEST

/* Each of the footer's sums, one more than it is. */
START_TEST(test_totals)
{
	for (size_t i = 0; i < 7; i++) {
		struct stream_disk_check check;
		struct bmf_error err = { 0 };
		uint8_t *footer;

		raw_begin(false);
		raw_footer();
		streamseal(raw, raw_nbytes);
		footer = raw + raw_nbytes - sizeof(struct stream_disk_footer) - STREAM_RECORD_EXTRA;
		footer[sizeof(struct stream_disk_head) + i * 8]++;
		check = stream_check(footer, sizeof(struct stream_disk_footer) + 8, 1);
		memcpy(raw + raw_nbytes - sizeof(check), &check, sizeof(check));
		ck_assert_int_eq(streams_verify(raw, raw_nbytes, false, &err), -EBADMSG);
		ck_assert_ptr_nonnull(strstr(err.text, "fit what came before"));
	}
}
END_TEST

START_TEST(test_lengths)
{
	REFUSED("length", raw_record(STREAM_NODE, "", 0));
	REFUSED("length", raw_record(STREAM_CONTENT, "1234567", 7));
	REFUSED("length", raw_record(STREAM_CONTENT, "123456789", 9));
	REFUSED("length", raw_record_announced(STREAM_NODE, "", 0, UINT32_MAX));
	REFUSED("length", raw_record_announced(STREAM_NODE, "", 0, STREAM_NODE_PAYLOAD_MAX + 1));
	REFUSED("ends before", raw_record_announced(STREAM_NODE, "", 0, STREAM_NODE_PAYLOAD_MAX));
	REFUSED("length", raw_record_announced(STREAM_DATA, "", 0, STREAM_DATA_PAYLOAD_MAX + 1));
	REFUSED("length", raw_record_announced(STREAM_LINK, "", 0, STREAM_PATH_MAX + 2));
	REFUSED("length", raw_record_announced(STREAM_FOOTER, "", 0, 71));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream_refused");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_checked_fixture(tests, raw_setup, raw_teardown);
	tcase_add_test(tests, test_accepted);
	tcase_add_test(tests, test_headers);
	tcase_add_test(tests, test_paths);
	tcase_add_test(tests, test_links);
	tcase_add_test(tests, test_nodes);
	tcase_add_test(tests, test_journal_nodes);
	tcase_add_test(tests, test_node_lengths);
	tcase_add_test(tests, test_order);
	tcase_add_test(tests, test_from_nothing);
	tcase_add_test(tests, test_extents);
	tcase_add_test(tests, test_zstd);
	tcase_add_test(tests, test_strings);
	tcase_add_test(tests, test_totals);
	tcase_add_test(tests, test_lengths);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
