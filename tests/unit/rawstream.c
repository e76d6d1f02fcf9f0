/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rawstream.c - delta streams put together by hand, right or wrong */
#include "config.h"

#include "tests/unit/rawstream.h"
#include "tests/unit/streams.h"
#include "tests/unit/streamseal.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define RAW_MAX ((size_t)4 << 20)

uint8_t *raw;
size_t raw_nbytes;
bool raw_journal;

void raw_setup(void)
{
	raw = malloc(RAW_MAX);
}

void raw_teardown(void)
{
	free(raw);
}

/* announced: the length that the head is to give */
void raw_record_announced(unsigned int type, const void *payload, size_t nbytes, size_t announced)
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

void raw_record(unsigned int type, const void *payload, size_t nbytes)
{
	raw_record_announced(type, payload, nbytes, nbytes);
}

struct stream_node raw_make(const char *path, mode_t mode, enum stream_kind kind)
{
	struct stream_node node = { .path = path, .content = kind };

	node.meta.st.st_mode = mode;
	if (kind != STREAM_NONE)
		memset(node.image.b, 7, sizeof(node.image.b));
	return node;
}

void raw_put(const struct stream_node *node)
{
	size_t nbytes = stream_node_nbytes(node, raw_journal);
	uint8_t *payload = malloc(nbytes);

	stream_node_encode(node, raw_journal, payload);
	raw_record(STREAM_NODE, payload, nbytes);
	free(payload);
}

void raw_dir(const char *path)
{
	struct stream_node node = raw_make(path, S_IFDIR | 0755, STREAM_NONE);

	raw_put(&node);
}

void raw_file(const char *path, enum stream_kind kind, off_t size)
{
	struct stream_node node = raw_make(path, S_IFREG | 0644, kind);

	node.meta.st.st_size = size;
	raw_put(&node);
}

void raw_link(const char *path)
{
	raw_record(STREAM_LINK, path, strlen(path) + 1);
}

void raw_content(uint64_t node)
{
	struct stream_disk_content disk = { le64_make(node) };

	raw_record(STREAM_CONTENT, &disk, sizeof(disk));
}

void raw_stored(uint64_t offset, uint32_t nbytes, uint32_t encoding, const void *bytes,
		size_t stored_nbytes)
{
	struct stream_disk_data disk = { le64_make(offset), le32_make(nbytes),
					 le32_make(encoding) };
	uint8_t *payload = calloc(1, sizeof(disk) + stored_nbytes);

	memcpy(payload, &disk, sizeof(disk));
	if (bytes)
		memcpy(payload + sizeof(disk), bytes, stored_nbytes);
	raw_record(STREAM_DATA, payload, sizeof(disk) + stored_nbytes);
	free(payload);
}

void raw_data(uint64_t offset, uint32_t nbytes)
{
	raw_stored(offset, nbytes, STREAM_RAW, NULL, nbytes);
}

void raw_zero(uint64_t offset, uint64_t nbytes)
{
	struct stream_disk_zero disk = { le64_make(offset), le64_make(nbytes) };

	raw_record(STREAM_ZERO, &disk, sizeof(disk));
}

void raw_digests(uint64_t first_block, uint32_t n, size_t there)
{
	struct stream_disk_digests disk = { le64_make(first_block), le32_make(n), le32_make(0) };
	uint8_t *payload = calloc(1, sizeof(disk) + there * 16);

	memcpy(payload, &disk, sizeof(disk));
	raw_record(STREAM_DIGESTS, payload, sizeof(disk) + there * 16);
	free(payload);
}

void raw_content_end(uint64_t size)
{
	struct stream_disk_content_end disk = { .size = le64_make(size) };

	raw_record(STREAM_CONTENT_END, &disk, sizeof(disk));
}

void raw_footer(void)
{
	static const struct stream_disk_footer disk;

	raw_record(STREAM_FOOTER, &disk, sizeof(disk));
}

struct stream_disk_header *raw_header(void)
{
	return (struct stream_disk_header *)(void *)raw;
}

/* A header, and the top directory. */
void raw_begin(bool journal)
{
	struct stream_header header = streams_header(journal);

	raw_journal = journal;
	stream_header_encode(&header, raw_header());
	raw_nbytes = sizeof(struct stream_disk_header);
	raw_dir("");
}

void raw_refused_with(int code, const char *why)
{
	struct bmf_error err = { 0 };
	int r;

	streamseal(raw, raw_nbytes);
	r = streams_verify(raw, raw_nbytes, raw_journal, &err);
	ck_assert_msg(r == code, "instead of '%s': %d, %s", why, r, err.text);
	ck_assert_msg(strstr(err.text, why), "instead of '%s': %s", why, err.text);
}
