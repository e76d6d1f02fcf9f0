/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_read.c - a delta stream, from its header to its footer, taken at nobody's word
 *
 * A record goes through four hands: read_record() has its bytes, as many as a record of
 * its type can have, and believes them once the check is right; one of decode_...() makes
 * fields of them; stream_rules.c says whether those may come at this place; and the
 * footer's digest whether all was there that was before.
 */
#include "config.h"

#include "tools/stream_format.h"
#include "tools/stream_input.h"
#include "tools/stream_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

struct stream_reader {
	struct stream_input input;
	char *name; /* for messages */
	struct stream_rules rules;
	bool ended; /* by the footer, or a failure */
	uint64_t nrecords;
	/* the record: head, payload, check; and what its payload is made into */
	uint8_t *record;
	size_t room;
	enum stream_type type;
	size_t payload_nbytes;
	uint64_t offset;
	uint8_t *unpacked;    /* STREAM_EXTENT_MAX; NULL until it is needed */
	struct xattr *xattrs; /* of the last node */
	size_t xattrs_room;
	XXH3_state_t *digest;  /* of the stream */
	XXH3_state_t *content; /* of the content's records */
	ZSTD_DCtx *zstd;
};

/* ---- record types ---- */

struct type_info {
	const char *name;
	size_t min, max; /* of the payload, in bytes */
};

#define EXACTLY(fixed) sizeof(fixed), sizeof(fixed)

static const struct type_info types[] = {
	[STREAM_NODE] = { "file", sizeof(struct stream_disk_node), STREAM_NODE_PAYLOAD_MAX },
	[STREAM_LINK] = { "link", 1, STREAM_PATH_MAX + 1 },
	[STREAM_CONTENT] = { "content", EXACTLY(struct stream_disk_content) },
	[STREAM_DATA] = { "data", sizeof(struct stream_disk_data), STREAM_DATA_PAYLOAD_MAX },
	[STREAM_ZERO] = { "zeros", EXACTLY(struct stream_disk_zero) },
	[STREAM_DIGESTS] = { "digests", sizeof(struct stream_disk_digests),
			     sizeof(struct stream_disk_digests) +
				     STREAM_DIGESTS_MAX *STREAM_DIGEST_NBYTES },
	[STREAM_CONTENT_END] = { "end of content", EXACTLY(struct stream_disk_content_end) },
	[STREAM_FOOTER] = { "footer", EXACTLY(struct stream_disk_footer) },
};

#define NTYPES (sizeof(types) / sizeof(types[0]))

/* ---- errors ---- */

/* Of the record that is being read. */
static int fail_record(const struct stream_reader *reader, struct bmf_error *err, int code,
		       const char *why)
{
	const char *name = reader->type < NTYPES ? types[reader->type].name : NULL;

	return bmf_error_set(
		err, code, "read %s: record %" PRIu64 " (%s at offset %" PRIu64 "): %s",
		reader->name, reader->nrecords, name ? name : "unknown", reader->offset, why);
}

static int fail_header(const struct stream_reader *reader, struct bmf_error *err, int code,
		       const char *why)
{
	return bmf_error_set(err, code, "read %s: %s", reader->name, why);
}

/* ---- the header ---- */

static int check_expected(const struct stream_reader *reader, const struct stream_header *header,
			  const struct stream_expect *expect, struct bmf_error *err)
{
	if (header->journal && !expect->journal)
		return fail_header(reader, err, -EBADMSG, "this is the journal of a replica");
	if (!header->journal && expect->journal)
		return fail_header(reader, err, -EBADMSG, "this is no journal of a replica");
	if (expect->source && !bmf_uuid_equal(expect->source, &header->source))
		return fail_header(reader, err, -ESTALE, "it comes from another source");
	if (expect->replica && !bmf_uuid_equal(expect->replica, &header->replica))
		return fail_header(reader, err, -ESTALE, "it is meant for another replica");
	return 0;
}

static int read_header(struct stream_reader *reader, const struct stream_expect *expect,
		       struct bmf_error *err)
{
	struct stream_disk_header disk;
	struct stream_header header;
	const char *why;
	int64_t n = stream_input_read(&reader->input, &disk, sizeof(disk));
	int r;

	if (n < 0)
		return fail_header(reader, err, (int)n, strerror((int)-n));
	if ((size_t)n < sizeof(disk))
		return fail_header(reader, err, -EBADMSG, "it ends within its header");
	r = stream_header_decode(&disk, &header, &why);
	if (r < 0)
		return fail_header(reader, err, r, why);
	r = check_expected(reader, &header, expect, err);
	if (r < 0)
		return r;
	XXH3_128bits_update(reader->digest, &disk, sizeof(disk));
	r = stream_rules_init(&reader->rules, &header);
	return r < 0 ? fail_header(reader, err, r, strerror(-r)) : 0;
}

/* ---- the reader ---- */

static int prepare(struct stream_reader *reader, int fd, const char *name)
{
	int r = stream_input_init(&reader->input, fd);

	reader->name = strdup(name);
	reader->digest = XXH3_createState();
	reader->content = XXH3_createState();
	reader->zstd = ZSTD_createDCtx();
	if (r < 0 || !reader->name || !reader->digest || !reader->content || !reader->zstd)
		return -ENOMEM;
	XXH3_128bits_reset(reader->digest);
	return 0;
}

int stream_reader_open(int fd, const struct stream_expect *expect, struct stream_reader **ret,
		       struct bmf_error *err)
{
	static const struct stream_expect any;
	const char *name;
	struct stream_reader *reader = calloc(1, sizeof(*reader));
	int r = -ENOMEM;

	if (!expect)
		expect = &any;
	name = expect->name ? expect->name : "delta stream";
	if (reader)
		r = prepare(reader, fd, name);
	if (r < 0)
		bmf_error_set(err, r, "read %s: %s", name, strerror(-r));
	else
		r = read_header(reader, expect, err);
	if (r < 0) {
		stream_reader_close(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

void stream_reader_close(struct stream_reader *reader)
{
	if (!reader)
		return;
	stream_input_destroy(&reader->input);
	stream_rules_destroy(&reader->rules);
	XXH3_freeState(reader->digest);
	XXH3_freeState(reader->content);
	ZSTD_freeDCtx(reader->zstd);
	free(reader->name);
	free(reader->record);
	free(reader->unpacked);
	free(reader->xattrs);
	free(reader);
}

const struct stream_header *stream_reader_header(const struct stream_reader *reader)
{
	return &reader->rules.header;
}

/* ---- records as bytes ---- */

static int read_exactly(struct stream_reader *reader, void *ret, size_t nbytes,
			struct bmf_error *err)
{
	int64_t n = stream_input_read(&reader->input, ret, nbytes);

	if (n < 0)
		return fail_record(reader, err, (int)n, strerror((int)-n));
	if ((size_t)n < nbytes)
		return fail_record(reader, err, -EBADMSG, "the stream ends before it does");
	return 0;
}

static int make_room(struct stream_reader *reader, size_t nbytes, struct bmf_error *err)
{
	uint8_t *record;

	if (nbytes <= reader->room)
		return 0;
	record = realloc(reader->record, nbytes);
	if (!record)
		return fail_record(reader, err, -ENOMEM, strerror(ENOMEM));
	reader->record = record;
	reader->room = nbytes;
	return 0;
}

static int read_head(struct stream_reader *reader, struct stream_disk_head *ret,
		     struct bmf_error *err)
{
	const struct type_info *type;
	int r;

	reader->type = 0;
	reader->offset = reader->input.pos;
	r = read_exactly(reader, ret, sizeof(*ret), err);
	if (r < 0)
		return r;
	reader->type = le16_get(ret->type);
	reader->payload_nbytes = le32_get(ret->payload_nbytes);
	if (reader->type == 0 || reader->type >= NTYPES || le16_get(ret->flags) != 0)
		return fail_record(reader, err, -EBADMSG, "its type makes no sense");
	type = &types[reader->type];
	if (reader->payload_nbytes < type->min || reader->payload_nbytes > type->max)
		return fail_record(reader, err, -EBADMSG, "its length makes no sense");
	return 0;
}

/* Reads all of a record into reader->record, and sees that it is what was written. */
static int read_record(struct stream_reader *reader, struct bmf_error *err)
{
	struct stream_disk_head head;
	struct stream_disk_check check;
	size_t nbytes;
	int r = read_head(reader, &head, err);

	if (r < 0)
		return r;
	nbytes = sizeof(head) + reader->payload_nbytes;
	r = make_room(reader, nbytes + sizeof(check), err);
	if (r < 0)
		return r;
	memcpy(reader->record, &head, sizeof(head));
	r = read_exactly(reader, reader->record + sizeof(head),
			 reader->payload_nbytes + sizeof(check), err);
	if (r < 0)
		return r;
	check = stream_check(reader->record, nbytes, reader->nrecords);
	if (memcmp(reader->record + nbytes, &check, sizeof(check)) != 0)
		return fail_record(reader, err, -EBADMSG, "its checksum is wrong");
	return 0;
}

/* ---- records as fields ---- */

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
	stream_canonical(XXH3_128bits_digest(reader->content), digest);
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
	stream_canonical(XXH3_128bits_digest(reader->digest), digest);
	*why = "it doesn't fit what came before";
	if (!totals_agree(disk, &ret->footer) || memcmp(disk->digest, digest, 16) != 0)
		return -EBADMSG;
	n = stream_input_read(&reader->input, &beyond, 1);
	*why = "there is more after it";
	return n > 0 ? -EBADMSG : (int)n;
}

static int decode(struct stream_reader *reader, struct stream_record *ret, const char **why)
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

static int next(struct stream_reader *reader, struct stream_record *ret, struct bmf_error *err)
{
	struct stream_record record = { .index = reader->nrecords };
	const char *why = NULL;
	size_t nbytes;
	int r = read_record(reader, err);

	if (r < 0)
		return r;
	record.type = reader->type;
	record.offset = reader->offset;
	r = decode(reader, &record, &why);
	if (r < 0)
		return fail_record(reader, err, r, r == -EBADMSG ? why : strerror(-r));
	nbytes = STREAM_RECORD_EXTRA + reader->payload_nbytes;
	XXH3_128bits_update(reader->digest, reader->record, nbytes);
	if (reader->rules.phase == STREAM_IN_CONTENT)
		XXH3_128bits_update(reader->content, reader->record, nbytes);
	reader->nrecords++;
	*ret = record;
	return 0;
}

int stream_next(struct stream_reader *reader, struct stream_record *ret, struct bmf_error *err)
{
	int r;

	if (reader->ended)
		return fail_header(reader, err, -EINVAL, "there is nothing more to read");
	r = next(reader, ret, err);
	reader->ended = r < 0 || ret->type == STREAM_FOOTER;
	return r;
}

int stream_verify(int fd, const struct stream_expect *expect, struct stream_header *ret_header,
		  struct stream_totals *ret_totals, struct bmf_error *err)
{
	struct stream_reader *reader;
	struct stream_record record = { 0 };
	int r = stream_reader_open(fd, expect, &reader, err);

	if (r < 0)
		return r;
	while (r == 0 && record.type != STREAM_FOOTER)
		r = stream_next(reader, &record, err);
	if (r == 0 && ret_header)
		*ret_header = *stream_reader_header(reader);
	if (r == 0 && ret_totals)
		*ret_totals = record.footer;
	stream_reader_close(reader);
	return r;
}
