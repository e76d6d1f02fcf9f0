/* SPDX-License-Identifier: GPL-2.0-or-later */
/* streams.c - delta streams for tests: samples, random ones, and what is in them as text */
#include "config.h"

#include "tests/unit/streams.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xxhash.h>

/* ---- records as text ---- */

static void describe_xattrs(FILE *text, const struct xattrs *xattrs)
{
	for (size_t i = 0; i < xattrs->n; i++)
		fprintf(text, " %s=%zu:%" PRIx64, xattrs->items[i].name, xattrs->items[i].nbytes,
			XXH3_64bits(xattrs->items[i].value, xattrs->items[i].nbytes));
}

static void describe_node(FILE *text, const struct stream_node *node)
{
	const struct stat *st = &node->meta.st;
	char uuid[BMF_UUID_TEXT];

	fprintf(text, "node '%s' %o %u:%u %lld.%09ld %lld.%09ld %u:%u %lld", node->path,
		(unsigned int)st->st_mode, (unsigned int)st->st_uid, (unsigned int)st->st_gid,
		(long long)st->st_atim.tv_sec, st->st_atim.tv_nsec, (long long)st->st_mtim.tv_sec,
		st->st_mtim.tv_nsec, major(st->st_rdev), minor(st->st_rdev),
		(long long)st->st_size);
	fprintf(text, " %s %d %s", node->target ? node->target : "-", (int)node->content,
		bmf_uuid_format(&node->image, uuid));
	fprintf(text, " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRId64 " %" PRId64 " %d %s",
		node->stamp.inode, node->stamp.handle, node->stamp.size, node->stamp.mtime_ns,
		node->stamp.ctime_ns, node->busy, node->staged ? node->staged : "-");
	describe_xattrs(text, &node->meta.xattrs);
	fputc('\n', text);
}

static void describe(FILE *text, const struct stream_record *record)
{
	switch (record->type) {
	case STREAM_NODE:
		describe_node(text, &record->node);
		break;
	case STREAM_LINK:
		fprintf(text, "link '%s' of %" PRIu64 "\n", record->link.path, record->link.node);
		break;
	case STREAM_CONTENT:
	case STREAM_CONTENT_END:
		fprintf(text, "content %d: %" PRIu64 " size %" PRIu64 " kind %d\n", record->type,
			record->content.node, record->content.size, (int)record->content.kind);
		break;
	case STREAM_DATA:
		fprintf(text, "data %" PRIu64 "+%zu %" PRIx64 "\n", record->data.offset,
			record->data.nbytes, XXH3_64bits(record->data.bytes, record->data.nbytes));
		break;
	case STREAM_ZERO:
		fprintf(text, "zero %" PRIu64 "+%" PRIu64 "\n", record->zero.offset,
			record->zero.nbytes);
		break;
	case STREAM_DIGESTS:
		fprintf(text, "digests %" PRIu64 "+%zu %" PRIx64 "\n", record->digests.first_block,
			record->digests.n,
			XXH3_64bits(record->digests.bytes,
				    record->digests.n * STREAM_DIGEST_NBYTES));
		break;
	case STREAM_FOOTER:
		fprintf(text,
			"footer %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
			" %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			record->footer.nodes, record->footer.links, record->footer.contents,
			record->footer.records, record->footer.raw_nbytes,
			record->footer.stored_nbytes, record->footer.zero_nbytes,
			record->footer.stream_nbytes);
		break;
	}
}

/* ---- writing ---- */

/* A writer, and the text of what went into it; stops at the first failure. */
struct sink {
	struct stream_writer *w;
	FILE *text;
	int r;
	uint64_t nodes;
	struct stream_record content; /* the one that is open */
};

static void put(struct sink *sink, struct stream_record record)
{
	switch (record.type) {
	case STREAM_NODE:
		sink->r = stream_put_node(sink->w, &record.node);
		sink->nodes++;
		break;
	case STREAM_LINK:
		record.link.node = sink->nodes - 1;
		sink->r = stream_put_link(sink->w, record.link.path);
		break;
	case STREAM_CONTENT:
		sink->content = record;
		sink->r = stream_begin_content(sink->w, record.content.node);
		break;
	case STREAM_DATA:
		sink->r = stream_put_data(sink->w, record.data.offset, record.data.bytes,
					  record.data.nbytes);
		break;
	case STREAM_ZERO:
		sink->r = stream_put_zero(sink->w, record.zero.offset, record.zero.nbytes);
		break;
	case STREAM_DIGESTS:
		sink->r = stream_put_digests(sink->w, record.digests.first_block,
					     record.digests.bytes, record.digests.n);
		break;
	case STREAM_CONTENT_END:
		record.content = sink->content.content;
		sink->r = stream_end_content(sink->w);
		break;
	case STREAM_FOOTER:
		sink->r = stream_finish(sink->w, &record.footer);
		break;
	}
	if (sink->r == 0)
		describe(sink->text, &record);
}

#define PUT(sink, t, ...)                                                                \
	do {                                                                             \
		if ((sink)->r == 0)                                                      \
			put((sink), (struct stream_record){ .type = (t), __VA_ARGS__ }); \
	} while (0)

struct stream_header streams_header(bool journal)
{
	struct stream_header header = {
		.from = 0x1122334455667788,
		.to = 0x2233445566778899,
		.to_time_ns = 1700000000123456789,
		.block_shift = 12,
		.journal = journal,
	};

	for (unsigned int i = 0; i < 16; i++) {
		header.source.b[i] = (uint8_t)(0x10 + i);
		header.replica.b[i] = (uint8_t)(0x30 + i);
		header.from_uuid.b[i] = (uint8_t)(0x50 + i);
		header.to_uuid.b[i] = (uint8_t)(0x70 + i);
	}
	return header;
}

/* A node of the sample: its fields differ by its path and mode. */
static struct stream_node make_node(const char *path, mode_t mode, enum stream_kind content,
				    off_t size)
{
	struct stream_node node = { .path = path, .content = content };
	struct stat *st = &node.meta.st;

	st->st_mode = mode;
	st->st_uid = 1000 + (unsigned char)*path;
	st->st_gid = 2000 + (unsigned char)*path;
	st->st_atim = (struct timespec){ 1600000000, 999999999 };
	st->st_mtim = (struct timespec){ -5, 7 };
	st->st_size = size;
	if (content != STREAM_NONE)
		memset(node.image.b, *path, sizeof(node.image.b));
	return node;
}

static void put_sample_tree(struct sink *sink, bool journal)
{
	static char name1[] = "security.x", name2[] = "user.y", value[] = { 'v', 0, 'w' };
	struct xattr xattrs[] = { { name1, value, 3 }, { name2, NULL, 0 } };
	struct stream_node node = make_node("", S_IFDIR | 0755, STREAM_NONE, 0);

	PUT(sink, STREAM_NODE, .node = node);
	node = make_node("a", S_IFREG | 04644, STREAM_DELTA, 20000);
	node.meta.xattrs = (struct xattrs){ xattrs, 2 };
	if (journal) {
		node.stamp = (struct bmf_stamp){ 11, 12, 13, -14, 15 };
		node.busy = true;
	}
	PUT(sink, STREAM_NODE, .node = node);
	PUT(sink, STREAM_LINK, .link = { .path = "b/z" });
	node = make_node("b", S_IFDIR | 01777, STREAM_NONE, 0);
	PUT(sink, STREAM_NODE, .node = node);
	node = make_node("b/c", S_IFLNK | 0777, STREAM_NONE, 0);
	node.target = "../a";
	PUT(sink, STREAM_NODE, .node = node);
	node = make_node("d", S_IFBLK | 0600, STREAM_NONE, 0);
	node.meta.st.st_rdev = makedev(0x101, 0x20003);
	PUT(sink, STREAM_NODE, .node = node);
	node = make_node("e", S_IFREG | 0600, STREAM_SAME, 77);
	PUT(sink, STREAM_NODE, .node = node);
	node = make_node("f", S_IFREG | 0600, STREAM_WHOLE, INT64_MAX);
	memset(node.image.b, 0, sizeof(node.image.b));
	PUT(sink, STREAM_NODE, .node = node);
	node = make_node("g", S_IFIFO | 0600, STREAM_NONE, 0);
	PUT(sink, STREAM_NODE, .node = node);
	if (journal) {
		node = make_node("h", S_IFREG | 0600, STREAM_STAGED, 123);
		node.staged = "17";
		PUT(sink, STREAM_NODE, .node = node);
	}
}

static void put_sample(struct sink *sink, bool journal)
{
	uint8_t digests[48];

	for (unsigned int i = 0; i < sizeof(digests); i++)
		digests[i] = (uint8_t)(0xa0 + i);
	put_sample_tree(sink, journal);
	PUT(sink, STREAM_CONTENT, .content = { 1, 20000, STREAM_DELTA });
	PUT(sink, STREAM_DATA, .data = { 1, "some data", 9 });
	PUT(sink, STREAM_DIGESTS, .digests = { 0, digests, 2 });
	PUT(sink, STREAM_ZERO, .zero = { 10, 19980 });
	PUT(sink, STREAM_DATA, .data = { 19999, "!", 1 });
	PUT(sink, STREAM_DIGESTS, .digests = { 4, digests + 32, 1 });
	PUT(sink, STREAM_CONTENT_END, .content = { 0 });
	PUT(sink, STREAM_CONTENT, .content = { 6, INT64_MAX, STREAM_WHOLE });
	PUT(sink, STREAM_ZERO, .zero = { 0, INT64_MAX });
	PUT(sink, STREAM_CONTENT_END, .content = { 0 });
	PUT(sink, STREAM_FOOTER, .footer = { 0 });
}

int streams_write_sample(int fd, bool journal, unsigned int flags)
{
	struct stream_header header = streams_header(journal);
	struct sink sink = { .text = fopen("/dev/null", "w") };

	sink.r = stream_writer_new(fd, &header, flags, &sink.w);
	put_sample(&sink, journal);
	stream_writer_free(sink.w);
	fclose(sink.text);
	return sink.r;
}

/* ---- whole files ---- */

void streams_file_free(struct streams_file *file)
{
	free(file->bytes);
	free(file->text);
}

int streams_fd(const void *bytes, size_t nbytes)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, nbytes, 0), (ssize_t)nbytes);
	return fd;
}

/* Calls make with a writer to a file in memory, and returns what comes of it. */
static struct streams_file make_file(const struct stream_header *header, unsigned int flags,
				     void (*make)(struct sink *, void *), void *arg)
{
	struct streams_file file;
	struct sink sink = { 0 };
	size_t text_nbytes;
	int fd = streams_fd("", 0);

	sink.text = open_memstream(&file.text, &text_nbytes);
	ck_assert_int_eq(stream_writer_new(fd, header, flags, &sink.w), 0);
	make(&sink, arg);
	ck_assert_int_eq(sink.r, 0);
	fclose(sink.text);
	file.journal = header->journal;
	file.nbytes = stream_writer_pos(sink.w);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), (off_t)file.nbytes);
	file.bytes = malloc(file.nbytes);
	ck_assert_int_eq(pread(fd, file.bytes, file.nbytes, 0), (ssize_t)file.nbytes);
	stream_writer_free(sink.w);
	close(fd);
	return file;
}

static void make_sample(struct sink *sink, void *journal)
{
	put_sample(sink, *(bool *)journal);
}

struct streams_file streams_sample(bool journal, unsigned int flags)
{
	struct stream_header header = streams_header(journal);

	return make_file(&header, flags, make_sample, &journal);
}

static void make_packed(struct sink *sink, void *arg)
{
	static uint8_t data[4096];

	(void)arg;
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)("mirrorfs"[i % 8] + i / 1024);
	PUT(sink, STREAM_NODE, .node = make_node("", S_IFDIR | 0755, STREAM_NONE, 0));
	PUT(sink, STREAM_NODE, .node = make_node("a", S_IFREG | 0644, STREAM_WHOLE, 8192));
	PUT(sink, STREAM_CONTENT, .content = { 1, 8192, STREAM_WHOLE });
	PUT(sink, STREAM_DATA, .data = { 0, data, sizeof(data) });
	PUT(sink, STREAM_DATA, .data = { 4096, data, 1000 });
	PUT(sink, STREAM_CONTENT_END, .content = { 0 });
	PUT(sink, STREAM_FOOTER, .footer = { 0 });
}

struct streams_file streams_packed_sample(unsigned int flags)
{
	struct stream_header header = streams_header(false);

	return make_file(&header, flags, make_packed, NULL);
}

/* ---- reading ---- */

char *streams_read(int fd, bool journal, int *ret, struct bmf_error *err)
{
	struct stream_expect expect = { .name = "'x'", .journal = journal };
	struct stream_record record = { 0 };
	struct stream_reader *reader;
	size_t nbytes;
	char *buf = NULL;
	FILE *text;
	int r = stream_reader_open(fd, &expect, &reader, err);

	*ret = r;
	if (r < 0)
		return NULL;
	text = open_memstream(&buf, &nbytes);
	while (r == 0 && record.type != STREAM_FOOTER) {
		r = stream_next(reader, &record, err);
		if (r == 0)
			describe(text, &record);
	}
	ck_assert_int_eq(stream_next(reader, &record, NULL), -EINVAL);
	stream_reader_close(reader);
	fclose(text);
	*ret = r;
	if (r == 0)
		return buf;
	free(buf);
	return NULL;
}

int streams_verify(const void *bytes, size_t nbytes, bool journal, struct bmf_error *err)
{
	struct stream_expect expect = { .name = "'x'", .journal = journal };
	int fd = streams_fd(bytes, nbytes);
	int r = stream_verify(fd, &expect, NULL, NULL, err);

	close(fd);
	return r;
}

/* ---- random streams ---- */

#define RANDOM_NBYTES 100000

struct random {
	struct rng *rng;
	bool journal;
	struct stream_record due[64]; /* contents that have to follow */
	size_t ndue;
	uint8_t bytes[RANDOM_NBYTES];
};

static enum stream_kind random_kind(struct random *random)
{
	return STREAM_SAME + (unsigned int)rng_below(random->rng, random->journal ? 4 : 3);
}

static void put_random_file(struct sink *sink, struct random *random, const char *path)
{
	struct stream_node node =
		make_node(path, S_IFREG | (mode_t)rng_below(random->rng, 07777),
			  random_kind(random), (off_t)rng_below(random->rng, 3 * RANDOM_NBYTES));

	node.meta.st.st_mtim.tv_sec = (time_t)rng_next(random->rng);
	memset(node.image.b, 1 + (int)rng_below(random->rng, 255), sizeof(node.image.b));
	if (random->journal)
		node.stamp = (struct bmf_stamp){ rng_next(random->rng), 1, 2, -3, 4 };
	if (node.content == STREAM_STAGED)
		node.staged = "staged";
	if (node.content == STREAM_DELTA || node.content == STREAM_WHOLE)
		random->due[random->ndue++].content = (typeof(random->due[0].content)){
			sink->nodes, (uint64_t)node.meta.st.st_size, node.content
		};
	PUT(sink, STREAM_NODE, .node = node);
	for (uint64_t i = rng_below(random->rng, 3); i > 0; i--) {
		char link[80];

		snprintf(link, sizeof(link), "%s~%d", path, (int)(9 - i));
		PUT(sink, STREAM_LINK, .link = { .path = link });
	}
}

/* Names in a directory go through the bytes that are hard to order. */
static void put_random_dir(struct sink *sink, struct random *random, const char *path, int depth)
{
	static const char names[][4] = {
		"!", "!a", "-", ".x", "0", "a", "a!", "a-", "b\xff", "\xc3"
	};

	PUT(sink, STREAM_NODE, .node = make_node(path, S_IFDIR | 0755, STREAM_NONE, 0));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s%s%s", path, *path ? "/" : "", names[i]);
		if (rng_below(random->rng, 3) == 0)
			continue;
		if (depth < 3 && rng_below(random->rng, 3) == 0)
			put_random_dir(sink, random, name, depth + 1);
		else if (random->ndue < 60 && rng_below(random->rng, 2))
			put_random_file(sink, random, name);
		else
			PUT(sink, STREAM_NODE,
			    .node = make_node(name, S_IFSOCK | 0755, STREAM_NONE, 0));
	}
}

static void put_random_extents(struct sink *sink, struct random *random, uint64_t size)
{
	uint64_t at = 0, block = 0, nblocks = (size + 4095) / 4096;

	while (at < size) {
		uint64_t nbytes = 1 + rng_below(random->rng, RANDOM_NBYTES);

		if (nbytes > size - at)
			nbytes = size - at;
		if (rng_below(random->rng, 2))
			PUT(sink, STREAM_DATA, .data = { at, random->bytes, nbytes });
		else if (rng_below(random->rng, 2))
			PUT(sink, STREAM_ZERO, .zero = { at, nbytes });
		at += nbytes;
		if (block < nblocks && rng_below(random->rng, 2)) {
			uint64_t n = 1 + rng_below(random->rng, nblocks - block);

			PUT(sink, STREAM_DIGESTS, .digests = { block, random->bytes, n });
			block += n;
		}
	}
}

static void make_random(struct sink *sink, void *arg)
{
	struct random *random = arg;

	/* half of it can be packed */
	for (size_t i = 0; i < RANDOM_NBYTES; i++)
		random->bytes[i] = i % 2000 < 1000 ? (uint8_t)rng_next(random->rng) : 'x';
	put_random_dir(sink, random, "", 0);
	for (size_t i = 0; i < random->ndue; i++) {
		PUT(sink, STREAM_CONTENT, .content = random->due[i].content);
		put_random_extents(sink, random, random->due[i].content.size);
		PUT(sink, STREAM_CONTENT_END, .content = { 0 });
	}
	PUT(sink, STREAM_FOOTER, .footer = { 0 });
}

struct streams_file streams_random(struct rng *rng)
{
	struct random *random = calloc(1, sizeof(*random));
	struct stream_header header;
	struct streams_file file;

	random->rng = rng;
	random->journal = rng_below(rng, 2);
	header = streams_header(random->journal);
	file = make_file(&header, rng_below(rng, 2) ? STREAM_NO_ZSTD : 0, make_random, random);
	free(random);
	return file;
}
