/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stream_refused.c - streams from an enemy: every checksum is right, and yet they are refused
 *
 * A stream is put together from raw records, one of which is wrong.  err has to say what
 * is; else it might have been refused for something else.
 */
#include "config.h"

#include "tests/unit/streams.h"
#include "tests/unit/streamseal.h"
#include "tests/unit/suite.h"

#include "tools/stream_format.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define RAW_MAX ((size_t)4 << 20)

static uint8_t *raw; /* the stream that is being made */
static size_t raw_nbytes;
static bool raw_journal;

static void setup(void)
{
	raw = malloc(RAW_MAX);
}

static void teardown(void)
{
	free(raw);
}

/* announced: the length that the head is to give */
static void record_announced(unsigned int type, const void *payload, size_t nbytes,
			     size_t announced)
{
	struct stream_disk_head head = {
		.type = le16_make((uint16_t)type),
		.payload_nbytes = le32_make((uint32_t)announced),
	};

	ck_assert_uint_lt(raw_nbytes + nbytes + STREAM_RECORD_EXTRA, RAW_MAX);
	memcpy(raw + raw_nbytes, &head, sizeof(head));
	if (nbytes)
		memcpy(raw + raw_nbytes + sizeof(head), payload, nbytes);
	raw_nbytes += nbytes + STREAM_RECORD_EXTRA;
}

static void record(unsigned int type, const void *payload, size_t nbytes)
{
	record_announced(type, payload, nbytes, nbytes);
}

static struct stream_node make(const char *path, mode_t mode, enum stream_kind kind)
{
	struct stream_node node = { .path = path, .content = kind };

	node.meta.st.st_mode = mode;
	if (kind != STREAM_NONE)
		memset(node.image.b, 7, sizeof(node.image.b));
	return node;
}

static void put(const struct stream_node *node)
{
	size_t nbytes = stream_node_nbytes(node, raw_journal);
	uint8_t *payload = malloc(nbytes);

	stream_node_encode(node, raw_journal, payload);
	record(STREAM_NODE, payload, nbytes);
	free(payload);
}

static void dir(const char *path)
{
	struct stream_node node = make(path, S_IFDIR | 0755, STREAM_NONE);

	put(&node);
}

static void file(const char *path, enum stream_kind kind, off_t size)
{
	struct stream_node node = make(path, S_IFREG | 0644, kind);

	node.meta.st.st_size = size;
	put(&node);
}

static void link_(const char *path)
{
	record(STREAM_LINK, path, strlen(path) + 1);
}

static void content(uint64_t node)
{
	struct stream_disk_content disk = { le64_make(node) };

	record(STREAM_CONTENT, &disk, sizeof(disk));
}

static void stored(uint64_t offset, uint32_t nbytes, uint32_t encoding, const void *bytes,
		   size_t stored_nbytes)
{
	struct stream_disk_data disk = { le64_make(offset), le32_make(nbytes),
					 le32_make(encoding) };
	uint8_t *payload = calloc(1, sizeof(disk) + stored_nbytes);

	memcpy(payload, &disk, sizeof(disk));
	if (bytes)
		memcpy(payload + sizeof(disk), bytes, stored_nbytes);
	record(STREAM_DATA, payload, sizeof(disk) + stored_nbytes);
	free(payload);
}

static void data(uint64_t offset, uint32_t nbytes)
{
	stored(offset, nbytes, STREAM_RAW, NULL, nbytes);
}

static void zero(uint64_t offset, uint64_t nbytes)
{
	struct stream_disk_zero disk = { le64_make(offset), le64_make(nbytes) };

	record(STREAM_ZERO, &disk, sizeof(disk));
}

static void digests(uint64_t first_block, uint32_t n, size_t there)
{
	struct stream_disk_digests disk = { le64_make(first_block), le32_make(n), le32_make(0) };
	uint8_t *payload = calloc(1, sizeof(disk) + there * 16);

	memcpy(payload, &disk, sizeof(disk));
	record(STREAM_DIGESTS, payload, sizeof(disk) + there * 16);
	free(payload);
}

static void content_end(uint64_t size)
{
	struct stream_disk_content_end disk = { .size = le64_make(size) };

	record(STREAM_CONTENT_END, &disk, sizeof(disk));
}

static void footer(void)
{
	static const struct stream_disk_footer disk;

	record(STREAM_FOOTER, &disk, sizeof(disk));
}

static struct stream_disk_header *raw_header(void)
{
	return (struct stream_disk_header *)(void *)raw;
}

/* A header, and the top directory. */
static void begin(bool journal)
{
	struct stream_header header = streams_header(journal);

	raw_journal = journal;
	stream_header_encode(&header, raw_header());
	raw_nbytes = sizeof(struct stream_disk_header);
	dir("");
}

static void refused_with(int code, const char *why)
{
	struct bmf_error err = { 0 };
	int r;

	streamseal(raw, raw_nbytes);
	r = streams_verify(raw, raw_nbytes, raw_journal, &err);
	ck_assert_msg(r == code, "instead of '%s': %d, %s", why, r, err.text);
	ck_assert_msg(strstr(err.text, why), "instead of '%s': %s", why, err.text);
}

/* begin, the records given and a footer are refused for that reason */
#define REFUSED(why, ...)                    \
	do {                                 \
		begin(false);                \
		__VA_ARGS__;                 \
		footer();                    \
		refused_with(-EBADMSG, why); \
	} while (0)
#define REFUSED_JOURNAL(why, ...)            \
	do {                                 \
		begin(true);                 \
		__VA_ARGS__;                 \
		footer();                    \
		refused_with(-EBADMSG, why); \
	} while (0)
#define ACCEPTED(...)                                                                   \
	do {                                                                            \
		struct bmf_error err_ = { 0 };                                          \
		begin(false);                                                           \
		__VA_ARGS__;                                                            \
		footer();                                                               \
		streamseal(raw, raw_nbytes);                                            \
		ck_assert_msg(streams_verify(raw, raw_nbytes, false, &err_) == 0, "%s", \
			      err_.text);                                               \
	} while (0)

/* That the parts make something that is right, or all below would prove little. */
START_TEST(test_accepted)
{
	ACCEPTED((void)0);
	ACCEPTED(file("a", STREAM_WHOLE, 10000), link_("z/y"), file("b", STREAM_SAME, 5),
		 content(1), data(0, 10), zero(10, 9990), digests(0, 3, 3), content_end(10000));
	ACCEPTED(dir(".mirrorfs2"), dir("a"), file("a/.mirrorfs", STREAM_SAME, 1), dir("a!"));
	ACCEPTED(dir("..."), dir("a"), dir("a/b"), dir("a/b/c"), dir("a/c"), dir("a b"));
}
END_TEST

START_TEST(test_headers)
{
#define HEADER(code, why, change)        \
	do {                             \
		begin(false);            \
		footer();                \
		change;                  \
		refused_with(code, why); \
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
	begin(false);
	footer();
	raw_header()->compat = le32_make(4);
	raw_header()->reserved[3] = 1;
	streamseal(raw, raw_nbytes);
	ck_assert_int_eq(streams_verify(raw, raw_nbytes, false, NULL), 0);
}
END_TEST

START_TEST(test_paths)
{
	REFUSED("'..'", file("..", STREAM_SAME, 1));
	REFUSED("'..'", dir("a"), file("a/..", STREAM_SAME, 1));
	REFUSED("'..'", dir("a"), file("a/../b", STREAM_SAME, 1));
	REFUSED("'.'", file(".", STREAM_SAME, 1));
	REFUSED("'.'", dir("a"), file("a/.", STREAM_SAME, 1));
	REFUSED("empty", file("/etc/passwd", STREAM_SAME, 1));
	REFUSED("empty", dir("a"), file("a//b", STREAM_SAME, 1));
	REFUSED("empty", dir("a"), file("a/", STREAM_SAME, 1));
	REFUSED("own directory", dir(".mirrorfs"));
	REFUSED("own directory", file(".mirrorfs", STREAM_SAME, 1));
	REFUSED("own directory", file(".mirrorfs/replica", STREAM_SAME, 1));
	REFUSED("out of order", dir("a"), dir("a"));
	REFUSED("empty", dir("a"), dir(""));
	REFUSED("out of order", dir("b"), dir("a"));
	REFUSED("out of order", dir("a"), dir("a!"), dir("a/b"));
	REFUSED("parent", dir("a/b"));
	REFUSED("parent", file("a", STREAM_SAME, 1), file("a/b", STREAM_SAME, 1));
	REFUSED("parent", dir("a"), dir("a/b"), dir("a/bc/d"));
	REFUSED("parent", dir("ab"), dir("ab/c"), file("b/c", STREAM_SAME, 1));
	REFUSED("parent", dir("a"), file("a/f", STREAM_SAME, 1), dir("a/f/g"));
}
END_TEST

START_TEST(test_links)
{
	REFUSED("one name", link_("a"));
	REFUSED("one name", dir("a"), link_("b"));
	REFUSED("'..'", file("a", STREAM_SAME, 1), link_("b/../../c"));
	REFUSED("empty", file("a", STREAM_SAME, 1), link_("/b"));
	REFUSED("empty", file("a", STREAM_SAME, 1), link_(""));
	REFUSED("own directory", file("a", STREAM_SAME, 1), link_(".mirrorfs/x"));
	REFUSED("out of order", file("b", STREAM_SAME, 1), link_("a"));
	REFUSED("out of order", file("b", STREAM_SAME, 1), link_("b"));
	REFUSED("out of order", file("b", STREAM_SAME, 1), link_("d"), link_("c"));
	REFUSED("no sense", file("b", STREAM_SAME, 1), record(STREAM_LINK, "c\0d", 4));
	REFUSED("no sense", file("b", STREAM_SAME, 1), record(STREAM_LINK, "cd", 2));
	begin(false);
	raw_nbytes = sizeof(struct stream_disk_header);
	link_("a");
	footer();
	refused_with(-EBADMSG, "after their file");
}
END_TEST

static void changed(struct stream_node node, mode_t mode, void (*change)(struct stream_node *))
{
	node.meta.st.st_mode = mode;
	change(&node);
	put(&node);
}

static char user_a[] = "user.a", user_b[] = "user.b", ours[] = "user.mirrorfs.id", nameless[] = "";
static struct xattr twice[] = { { user_a, NULL, 0 }, { user_a, NULL, 0 } };
static struct xattr backwards[] = { { user_b, NULL, 0 }, { user_a, NULL, 0 } };
static struct xattr own[] = { { ours, NULL, 0 } };
static struct xattr no_name[] = { { nameless, NULL, 0 } };

/* A node with one field that is wrong. */
#define NODE(why, mode, kind, field, value)                       \
	do {                                                      \
		struct stream_node node_ = make("a", mode, kind); \
		node_.field = value;                              \
		REFUSED(why, put(&node_));                        \
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
	struct stream_node node = make("a", S_IFREG, STREAM_SAME);

	REFUSED_JOURNAL("needs none", changed(node, S_IFREG, set_staged_on_same));
	REFUSED_JOURNAL("file's name", changed(node, S_IFREG, set_staged_path));
	REFUSED_JOURNAL("file's name", changed(node, S_IFREG, set_staged_dots));
	REFUSED_JOURNAL("file's name", changed(node, S_IFREG, set_staged_nothing));
	/* busy: after the head and the fixed part, and five numbers */
	begin(true);
	raw[sizeof(struct stream_disk_header) + 8 + 88 + 40] = 2;
	footer();
	refused_with(-EBADMSG, "fields make no sense");
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

			begin(false);
			memcpy(fixed + offsets[i], &value, sizeof(value));
			footer();
			refused_with(-EBADMSG, "fields make no sense");
		}
	}
}
END_TEST

START_TEST(test_order)
{
	REFUSED("files or contents are missing", file("a", STREAM_WHOLE, 1));
	REFUSED("next file", file("a", STREAM_SAME, 1), content(1), content_end(1));
	REFUSED("next file", file("a", STREAM_WHOLE, 1), content(0));
	REFUSED("next file", file("a", STREAM_WHOLE, 1), content(2));
	REFUSED("next file", file("a", STREAM_WHOLE, 1), content(UINT64_MAX));
	REFUSED("next file", file("a", STREAM_WHOLE, 1), file("b", STREAM_WHOLE, 1), content(2),
		content_end(1), content(1), content_end(1));
	REFUSED("next file", file("a", STREAM_WHOLE, 1), content(1), content_end(1), content(1),
		content_end(1));
	REFUSED("one after another", file("a", STREAM_WHOLE, 1), file("b", STREAM_WHOLE, 1),
		content(1), content(2));
	REFUSED("before contents", file("a", STREAM_WHOLE, 1), content(1), dir("b"));
	REFUSED("before contents", file("a", STREAM_WHOLE, 1), content(1), content_end(1),
		dir("b"));
	REFUSED("after their file", file("a", STREAM_WHOLE, 1), content(1), content_end(1),
		link_("b"));
	REFUSED("outside", file("a", STREAM_WHOLE, 1), data(0, 1));
	REFUSED("outside", file("a", STREAM_WHOLE, 1), content(1), content_end(1), zero(0, 1));
	REFUSED("outside", digests(0, 1, 1));
	REFUSED("no content to end", content_end(0));
	REFUSED("are missing", file("a", STREAM_WHOLE, 1), content(1));
	REFUSED("fit what came before", file("a", STREAM_WHOLE, 1), content(1), content_end(2));
	REFUSED("more after it", footer());
	REFUSED("type makes no sense", record(0, "", 0));
	REFUSED("type makes no sense", record(9, "", 0));
	REFUSED("type makes no sense", record(65535, "", 0));
	begin(false);
	raw_nbytes = sizeof(struct stream_disk_header);
	footer();
	refused_with(-EBADMSG, "are missing");
	raw_nbytes = sizeof(struct stream_disk_header);
	file("", STREAM_WHOLE, 1);
	refused_with(-EBADMSG, "top directory");
	raw_nbytes = sizeof(struct stream_disk_header);
	dir("a");
	refused_with(-EBADMSG, "top directory");
	begin(false);
	raw[sizeof(struct stream_disk_header) + 2] = 1; /* a flag of the record */
	refused_with(-EBADMSG, "type makes no sense");
}
END_TEST

/* From nothing, there is nothing to build on. */
START_TEST(test_from_nothing)
{
	for (unsigned int kind = STREAM_SAME; kind <= STREAM_WHOLE; kind++) {
		begin(false);
		raw_header()->from = le64_make(0);
		memset(raw_header()->from_uuid, 0, 16);
		file("a", kind, 1);
		refused_with(-EBADMSG, kind == STREAM_WHOLE ? "ends before" : "hasn't got");
	}
}
END_TEST

#define EXTENTS(why, ...) REFUSED(why, file("a", STREAM_WHOLE, 10000), content(1), __VA_ARGS__)

START_TEST(test_extents)
{
	EXTENTS("empty", data(0, 0));
	EXTENTS("empty", zero(0, 0));
	EXTENTS("overlaps", data(0, 10), data(9, 1));
	EXTENTS("overlaps", data(0, 10), zero(0, 10));
	EXTENTS("overlaps", zero(5000, 10), data(0, 10));
	EXTENTS("beyond", data(9999, 2));
	EXTENTS("beyond", data(10000, 1));
	EXTENTS("beyond", zero(0, 10001));
	EXTENTS("beyond", zero(1, UINT64_MAX));
	EXTENTS("beyond", zero(UINT64_MAX, 1));
	EXTENTS("beyond", data(UINT64_MAX - 5, 10));
	EXTENTS("overlap", digests(0, 2, 2), digests(1, 1, 1));
	EXTENTS("beyond", digests(0, 4, 4));
	EXTENTS("beyond", digests(3, 1, 1));
	EXTENTS("beyond", digests(UINT64_MAX, 1, 1));
	EXTENTS("none", digests(0, 0, 0));
	EXTENTS("no sense", digests(0, 1, 2));
	EXTENTS("no sense", digests(0, 2, 1));
	EXTENTS("no sense", digests(0, 1 << 28, 0));
	EXTENTS("agree", stored(0, 10, STREAM_RAW, NULL, 9));
	EXTENTS("agree", stored(0, 10, STREAM_RAW, NULL, 11));
	EXTENTS("encoding", stored(0, 10, 2, NULL, 9));
	REFUSED("too long", file("a", STREAM_WHOLE, 1 << 30), content(1),
		stored(0, STREAM_EXTENT_MAX + 1, STREAM_ZSTD, NULL, 100));
	REFUSED("too long", file("a", STREAM_WHOLE, INT64_MAX), content(1),
		stored(0, UINT32_MAX, STREAM_ZSTD, NULL, 100));
}
END_TEST

/* Frames that unpack to another length than is announced, longer and shorter. */
START_TEST(test_zstd)
{
	static uint8_t bomb[STREAM_EXTENT_MAX * 2];
	static uint8_t frame[STREAM_EXTENT_MAX];
	size_t n = ZSTD_compress(frame, sizeof(frame), bomb, sizeof(bomb), 1), two;
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	EXTENTS("unpacked", stored(0, 9000, STREAM_ZSTD, frame, n));
	n = ZSTD_compress(frame, sizeof(frame), bomb, 8999, 1);
	EXTENTS("unpacked", stored(0, 9000, STREAM_ZSTD, frame, n));
	EXTENTS("unpacked", stored(0, 8998, STREAM_ZSTD, frame, n));
	EXTENTS("unpacked", stored(0, 8999, STREAM_ZSTD, frame, n - 1));
	EXTENTS("unpacked", stored(0, 8999, STREAM_ZSTD, frame, n + 1));
	/* two frames, of which the first is as long as it should be */
	two = n + ZSTD_compress(frame + n, sizeof(frame) - n, bomb, 8999, 1);
	EXTENTS("unpacked", stored(0, 8999, STREAM_ZSTD, frame, two));
	/* no length in the frame */
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
	n = ZSTD_compress2(zstd, frame, sizeof(frame), bomb, 8999);
	EXTENTS("unpacked", stored(0, 8999, STREAM_ZSTD, frame, n));
	ZSTD_freeCCtx(zstd);
	EXTENTS("unpacked", stored(0, 100, STREAM_ZSTD, bomb, 99));
	EXTENTS("unpacked", stored(0, 100, STREAM_ZSTD, bomb, 100));
}
END_TEST

START_TEST(test_lengths)
{
	REFUSED("length", record(STREAM_NODE, "", 0));
	REFUSED("length", record(STREAM_CONTENT, "1234567", 7));
	REFUSED("length", record(STREAM_CONTENT, "123456789", 9));
	REFUSED("length", record_announced(STREAM_NODE, "", 0, UINT32_MAX));
	REFUSED("length", record_announced(STREAM_NODE, "", 0, STREAM_NODE_PAYLOAD_MAX + 1));
	REFUSED("ends before", record_announced(STREAM_NODE, "", 0, STREAM_NODE_PAYLOAD_MAX));
	REFUSED("length", record_announced(STREAM_DATA, "", 0, STREAM_DATA_PAYLOAD_MAX + 1));
	REFUSED("length", record_announced(STREAM_LINK, "", 0, STREAM_PATH_MAX + 2));
	REFUSED("length", record_announced(STREAM_FOOTER, "", 0, 71));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream_refused");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 600);
	tcase_add_checked_fixture(tests, setup, teardown);
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
	tcase_add_test(tests, test_lengths);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
