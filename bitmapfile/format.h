/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format.h - the sidecar's bytes: constants and structures of its format, version 1
 *
 * Internal to the files that encode and decode sidecars; everybody else has
 * sidecar.h.  The authority is mirrorfs-sidecar(5).  Every offset and size is
 * asserted here: what these lines say has been written to disks and can't change.
 */
#ifndef BITMAPFILE_FORMAT_H
#define BITMAPFILE_FORMAT_H

#include "bitmapfile/canonical.h"
#include "bitmapfile/le.h"
#include "bitmapfile/sidecar.h"

#include <assert.h>
#include <stddef.h>
#include <xxhash.h>

#define BMF_SIDECAR_MAGIC "MFSSIDEC"
#define BMF_SIDECAR_VERSION 1
#define BMF_SIDECAR_INCOMPAT_KNOWN UINT32_C(0)
#define BMF_SIDECAR_COMPAT_KNOWN UINT32_C(0)

#define BMF_SIDECAR_HEADER 4096 /* bytes */
#define BMF_SIDECAR_PAGE 4096	/* the armed map is whole pages */

#define BMF_SIDECAR_SUSPECT UINT32_C(1) /* a bit of flags */

/* Byte offsets in an image stay below 2^63, so do those of its blocks and regions. */
#define BMF_OFFSET_BITS 63
#define BMF_REGION_SHIFT_MAX 62

struct bmf_disk_header {
	uint8_t magic[8];
	struct le32 version;
	struct le32 incompat, compat; /* feature flags */
	struct le32 header_nbytes;
	struct le32 block_shift, region_shift;
	uint8_t image[16], source[16];
	struct le64 since, active;
	struct le32 reason, flags;
	struct le64 inode, handle, size, mtime_ns, ctime_ns; /* the stamp */
	struct le64 nonce;
	struct le32 armed_sectors, nsections;
	struct le64 table_offset;
	struct le64 file_nbytes;
	uint8_t table_digest[16];
	struct le64 session;
	struct le64 crash_generation, crash_nbytes;
	uint8_t reserved[3880]; /* zeros */
	uint8_t digest[16];	/* of the header, with zeros here; at this place in all versions */
};

static_assert(offsetof(struct bmf_disk_header, magic) == 0, "format");
static_assert(offsetof(struct bmf_disk_header, version) == 8, "format");
static_assert(offsetof(struct bmf_disk_header, incompat) == 12, "format");
static_assert(offsetof(struct bmf_disk_header, compat) == 16, "format");
static_assert(offsetof(struct bmf_disk_header, header_nbytes) == 20, "format");
static_assert(offsetof(struct bmf_disk_header, block_shift) == 24, "format");
static_assert(offsetof(struct bmf_disk_header, region_shift) == 28, "format");
static_assert(offsetof(struct bmf_disk_header, image) == 32, "format");
static_assert(offsetof(struct bmf_disk_header, source) == 48, "format");
static_assert(offsetof(struct bmf_disk_header, since) == 64, "format");
static_assert(offsetof(struct bmf_disk_header, active) == 72, "format");
static_assert(offsetof(struct bmf_disk_header, reason) == 80, "format");
static_assert(offsetof(struct bmf_disk_header, flags) == 84, "format");
static_assert(offsetof(struct bmf_disk_header, inode) == 88, "format");
static_assert(offsetof(struct bmf_disk_header, handle) == 96, "format");
static_assert(offsetof(struct bmf_disk_header, size) == 104, "format");
static_assert(offsetof(struct bmf_disk_header, mtime_ns) == 112, "format");
static_assert(offsetof(struct bmf_disk_header, ctime_ns) == 120, "format");
static_assert(offsetof(struct bmf_disk_header, nonce) == 128, "format");
static_assert(offsetof(struct bmf_disk_header, armed_sectors) == 136, "format");
static_assert(offsetof(struct bmf_disk_header, nsections) == 140, "format");
static_assert(offsetof(struct bmf_disk_header, table_offset) == 144, "format");
static_assert(offsetof(struct bmf_disk_header, file_nbytes) == 152, "format");
static_assert(offsetof(struct bmf_disk_header, table_digest) == 160, "format");
static_assert(offsetof(struct bmf_disk_header, session) == 176, "format");
static_assert(offsetof(struct bmf_disk_header, crash_generation) == 184, "format");
static_assert(offsetof(struct bmf_disk_header, crash_nbytes) == 192, "format");
static_assert(offsetof(struct bmf_disk_header, reserved) == 200, "format");
static_assert(offsetof(struct bmf_disk_header, digest) == 4080, "format");
static_assert(sizeof(struct bmf_disk_header) == BMF_SIDECAR_HEADER, "format");

/* The armed map: armed_sectors of these, from BMF_ARMED_MAP_OFFSET. */
struct bmf_disk_armed {
	struct le64 words[63];
	struct le64 check; /* XXH3-64 of the words, seeded with nonce + index of the sector */
};

static_assert(offsetof(struct bmf_disk_armed, words) == 0, "format");
static_assert(offsetof(struct bmf_disk_armed, check) == 504, "format");
static_assert(sizeof(struct bmf_disk_armed) == BMF_ARMED_SECTOR, "format");
static_assert(BMF_ARMED_MAP_OFFSET == BMF_SIDECAR_HEADER, "format");
static_assert(BMF_SIDECAR_PAGE % BMF_ARMED_SECTOR == 0, "format");

enum bmf_disk_encoding {
	BMF_ENCODING_RAW = 0,
	BMF_ENCODING_ZSTD = 1,
};

/* The section table: nsections of these, from table_offset. */
struct bmf_disk_section {
	struct le64 first, last; /* generations */
	struct le64 offset;	 /* of the stored bytes in the file */
	struct le64 stored_nbytes, raw_nbytes;
	struct le32 encoding;
	struct le32 reserved; /* zero */
	uint8_t digest[16];   /* of the stored bytes */
};

static_assert(offsetof(struct bmf_disk_section, first) == 0, "format");
static_assert(offsetof(struct bmf_disk_section, last) == 8, "format");
static_assert(offsetof(struct bmf_disk_section, offset) == 16, "format");
static_assert(offsetof(struct bmf_disk_section, stored_nbytes) == 24, "format");
static_assert(offsetof(struct bmf_disk_section, raw_nbytes) == 32, "format");
static_assert(offsetof(struct bmf_disk_section, encoding) == 40, "format");
static_assert(offsetof(struct bmf_disk_section, reserved) == 44, "format");
static_assert(offsetof(struct bmf_disk_section, digest) == 48, "format");
static_assert(sizeof(struct bmf_disk_section) == 64, "format");

/*
 * Raw bits are at most this many times as long as what is stored of them.  Real
 * bitmaps stay far below, as each chunk of them has a record of its own; a file
 * that asks for more wants to fill the memory.
 */
#define BMF_SECTION_RATIO_MAX 2048

static inline void bmf_digest(const void *buf, size_t nbytes, uint8_t ret[16])
{
	bmf_canonical(XXH3_128bits(buf, nbytes), ret);
}

/* sidecar.c: the rules for an object that both directions keep.  True if it does. */
bool bmf_sidecar_is_valid(const struct bmf_sidecar *sidecar);

/* armed_codec.c: the map as a whole */
uint64_t bmf_armed_regions_max(unsigned int region_shift);
/* The sectors of a map that holds armed, and at least min; whole pages. */
uint64_t bmf_armed_capacity(const struct bmf_bits *armed, uint64_t min_sectors);
void bmf_armed_encode(const struct bmf_bits *armed, bool in_use, uint64_t nonce, uint64_t nsectors,
		      uint8_t *ret_map);
/* Adds what the map says to armed.  0 or -ENOMEM. */
int bmf_armed_decode(const uint8_t *map, uint64_t nsectors, uint64_t nonce, uint64_t regions_max,
		     struct bmf_bits *armed, bool *ret_in_use);

/* section_codec.c: the bits of a section as they are stored */
struct bmf_payload {
	void *buf; /* owned */
	size_t nbytes, raw_nbytes;
	enum bmf_disk_encoding encoding;
};

int bmf_payload_pack(const struct bmf_bits *bits, struct bmf_payload *ret);
/* 0, -ENOMEM, or -EBADMSG for what pack can't have made. */
int bmf_payload_unpack(const void *stored, uint64_t stored_nbytes, uint64_t raw_nbytes,
		       uint32_t encoding, struct bmf_bits **ret);

/* sidecar_codec.c: as bmf_sidecar_encode(), with a nonce that the caller chose */
int bmf_sidecar_encode_nonce(struct bmf_sidecar *sidecar, uint64_t nonce, void **ret_buf,
			     size_t *ret_nbytes);

/*
 * sidecar_codec.c: reads no more than the header, from the first bytes of a file (all of
 * them, if it is that short), and says how long the whole must be.
 */
int bmf_sidecar_peek(const void *buf, size_t nbytes, const char *name, uint64_t *ret_file_nbytes,
		     struct bmf_error *err);

/* sidecar_codec.c: as bmf_sidecar_decode(), with the name that err is to give */
int bmf_sidecar_decode_named(const void *buf, size_t nbytes, const char *name,
			     struct bmf_sidecar **ret, struct bmf_error *err);

#endif
