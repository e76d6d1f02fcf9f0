/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_format.h - the delta stream's bytes: constants and structures, version 1
 *
 * Internal to stream_*.c; everybody else has stream.h.  The authority is
 * mirrorfs-stream(5).  What these lines say lies in journals and can't change.
 *
 * A stream is a header and records; a record is a head, a payload, a check.
 */
#ifndef TOOLS_STREAM_FORMAT_H
#define TOOLS_STREAM_FORMAT_H

#include "tools/stream.h"

#include "bitmapfile/canonical.h"
#include "bitmapfile/le.h"

#include <assert.h>
#include <stddef.h>
#include <xxhash.h>

#define STREAM_MAGIC "MFSDELTA"
#define STREAM_VERSION 1
#define STREAM_INCOMPAT_KNOWN UINT32_C(0)
#define STREAM_COMPAT_KNOWN UINT32_C(0)

#define STREAM_FLAG_JOURNAL UINT32_C(1) /* of the header's flags */

struct stream_disk_header {
	uint8_t magic[8];
	struct le32 version;
	struct le32 incompat, compat; /* feature flags */
	struct le32 header_nbytes;
	struct le32 block_shift, flags;
	uint8_t source[16], replica[16];
	struct le64 from;
	uint8_t from_uuid[16];
	struct le64 to;
	uint8_t to_uuid[16];
	struct le64 to_time_ns;
	uint8_t reserved[56]; /* zeros */
	uint8_t digest[16];   /* of the header, with zeros here; at this place in all versions */
};

static_assert(offsetof(struct stream_disk_header, magic) == 0, "format");
static_assert(offsetof(struct stream_disk_header, version) == 8, "format");
static_assert(offsetof(struct stream_disk_header, incompat) == 12, "format");
static_assert(offsetof(struct stream_disk_header, compat) == 16, "format");
static_assert(offsetof(struct stream_disk_header, header_nbytes) == 20, "format");
static_assert(offsetof(struct stream_disk_header, block_shift) == 24, "format");
static_assert(offsetof(struct stream_disk_header, flags) == 28, "format");
static_assert(offsetof(struct stream_disk_header, source) == 32, "format");
static_assert(offsetof(struct stream_disk_header, replica) == 48, "format");
static_assert(offsetof(struct stream_disk_header, from) == 64, "format");
static_assert(offsetof(struct stream_disk_header, from_uuid) == 72, "format");
static_assert(offsetof(struct stream_disk_header, to) == 88, "format");
static_assert(offsetof(struct stream_disk_header, to_uuid) == 96, "format");
static_assert(offsetof(struct stream_disk_header, to_time_ns) == 112, "format");
static_assert(offsetof(struct stream_disk_header, reserved) == 120, "format");
static_assert(offsetof(struct stream_disk_header, digest) == 176, "format");
static_assert(sizeof(struct stream_disk_header) == 192, "format");

struct stream_disk_head {
	struct le16 type;
	struct le16 flags; /* zero */
	struct le32 payload_nbytes;
};

static_assert(offsetof(struct stream_disk_head, type) == 0, "format");
static_assert(offsetof(struct stream_disk_head, flags) == 2, "format");
static_assert(offsetof(struct stream_disk_head, payload_nbytes) == 4, "format");
static_assert(sizeof(struct stream_disk_head) == 8, "format");

/* After the payload: XXH3-64 of head and payload, seeded with the record's index. */
struct stream_disk_check {
	struct le64 xxh3;
};

static_assert(sizeof(struct stream_disk_check) == 8, "format");

/*
 * STREAM_NODE: this; in a journal, struct stream_disk_journal; then path, target and (in a
 * journal) staged, each followed by a NUL that its length doesn't count; then xattrs.
 */
struct stream_disk_node {
	struct le32 mode, uid, gid;
	struct le32 content; /* enum stream_kind */
	struct le64 atime_s, mtime_s;
	struct le32 atime_ns, mtime_ns;
	struct le32 rdev_major, rdev_minor;
	struct le64 size;
	uint8_t image[16];
	struct le32 path_nbytes, target_nbytes;
	struct le32 nxattrs, xattrs_nbytes;
};

static_assert(offsetof(struct stream_disk_node, mode) == 0, "format");
static_assert(offsetof(struct stream_disk_node, uid) == 4, "format");
static_assert(offsetof(struct stream_disk_node, gid) == 8, "format");
static_assert(offsetof(struct stream_disk_node, content) == 12, "format");
static_assert(offsetof(struct stream_disk_node, atime_s) == 16, "format");
static_assert(offsetof(struct stream_disk_node, mtime_s) == 24, "format");
static_assert(offsetof(struct stream_disk_node, atime_ns) == 32, "format");
static_assert(offsetof(struct stream_disk_node, mtime_ns) == 36, "format");
static_assert(offsetof(struct stream_disk_node, rdev_major) == 40, "format");
static_assert(offsetof(struct stream_disk_node, rdev_minor) == 44, "format");
static_assert(offsetof(struct stream_disk_node, size) == 48, "format");
static_assert(offsetof(struct stream_disk_node, image) == 56, "format");
static_assert(offsetof(struct stream_disk_node, path_nbytes) == 72, "format");
static_assert(offsetof(struct stream_disk_node, target_nbytes) == 76, "format");
static_assert(offsetof(struct stream_disk_node, nxattrs) == 80, "format");
static_assert(offsetof(struct stream_disk_node, xattrs_nbytes) == 84, "format");
static_assert(sizeof(struct stream_disk_node) == 88, "format");

struct stream_disk_journal {
	struct le64 inode, handle, size, mtime_ns, ctime_ns; /* the stamp */
	struct le32 busy;
	struct le32 staged_nbytes;
};

static_assert(offsetof(struct stream_disk_journal, inode) == 0, "format");
static_assert(offsetof(struct stream_disk_journal, handle) == 8, "format");
static_assert(offsetof(struct stream_disk_journal, size) == 16, "format");
static_assert(offsetof(struct stream_disk_journal, mtime_ns) == 24, "format");
static_assert(offsetof(struct stream_disk_journal, ctime_ns) == 32, "format");
static_assert(offsetof(struct stream_disk_journal, busy) == 40, "format");
static_assert(offsetof(struct stream_disk_journal, staged_nbytes) == 44, "format");
static_assert(sizeof(struct stream_disk_journal) == 48, "format");

/* Then the name, a NUL, the value. */
struct stream_disk_xattr {
	struct le32 name_nbytes, value_nbytes;
};

static_assert(offsetof(struct stream_disk_xattr, name_nbytes) == 0, "format");
static_assert(offsetof(struct stream_disk_xattr, value_nbytes) == 4, "format");
static_assert(sizeof(struct stream_disk_xattr) == 8, "format");

/* STREAM_LINK: the path and a NUL. */

struct stream_disk_content {
	struct le64 node;
};

static_assert(sizeof(struct stream_disk_content) == 8, "format");

enum stream_encoding {
	STREAM_RAW = 0,
	STREAM_ZSTD = 1,
};

/* Then the stored bytes. */
struct stream_disk_data {
	struct le64 offset;
	struct le32 raw_nbytes;
	struct le32 encoding;
};

static_assert(offsetof(struct stream_disk_data, offset) == 0, "format");
static_assert(offsetof(struct stream_disk_data, raw_nbytes) == 8, "format");
static_assert(offsetof(struct stream_disk_data, encoding) == 12, "format");
static_assert(sizeof(struct stream_disk_data) == 16, "format");

struct stream_disk_zero {
	struct le64 offset, nbytes;
};

static_assert(offsetof(struct stream_disk_zero, offset) == 0, "format");
static_assert(offsetof(struct stream_disk_zero, nbytes) == 8, "format");
static_assert(sizeof(struct stream_disk_zero) == 16, "format");

/* Then n digests. */
struct stream_disk_digests {
	struct le64 first_block;
	struct le32 n;
	struct le32 reserved; /* zero */
};

static_assert(offsetof(struct stream_disk_digests, first_block) == 0, "format");
static_assert(offsetof(struct stream_disk_digests, n) == 8, "format");
static_assert(offsetof(struct stream_disk_digests, reserved) == 12, "format");
static_assert(sizeof(struct stream_disk_digests) == 16, "format");

struct stream_disk_content_end {
	struct le64 size;
	uint8_t digest[16]; /* of the checks of its records, from STREAM_CONTENT to before this */
};

static_assert(offsetof(struct stream_disk_content_end, size) == 0, "format");
static_assert(offsetof(struct stream_disk_content_end, digest) == 8, "format");
static_assert(sizeof(struct stream_disk_content_end) == 24, "format");

struct stream_disk_footer {
	struct le64 nodes, links, contents;
	struct le64 records; /* before this one */
	struct le64 raw_nbytes, stored_nbytes, zero_nbytes;
	uint8_t digest[16]; /* of the header, and of the checks of all records before this */
};

static_assert(offsetof(struct stream_disk_footer, nodes) == 0, "format");
static_assert(offsetof(struct stream_disk_footer, links) == 8, "format");
static_assert(offsetof(struct stream_disk_footer, contents) == 16, "format");
static_assert(offsetof(struct stream_disk_footer, records) == 24, "format");
static_assert(offsetof(struct stream_disk_footer, raw_nbytes) == 32, "format");
static_assert(offsetof(struct stream_disk_footer, stored_nbytes) == 40, "format");
static_assert(offsetof(struct stream_disk_footer, zero_nbytes) == 48, "format");
static_assert(offsetof(struct stream_disk_footer, digest) == 56, "format");
static_assert(sizeof(struct stream_disk_footer) == 72, "format");

/* The longest payload is that of a node with as much as there may be of everything. */
#define STREAM_NODE_PAYLOAD_MAX                                                                   \
	(sizeof(struct stream_disk_node) + sizeof(struct stream_disk_journal) + STREAM_PATH_MAX + \
	 STREAM_TARGET_MAX + STREAM_NAME_MAX + 3 + STREAM_XATTRS_MAX)
#define STREAM_DATA_PAYLOAD_MAX (sizeof(struct stream_disk_data) + STREAM_EXTENT_MAX)
#define STREAM_RECORD_EXTRA (sizeof(struct stream_disk_head) + sizeof(struct stream_disk_check))

static_assert(STREAM_NODE_PAYLOAD_MAX > STREAM_DATA_PAYLOAD_MAX, "the longest payload");
static_assert(STREAM_DIGESTS_MAX * STREAM_DIGEST_NBYTES < STREAM_EXTENT_MAX, "the longest payload");

/* nbytes: of head and payload */
static inline struct stream_disk_check stream_check(const void *record, size_t nbytes,
						    uint64_t index)
{
	return (struct stream_disk_check){ le64_make(XXH3_64bits_withSeed(record, nbytes, index)) };
}

/* stream_header.c: NULL, or what is wrong with it. */
const char *stream_header_fault(const struct stream_header *header);
void stream_header_encode(const struct stream_header *header, struct stream_disk_header *ret);
/* 0, or -EBADMSG or -EPROTONOSUPPORT with the fault in *ret_why. */
int stream_header_decode(const struct stream_disk_header *disk, struct stream_header *ret,
			 const char **ret_why);

/* stream_node.c: the payload of a node. */
size_t stream_node_nbytes(const struct stream_node *node, bool journal);
/* 0, -ENAMETOOLONG or -E2BIG: does it fit into a record? */
int stream_node_fits(const struct stream_node *node, bool journal);
/* Writes as many bytes as stream_node_nbytes() says. */
void stream_node_encode(const struct stream_node *node, bool journal, uint8_t *buf);
/*
 * 0, -ENOMEM, or -EBADMSG with the fault in *ret_why.  The strings of *ret point into payload;
 * its xattrs are in *items, which has room for *room of them, and grows; the caller frees it.
 */
int stream_node_decode(uint8_t *payload, size_t nbytes, bool journal, struct stream_node *ret,
		       struct xattr **items, size_t *room, const char **ret_why);

#endif
