/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream_write.c - a delta stream, from its header to its footer
 *
 * Records are put together in one buffer, one after the other, and handed over when that has
 * FLUSH_NBYTES; so a node costs no system call.
 *
 * Whether zstd pays is a matter of the content: its first PROBES extents are packed to see
 * how far they shrink, and if that isn't worth it, the others are stored as they are, but
 * for one of RETRY now and then.
 */
#include "config.h"

#include "tools/stream_format.h"
#include "tools/stream_output.h"
#include "tools/stream_rules.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define FLUSH_NBYTES ((size_t)256 << 10)
#define ZSTD_LEVEL 1
#define ZSTD_FROM_NBYTES 128 /* below, nothing is to be won */
#define PROBES 4
#define RETRY 64

struct stream_writer {
	struct stream_output output;
	bool packs; /* with zstd, where it pays */
	int error;  /* the first failure, a negative errno; or 0 */
	struct stream_rules rules;
	uint8_t *buf;
	size_t used, room;
	uint64_t pos; /* of all records that are done, written or not */
	uint64_t nrecords;
	XXH3_state_t *digest;  /* of the header and all checks */
	XXH3_state_t *content; /* of the checks of the content's records */
	ZSTD_CCtx *zstd;
	/* of the content: how many extents were packed to see, what came of it; since then */
	unsigned int nprobes, nskipped;
	uint64_t probed_nbytes, packed_nbytes;
};

static int fail(struct stream_writer *w, int code)
{
	if (!w->error)
		w->error = code;
	return w->error;
}

/* What the rules say is a mistake of the caller's here. */
static int fail_rules(struct stream_writer *w, int code)
{
	return fail(w, code == -EBADMSG ? -EINVAL : code);
}

/* All, or as much as can be written well; the rest is a part of what follows. */
static int flush(struct stream_writer *w, bool all)
{
	size_t n = all ? w->used : w->used / STREAM_OUTPUT_ALIGN * STREAM_OUTPUT_ALIGN;
	int r = stream_output_write(&w->output, w->buf, n);

	if (r < 0)
		return fail(w, r);
	w->used -= n;
	memmove(w->buf, w->buf + n, w->used);
	return 0;
}

/* ---- records ---- */

/* Room for a record with a payload of up to payload_max: where that begins, or NULL. */
static uint8_t *begin(struct stream_writer *w, size_t payload_max)
{
	size_t need = w->used + STREAM_RECORD_EXTRA + payload_max;

	if (need > w->room) {
		uint8_t *buf = realloc(w->buf, need);

		if (!buf) {
			fail(w, -ENOMEM);
			return NULL;
		}
		w->buf = buf;
		w->room = need;
	}
	return w->buf + w->used + sizeof(struct stream_disk_head);
}

/* The payload is there: seals the record. */
static int end(struct stream_writer *w, enum stream_type type, size_t payload_nbytes)
{
	struct stream_disk_head head = {
		.type = le16_make((uint16_t)type),
		.payload_nbytes = le32_make((uint32_t)payload_nbytes),
	};
	uint8_t *record = w->buf + w->used;
	size_t nbytes = sizeof(head) + payload_nbytes;
	struct stream_disk_check check;

	memcpy(record, &head, sizeof(head));
	check = stream_check(record, nbytes, w->nrecords++);
	memcpy(record + nbytes, &check, sizeof(check));
	nbytes += sizeof(check);
	XXH3_128bits_update(w->digest, &check, sizeof(check));
	if (w->rules.phase == STREAM_IN_CONTENT)
		XXH3_128bits_update(w->content, &check, sizeof(check));
	w->used += nbytes;
	w->pos += nbytes;
	return w->used >= FLUSH_NBYTES ? flush(w, false) : 0;
}

/* A record whose payload is in two pieces; the second may be empty. */
static int put(struct stream_writer *w, enum stream_type type, const void *fixed,
	       size_t fixed_nbytes, const void *rest, size_t rest_nbytes)
{
	uint8_t *payload = begin(w, fixed_nbytes + rest_nbytes);

	if (!payload)
		return w->error;
	memcpy(payload, fixed, fixed_nbytes);
	if (rest_nbytes)
		memcpy(payload + fixed_nbytes, rest, rest_nbytes);
	return end(w, type, fixed_nbytes + rest_nbytes);
}

/* ---- the writer ---- */

static int put_header(struct stream_writer *w, const struct stream_header *header)
{
	struct stream_disk_header disk;

	stream_header_encode(header, &disk);
	memcpy(w->buf, &disk, sizeof(disk));
	XXH3_128bits_update(w->digest, &disk, sizeof(disk));
	w->used = sizeof(disk);
	w->pos = sizeof(disk);
	return 0;
}

static int prepare(struct stream_writer *w, const struct stream_header *header)
{
	int r = stream_rules_init(&w->rules, header);

	if (r < 0)
		return r;
	w->room = FLUSH_NBYTES;
	w->buf = malloc(w->room);
	w->digest = XXH3_createState();
	w->content = XXH3_createState();
	if (w->packs)
		w->zstd = ZSTD_createCCtx();
	if (!w->buf || !w->digest || !w->content || (w->packs && !w->zstd))
		return -ENOMEM;
	XXH3_128bits_reset(w->digest);
	return put_header(w, header);
}

int stream_writer_new(int fd, const struct stream_header *header, unsigned int flags,
		      struct stream_writer **ret)
{
	struct stream_writer *w;
	int r;

	if (stream_header_fault(header))
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	stream_output_init(&w->output, fd, flags & STREAM_ONE_BY_ONE);
	w->packs = !(flags & STREAM_NO_ZSTD);
	r = prepare(w, header);
	if (r < 0) {
		stream_writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void stream_writer_free(struct stream_writer *w)
{
	if (!w)
		return;
	stream_output_destroy(&w->output);
	stream_rules_destroy(&w->rules);
	XXH3_freeState(w->digest);
	XXH3_freeState(w->content);
	ZSTD_freeCCtx(w->zstd);
	free(w->buf);
	free(w);
}

uint64_t stream_writer_pos(const struct stream_writer *w)
{
	return w->pos;
}

/* ---- the tree ---- */

int stream_put_node(struct stream_writer *w, const struct stream_node *node)
{
	bool journal = w->rules.header.journal;
	const char *why;
	uint8_t *payload;
	size_t nbytes;
	int r;

	if (w->error)
		return w->error;
	r = stream_node_fits(node, journal);
	if (r < 0)
		return fail(w, r);
	r = stream_rules_node(&w->rules, node, &why);
	if (r < 0)
		return fail_rules(w, r);
	nbytes = stream_node_nbytes(node, journal);
	payload = begin(w, nbytes);
	if (!payload)
		return w->error;
	stream_node_encode(node, journal, payload);
	return end(w, STREAM_NODE, nbytes);
}

int stream_put_link(struct stream_writer *w, const char *path)
{
	size_t nbytes = strlen(path);
	const char *why;
	int r;

	if (w->error)
		return w->error;
	if (nbytes > STREAM_PATH_MAX)
		return fail(w, -ENAMETOOLONG);
	r = stream_rules_link(&w->rules, path, &why);
	if (r < 0)
		return fail_rules(w, r);
	return put(w, STREAM_LINK, path, nbytes + 1, NULL, 0);
}

/* ---- contents ---- */

int stream_begin_content(struct stream_writer *w, uint64_t index)
{
	struct stream_disk_content disk = { le64_make(index) };
	const char *why;
	int r;

	if (w->error)
		return w->error;
	r = stream_rules_content(&w->rules, index, &why);
	if (r < 0)
		return fail_rules(w, r);
	XXH3_128bits_reset(w->content);
	w->nprobes = w->nskipped = 0;
	w->probed_nbytes = w->packed_nbytes = 0;
	return put(w, STREAM_CONTENT, &disk, sizeof(disk), NULL, 0);
}

/* The length to which an extent has to shrink, or packing doesn't pay. */
static size_t worthwhile(size_t nbytes)
{
	return nbytes - nbytes / 8;
}

static bool shall_pack(struct stream_writer *w, size_t nbytes)
{
	if (!w->packs || nbytes < ZSTD_FROM_NBYTES)
		return false;
	if (w->nprobes < PROBES || w->packed_nbytes <= worthwhile(w->probed_nbytes))
		return true;
	if (++w->nskipped < RETRY)
		return false;
	w->nprobes = w->nskipped = 0;
	w->probed_nbytes = w->packed_nbytes = 0;
	return true;
}

/* Packs data into ret, which has room for it: how long it is there, 0 if it wasn't worth it. */
static size_t pack(struct stream_writer *w, const void *data, size_t nbytes, uint8_t *ret)
{
	size_t n;

	if (!shall_pack(w, nbytes))
		return 0;
	/* fails also for want of memory, or of room: then the data is stored as it is */
	n = ZSTD_compressCCtx(w->zstd, ret, worthwhile(nbytes), data, nbytes, ZSTD_LEVEL);
	if (ZSTD_isError(n))
		n = 0;
	if (w->nprobes < PROBES) {
		w->nprobes++;
		w->probed_nbytes += nbytes;
		w->packed_nbytes += n ? n : nbytes;
	}
	return n;
}

int stream_put_data(struct stream_writer *w, uint64_t offset, const void *data, size_t nbytes)
{
	struct stream_disk_data disk;
	const char *why;
	uint8_t *payload;
	size_t packed;
	int r;

	if (w->error)
		return w->error;
	if (nbytes > STREAM_EXTENT_MAX)
		return fail(w, -EINVAL);
	payload = begin(w, sizeof(disk) + nbytes);
	if (!payload)
		return w->error;
	packed = pack(w, data, nbytes, payload + sizeof(disk));
	if (!packed && nbytes)
		memcpy(payload + sizeof(disk), data, nbytes);
	r = stream_rules_data(&w->rules, offset, nbytes, packed ? packed : nbytes, &why);
	if (r < 0)
		return fail_rules(w, r);
	disk = (struct stream_disk_data){
		.offset = le64_make(offset),
		.raw_nbytes = le32_make((uint32_t)nbytes),
		.encoding = le32_make(packed ? STREAM_ZSTD : STREAM_RAW),
	};
	memcpy(payload, &disk, sizeof(disk));
	return end(w, STREAM_DATA, sizeof(disk) + (packed ? packed : nbytes));
}

int stream_put_zero(struct stream_writer *w, uint64_t offset, uint64_t nbytes)
{
	struct stream_disk_zero disk = { le64_make(offset), le64_make(nbytes) };
	const char *why;
	int r;

	if (w->error)
		return w->error;
	r = stream_rules_zero(&w->rules, offset, nbytes, &why);
	if (r < 0)
		return fail_rules(w, r);
	return put(w, STREAM_ZERO, &disk, sizeof(disk), NULL, 0);
}

int stream_put_digests(struct stream_writer *w, uint64_t first_block, const void *digests, size_t n)
{
	struct stream_disk_digests disk = {
		.first_block = le64_make(first_block),
		.n = le32_make((uint32_t)n),
	};
	const char *why;
	int r;

	if (w->error)
		return w->error;
	r = stream_rules_digests(&w->rules, first_block, n, &why);
	if (r < 0)
		return fail_rules(w, r);
	return put(w, STREAM_DIGESTS, &disk, sizeof(disk), digests, n * STREAM_DIGEST_NBYTES);
}

int stream_end_content(struct stream_writer *w)
{
	struct stream_disk_content_end disk = { .size = le64_make(w->rules.current.size) };
	const char *why;
	int r;

	if (w->error)
		return w->error;
	r = stream_rules_content_end(&w->rules, &why);
	if (r < 0)
		return fail_rules(w, r);
	bmf_canonical(XXH3_128bits_digest(w->content), disk.digest);
	return put(w, STREAM_CONTENT_END, &disk, sizeof(disk), NULL, 0);
}

/* ---- the end ---- */

static int put_footer(struct stream_writer *w, const struct stream_totals *totals)
{
	struct stream_disk_footer disk = {
		.nodes = le64_make(totals->nodes),
		.links = le64_make(totals->links),
		.contents = le64_make(totals->contents),
		.records = le64_make(totals->records),
		.raw_nbytes = le64_make(totals->raw_nbytes),
		.stored_nbytes = le64_make(totals->stored_nbytes),
		.zero_nbytes = le64_make(totals->zero_nbytes),
	};
	int r;

	bmf_canonical(XXH3_128bits_digest(w->digest), disk.digest);
	r = put(w, STREAM_FOOTER, &disk, sizeof(disk), NULL, 0);
	if (r == 0)
		r = flush(w, true);
	if (r == 0)
		r = stream_output_end(&w->output);
	return r < 0 ? fail(w, r) : 0;
}

int stream_finish(struct stream_writer *w, struct stream_totals *ret)
{
	struct stream_totals totals;
	const char *why;
	int r;

	if (w->error)
		return w->error;
	r = stream_rules_footer(&w->rules, &why);
	if (r < 0)
		return fail_rules(w, r);
	totals = w->rules.totals;
	totals.records = w->nrecords;
	r = put_footer(w, &totals);
	if (r < 0)
		return r;
	totals.stream_nbytes = w->pos;
	if (ret)
		*ret = totals;
	fail(w, -EINVAL); /* nothing may follow */
	return 0;
}
