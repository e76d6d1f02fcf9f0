/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream_decode.c - a record of a delta stream, whose check is right, as fields that make sense */
#include "config.h"

#include "tools/stream_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd_errors.h>

/*
 * 0, -ENOMEM, or -EBADMSG with the fault in *why.  The zstd frame has to be of the length
 * that is announced, before anything is unpacked, and all of what is stored.
 */
static int unpack(struct stream_reader *reader, const uint8_t *stored, size_t stored_nbytes,
		  size_t raw_nbytes, const char **why)
{
	size_t n;

	*why = "it can't be unpacked";
	if (stored_nbytes >= raw_nbytes || raw_nbytes > STREAM_EXTENT_MAX ||
	    ZSTD_getFrameContentSize(stored, stored_nbytes) != raw_nbytes ||
	    ZSTD_findFrameCompressedSize(stored, stored_nbytes) != stored_nbytes)
		return -EBADMSG;
	if (!reader->unpacked)
		reader->unpacked = malloc(STREAM_EXTENT_MAX);
	if (!reader->unpacked)
		return -ENOMEM;
	n = ZSTD_decompressDCtx(reader->zstd, reader->unpacked, raw_nbytes, stored, stored_nbytes);
	if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return -ENOMEM; /* says nothing of the stream */
	return ZSTD_isError(n) || n != raw_nbytes ? -EBADMSG : 0;
}

static int decode_data(struct stream_reader *reader, uint8_t *payload, struct stream_record *ret,
		       const char **why)
{
	const struct stream_disk_data *disk = (const void *)payload;
	const uint8_t *stored = payload + sizeof(*disk);
	size_t stored_nbytes = reader->payload_nbytes - sizeof(*disk);
	int r;

	ret->data.offset = le64_get(disk->offset);
	ret->data.nbytes = le32_get(disk->raw_nbytes);
	r = stream_rules_data(&reader->rules, ret->data.offset, ret->data.nbytes, stored_nbytes,
			      why);
	if (r < 0)
		return r;
	switch (le32_get(disk->encoding)) {
	case STREAM_RAW:
		*why = "its lengths don't agree";
		ret->data.bytes = stored;
		return stored_nbytes == ret->data.nbytes ? 0 : -EBADMSG;
	case STREAM_ZSTD:
		r = unpack(reader, stored, stored_nbytes, ret->data.nbytes, why);
		ret->data.bytes = reader->unpacked;
		return r;
	default:
		*why = "its encoding is unknown";
		return -EBADMSG;
	}
}

static int decode_node(struct stream_reader *reader, uint8_t *payload, struct stream_record *ret,
		       const char **why)
{
	int r = stream_node_decode(payload, reader->payload_nbytes, reader->rules.header.journal,
				   &ret->node, &reader->xattrs, &reader->xattrs_room, why);

	if (r < 0)
		return r;
	ret->node.index = reader->rules.totals.nodes;
	return stream_rules_node(&reader->rules, &ret->node, why);
}

static int decode_link(struct stream_reader *reader, uint8_t *payload, struct stream_record *ret,
		       const char **why)
{
	*why = "its fields make no sense";
	if (memchr(payload, '\0', reader->payload_nbytes) != payload + reader->payload_nbytes - 1)
		return -EBADMSG;
	ret->link.path = (const char *)payload;
	ret->link.node = reader->rules.totals.nodes - 1;
	return stream_rules_link(&reader->rules, ret->link.path, why);
}

static void fill_content(const struct stream_reader *reader, struct stream_record *ret)
{
	ret->content.node = reader->rules.current.node;
	ret->content.size = reader->rules.current.size;
	ret->content.kind = reader->rules.current.kind;
}

static int decode_content(struct stream_reader *reader, uint8_t *payload, struct stream_record *ret,
			  const char **why)
{
	const struct stream_disk_content *disk = (const void *)payload;
	int r = stream_rules_content(&reader->rules, le64_get(disk->node), why);

	if (r < 0)
		return r;
	XXH3_128bits_reset(reader->content);
	fill_content(reader, ret);
	return 0;
}

static int decode_zero(struct stream_reader *reader, uint8_t *payload, struct stream_record *ret,
		       const char **why)
{
	const struct stream_disk_zero *disk = (const void *)payload;

	ret->zero.offset = le64_get(disk->offset);
	ret->zero.nbytes = le64_get(disk->nbytes);
	return stream_rules_zero(&reader->rules, ret->zero.offset, ret->zero.nbytes, why);
}

static int decode_digests(struct stream_reader *reader, uint8_t *payload, struct stream_record *ret,
			  const char **why)
{
	const struct stream_disk_digests *disk = (const void *)payload;

	ret->digests.first_block = le64_get(disk->first_block);
	ret->digests.n = le32_get(disk->n);
	ret->digests.bytes = payload + sizeof(*disk);
	*why = "its fields make no sense";
	if (ret->digests.n > STREAM_DIGESTS_MAX || le32_get(disk->reserved) != 0 ||
	    reader->payload_nbytes != sizeof(*disk) + ret->digests.n * STREAM_DIGEST_NBYTES)
		return -EBADMSG;
	return stream_rules_digests(&reader->rules, ret->digests.first_block, ret->digests.n, why);
}

static int decode_content_end(struct stream_reader *reader, uint8_t *payload,
			      struct stream_record *ret, const char **why)
{
	const struct stream_disk_content_end *disk = (const void *)payload;
	uint8_t digest[16];
	int r = stream_rules_content_end(&reader->rules, why);

	if (r < 0)
		return r;
	fill_content(reader, ret);
	bmf_canonical(XXH3_128bits_digest(reader->content), digest);
	*why = "it doesn't fit what came before";
	if (le64_get(disk->size) != ret->content.size || memcmp(disk->digest, digest, 16) != 0)
		return -EBADMSG;
	return 0;
}

static bool totals_agree(const struct stream_disk_footer *disk, const struct stream_totals *totals)
{
	return le64_get(disk->nodes) == totals->nodes && le64_get(disk->links) == totals->links &&
	       le64_get(disk->contents) == totals->contents &&
	       le64_get(disk->records) == totals->records &&
	       le64_get(disk->raw_nbytes) == totals->raw_nbytes &&
	       le64_get(disk->stored_nbytes) == totals->stored_nbytes &&
	       le64_get(disk->zero_nbytes) == totals->zero_nbytes;
}

static int decode_footer(struct stream_reader *reader, uint8_t *payload, struct stream_record *ret,
			 const char **why)
{
	const struct stream_disk_footer *disk = (const void *)payload;
	uint8_t digest[16], beyond;
	int64_t n;
	int r = stream_rules_footer(&reader->rules, why);

	if (r < 0)
		return r;
	ret->footer = reader->rules.totals;
	ret->footer.records = reader->nrecords;
	ret->footer.stream_nbytes = reader->input.pos;
	bmf_canonical(XXH3_128bits_digest(reader->digest), digest);
	*why = "it doesn't fit what came before";
	if (!totals_agree(disk, &ret->footer) || memcmp(disk->digest, digest, 16) != 0)
		return -EBADMSG;
	n = stream_input_read(&reader->input, &beyond, 1);
	*why = "there is more after it";
	return n > 0 ? -EBADMSG : (int)n;
}

int stream_decode(struct stream_reader *reader, struct stream_record *ret, const char **why)
{
	uint8_t *payload = reader->record + sizeof(struct stream_disk_head);

	switch (reader->type) {
	case STREAM_NODE:
		return decode_node(reader, payload, ret, why);
	case STREAM_LINK:
		return decode_link(reader, payload, ret, why);
	case STREAM_CONTENT:
		return decode_content(reader, payload, ret, why);
	case STREAM_DATA:
		return decode_data(reader, payload, ret, why);
	case STREAM_ZERO:
		return decode_zero(reader, payload, ret, why);
	case STREAM_DIGESTS:
		return decode_digests(reader, payload, ret, why);
	case STREAM_CONTENT_END:
		return decode_content_end(reader, payload, ret, why);
	case STREAM_FOOTER:
		return decode_footer(reader, payload, ret, why);
	}
	*why = "its type makes no sense";
	return -EBADMSG;
}
