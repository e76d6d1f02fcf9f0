/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_read.c - a delta stream, from its header to its footer, taken at nobody's word
 *
 * A record goes through four hands: read_record() has its bytes, as many as a record of
 * its type can have, and believes them once the check is right; stream_decode.c makes
 * fields of them; stream_rules.c says whether those may come at this place; and the
 * footer's digest whether all was there that was before.
 */
#include "config.h"

#include "tools/stop.h"
#include "tools/stream_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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
		return fail_header(reader, err, (int)n, bmf_errno_text((int)n));
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
	return r < 0 ? fail_header(reader, err, r, bmf_errno_text(r)) : 0;
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
		bmf_error_set(err, r, "read %s: %s", name, bmf_errno_text(r));
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
		return fail_record(reader, err, (int)n, bmf_errno_text((int)n));
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
		return fail_record(reader, err, -ENOMEM, bmf_errno_text(-ENOMEM));
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

static int next(struct stream_reader *reader, struct stream_record *ret, struct bmf_error *err)
{
	struct stream_record record = { .index = reader->nrecords };
	const char *why = NULL;
	const uint8_t *check;
	int r = read_record(reader, err);

	if (r < 0)
		return r;
	record.type = reader->type;
	record.offset = reader->offset;
	r = stream_decode(reader, &record, &why);
	if (r < 0)
		return fail_record(reader, err, r, r == -EBADMSG ? why : bmf_errno_text(r));
	check = reader->record + sizeof(struct stream_disk_head) + reader->payload_nbytes;
	XXH3_128bits_update(reader->digest, check, sizeof(struct stream_disk_check));
	if (reader->rules.phase == STREAM_IN_CONTENT)
		XXH3_128bits_update(reader->content, check, sizeof(struct stream_disk_check));
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
		r = stop_signal() ? -ECANCELED : stream_next(reader, &record, err);
	if (r == 0 && ret_header)
		*ret_header = *stream_reader_header(reader);
	if (r == 0 && ret_totals)
		*ret_totals = record.footer;
	stream_reader_close(reader);
	return r;
}
