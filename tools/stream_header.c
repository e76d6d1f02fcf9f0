/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_header.c - the header of a delta stream as bytes, and back */
#include "config.h"

#include "tools/stream_format.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

const char *stream_header_fault(const struct stream_header *header)
{
	if (bmf_uuid_is_none(&header->source) || bmf_uuid_is_none(&header->replica))
		return "it names no source or no replica";
	if ((header->from == 0) != bmf_uuid_is_none(&header->from_uuid))
		return "its first checkpoint has no number or no UUID";
	if (header->to == 0 || bmf_uuid_is_none(&header->to_uuid))
		return "it leads to no checkpoint";
	if (header->block_shift < BMF_BLOCK_SHIFT_MIN || header->block_shift > BMF_BLOCK_SHIFT_MAX)
		return "its block size makes no sense";
	return NULL;
}

static void header_digest(const struct stream_disk_header *disk, uint8_t ret[16])
{
	struct stream_disk_header copy = *disk;

	memset(copy.digest, 0, sizeof(copy.digest));
	bmf_canonical(XXH3_128bits(&copy, sizeof(copy)), ret);
}

void stream_header_encode(const struct stream_header *header, struct stream_disk_header *ret)
{
	struct stream_disk_header disk = {
		.version = le32_make(STREAM_VERSION),
		.header_nbytes = le32_make(sizeof(disk)),
		.block_shift = le32_make(header->block_shift),
		.flags = le32_make(header->journal ? STREAM_FLAG_JOURNAL : 0),
		.from = le64_make(header->from),
		.to = le64_make(header->to),
		.to_time_ns = le64_make((uint64_t)header->to_time_ns),
	};

	memcpy(disk.magic, STREAM_MAGIC, sizeof(disk.magic));
	memcpy(disk.source, header->source.b, sizeof(disk.source));
	memcpy(disk.replica, header->replica.b, sizeof(disk.replica));
	memcpy(disk.from_uuid, header->from_uuid.b, sizeof(disk.from_uuid));
	memcpy(disk.to_uuid, header->to_uuid.b, sizeof(disk.to_uuid));
	header_digest(&disk, disk.digest);
	*ret = disk;
}

static int check_envelope(const struct stream_disk_header *disk, const char **ret_why)
{
	uint8_t digest[16];

	header_digest(disk, digest);
	*ret_why = "this is no delta stream";
	if (memcmp(disk->magic, STREAM_MAGIC, sizeof(disk->magic)) != 0)
		return -EBADMSG;
	*ret_why = "the header's checksum is wrong";
	if (memcmp(disk->digest, digest, sizeof(digest)) != 0)
		return -EBADMSG;
	*ret_why = "it comes from a newer version of mirrorfs";
	if (le32_get(disk->version) > STREAM_VERSION ||
	    le32_get(disk->incompat) & ~STREAM_INCOMPAT_KNOWN)
		return -EPROTONOSUPPORT;
	return 0;
}

/* What compatible features that we don't know may have put there isn't looked at. */
static bool has_only_what_is_known(const struct stream_disk_header *disk)
{
	static const uint8_t zeros[sizeof(disk->reserved)];

	if (le32_get(disk->version) != STREAM_VERSION ||
	    le32_get(disk->header_nbytes) != sizeof(*disk))
		return false;
	if (le32_get(disk->compat) & ~STREAM_COMPAT_KNOWN)
		return true;
	return !(le32_get(disk->flags) & ~STREAM_FLAG_JOURNAL) &&
	       memcmp(disk->reserved, zeros, sizeof(zeros)) == 0;
}

int stream_header_decode(const struct stream_disk_header *disk, struct stream_header *ret,
			 const char **ret_why)
{
	struct stream_header header = {
		.from = le64_get(disk->from),
		.to = le64_get(disk->to),
		.to_time_ns = (int64_t)le64_get(disk->to_time_ns),
		.block_shift = le32_get(disk->block_shift),
		.journal = le32_get(disk->flags) & STREAM_FLAG_JOURNAL,
	};
	const char *fault;
	int r = check_envelope(disk, ret_why);

	if (r < 0)
		return r;
	memcpy(header.source.b, disk->source, sizeof(disk->source));
	memcpy(header.replica.b, disk->replica, sizeof(disk->replica));
	memcpy(header.from_uuid.b, disk->from_uuid, sizeof(disk->from_uuid));
	memcpy(header.to_uuid.b, disk->to_uuid, sizeof(disk->to_uuid));
	fault = has_only_what_is_known(disk) ? stream_header_fault(&header)
					     : "the header makes no sense";
	if (fault) {
		*ret_why = fault;
		return -EBADMSG;
	}
	*ret = header;
	return 0;
}
