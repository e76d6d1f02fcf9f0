/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doc.c - documents: an envelope that proves them whole, and the items in them
 *
 * The bytes.  All integers are little-endian.  The envelope:
 *
 *   offset  size  field
 *        0     8  magic         8 characters: which kind of document
 *        8     4  version       from 1; a newer one than is known is refused
 *       12     4  incompat      flags of features that a reader must know
 *       16     4  compat        flags of features that a reader may ignore; written 0
 *       20     4  reserved      0, and refused otherwise
 *       24     8  body_nbytes   bytes that follow the envelope: no more, no fewer
 *       32    16  checksum      XXH3-128, seed 0, in canonical form (the high 64 bits
 *                               first, each half big-endian), of envelope and body
 *                               with these 16 bytes taken as 0
 *       48    16  padding       0, and refused otherwise
 *       64        body
 *
 * This envelope is the same in every version: so damage (-EBADMSG) is told from
 * a newer version (-EPROTONOSUPPORT) by the checksum, which is looked at first.
 *
 * The body is a sequence of items without padding or types; the version says which
 * follow: 1, 4 or 8 bytes of an integer; the 16 bytes of a UUID; a string as its
 * length in 4 bytes (at most 65536) and its bytes, none of which is 0.
 */
#include "config.h"

#include "bitmapfile/doc.h"
#include "bitmapfile/le.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct envelope {
	char magic[8];
	struct le32 version, incompat, compat, reserved;
	struct le64 body_nbytes;
	XXH128_canonical_t checksum;
	uint8_t padding[16];
};

static_assert(sizeof(struct envelope) == 64, "on-disk format");
static_assert(offsetof(struct envelope, version) == 8, "on-disk format");
static_assert(offsetof(struct envelope, incompat) == 12, "on-disk format");
static_assert(offsetof(struct envelope, compat) == 16, "on-disk format");
static_assert(offsetof(struct envelope, reserved) == 20, "on-disk format");
static_assert(offsetof(struct envelope, body_nbytes) == 24, "on-disk format");
static_assert(offsetof(struct envelope, checksum) == 32, "on-disk format");
static_assert(offsetof(struct envelope, padding) == 48, "on-disk format");

/* The checksum of a document; what its envelope has in the checksum's place is ignored. */
static int checksum(const uint8_t *doc, size_t nbytes, XXH128_canonical_t *ret)
{
	XXH3_state_t *state = XXH3_createState();
	struct envelope envelope;

	if (!state)
		return -ENOMEM;
	memcpy(&envelope, doc, sizeof(envelope));
	memset(&envelope.checksum, 0, sizeof(envelope.checksum));
	XXH3_128bits_reset(state);
	XXH3_128bits_update(state, &envelope, sizeof(envelope));
	XXH3_128bits_update(state, doc + sizeof(envelope), nbytes - sizeof(envelope));
	XXH128_canonicalFromHash(ret, XXH3_128bits_digest(state));
	XXH3_freeState(state);
	return 0;
}

static void put(struct bmf_doc_writer *w, const void *data, size_t nbytes)
{
	if (w->error)
		return;
	if (nbytes > w->capacity - w->nbytes) {
		size_t capacity = w->capacity * 2 + nbytes;
		uint8_t *buf = realloc(w->buf, capacity);

		if (!buf) {
			w->error = -ENOMEM;
			return;
		}
		w->buf = buf;
		w->capacity = capacity;
	}
	if (nbytes)
		memcpy(w->buf + w->nbytes, data, nbytes);
	w->nbytes += nbytes;
}

void bmf_doc_begin(struct bmf_doc_writer *w, const char magic[8], uint32_t version,
		   uint32_t incompat)
{
	struct envelope envelope = {
		.version = le32_make(version),
		.incompat = le32_make(incompat),
	};

	*w = (struct bmf_doc_writer){ 0 };
	memcpy(envelope.magic, magic, sizeof(envelope.magic));
	put(w, &envelope, sizeof(envelope));
}

void bmf_doc_put_u8(struct bmf_doc_writer *w, uint8_t value)
{
	put(w, &value, sizeof(value));
}

void bmf_doc_put_u32(struct bmf_doc_writer *w, uint32_t value)
{
	struct le32 disk = le32_make(value);

	put(w, &disk, sizeof(disk));
}

void bmf_doc_put_u64(struct bmf_doc_writer *w, uint64_t value)
{
	struct le64 disk = le64_make(value);

	put(w, &disk, sizeof(disk));
}

void bmf_doc_put_uuid(struct bmf_doc_writer *w, const struct bmf_uuid *uuid)
{
	put(w, uuid->b, sizeof(uuid->b));
}

void bmf_doc_put_string(struct bmf_doc_writer *w, const char *string)
{
	size_t nbytes = string ? strlen(string) : 0;

	if (nbytes > BMF_DOC_STRING_MAX) {
		if (!w->error)
			w->error = -EMSGSIZE;
		return;
	}
	bmf_doc_put_u32(w, (uint32_t)nbytes);
	put(w, string, nbytes);
}

int bmf_doc_finish(struct bmf_doc_writer *w, void **ret_buf, size_t *ret_nbytes)
{
	struct envelope envelope;

	if (!w->error) {
		memcpy(&envelope, w->buf, sizeof(envelope));
		envelope.body_nbytes = le64_make(w->nbytes - sizeof(envelope));
		memcpy(w->buf, &envelope, sizeof(envelope));
		w->error = checksum(w->buf, w->nbytes, &envelope.checksum);
	}
	if (w->error) {
		free(w->buf);
		w->buf = NULL;
		return w->error;
	}
	memcpy(w->buf, &envelope, sizeof(envelope));
	*ret_buf = w->buf;
	*ret_nbytes = w->nbytes;
	w->buf = NULL;
	return 0;
}

static int damaged(struct bmf_error *err, const char *name, const char *what)
{
	return bmf_error_set(err, -EBADMSG, "read '%s': damaged (%s)", name, what);
}

/* Is it a whole document of that kind, bit for bit as it was written? */
static int check_intact(const uint8_t *doc, size_t nbytes, const char *name, const char magic[8],
			struct bmf_error *err)
{
	static const uint8_t zeros[sizeof(((struct envelope *)0)->padding)];
	XXH128_canonical_t sum;
	struct envelope envelope;

	if (nbytes < sizeof(envelope))
		return damaged(err, name, "shorter than its header");
	memcpy(&envelope, doc, sizeof(envelope));
	if (memcmp(envelope.magic, magic, sizeof(envelope.magic)) != 0)
		return damaged(err, name, "not a file of this kind");
	if (le64_get(envelope.body_nbytes) != nbytes - sizeof(envelope))
		return damaged(err, name, "cut off, or something was appended");
	if (checksum(doc, nbytes, &sum) < 0)
		return bmf_error_set(err, -ENOMEM, "read '%s': out of memory", name);
	if (memcmp(&sum, &envelope.checksum, sizeof(sum)) != 0)
		return damaged(err, name, "wrong checksum");
	if (le32_get(envelope.reserved) != 0 || memcmp(envelope.padding, zeros, sizeof(zeros)) != 0)
		return damaged(err, name, "reserved bytes in use");
	return 0;
}

static int check_version(const uint8_t *doc, const char *name, uint32_t max_version,
			 uint32_t known_incompat, struct bmf_error *err)
{
	struct envelope envelope;
	uint32_t version, unknown;

	memcpy(&envelope, doc, sizeof(envelope));
	version = le32_get(envelope.version);
	unknown = le32_get(envelope.incompat) & ~known_incompat;
	if (version > max_version)
		return bmf_error_set(err, -EPROTONOSUPPORT,
				     "read '%s': version %u of its format is newer than this "
				     "program, which knows %u; use a newer mirrorfs",
				     name, version, max_version);
	if (unknown)
		return bmf_error_set(err, -EPROTONOSUPPORT,
				     "read '%s': it uses features (0x%x) that this program does "
				     "not know; use a newer mirrorfs",
				     name, unknown);
	return 0;
}

int bmf_doc_open(struct bmf_doc_reader *r, const void *buf, size_t nbytes, const char *name,
		 const char magic[8], uint32_t max_version, uint32_t known_incompat,
		 struct bmf_error *err)
{
	const uint8_t *doc = buf;
	int result;

	result = check_intact(doc, nbytes, name, magic, err);
	if (result == 0)
		result = check_version(doc, name, max_version, known_incompat, err);
	if (result < 0)
		return result;
	*r = (struct bmf_doc_reader){ .next = doc + sizeof(struct envelope), .end = doc + nbytes };
	return 0;
}

static void fail(struct bmf_doc_reader *r, int error)
{
	r->error = error;
	r->next = r->end;
}

/* The next nbytes, or NULL, and then the reader has failed. */
static const uint8_t *get(struct bmf_doc_reader *r, size_t nbytes)
{
	const uint8_t *data = r->next;

	if (!r->error && nbytes > (size_t)(r->end - r->next))
		fail(r, -EBADMSG);
	if (r->error)
		return NULL;
	r->next += nbytes;
	return data;
}

uint8_t bmf_doc_get_u8(struct bmf_doc_reader *r)
{
	const uint8_t *data = get(r, 1);

	return data ? *data : 0;
}

uint32_t bmf_doc_get_u32(struct bmf_doc_reader *r)
{
	struct le32 disk = { { 0 } };
	const uint8_t *data = get(r, sizeof(disk));

	if (data)
		memcpy(&disk, data, sizeof(disk));
	return le32_get(disk);
}

uint64_t bmf_doc_get_u64(struct bmf_doc_reader *r)
{
	struct le64 disk = { { 0 } };
	const uint8_t *data = get(r, sizeof(disk));

	if (data)
		memcpy(&disk, data, sizeof(disk));
	return le64_get(disk);
}

struct bmf_uuid bmf_doc_get_uuid(struct bmf_doc_reader *r)
{
	struct bmf_uuid uuid = { { 0 } };
	const uint8_t *data = get(r, sizeof(uuid.b));

	if (data)
		memcpy(uuid.b, data, sizeof(uuid.b));
	return uuid;
}

char *bmf_doc_get_string(struct bmf_doc_reader *r)
{
	uint32_t nbytes = bmf_doc_get_u32(r);
	const uint8_t *data;
	char *string;

	if (nbytes > BMF_DOC_STRING_MAX && !r->error)
		fail(r, -EBADMSG);
	data = get(r, nbytes);
	if (!data)
		return NULL;
	if (memchr(data, '\0', nbytes)) {
		fail(r, -EBADMSG);
		return NULL;
	}
	string = malloc((size_t)nbytes + 1);
	if (!string) {
		fail(r, -ENOMEM);
		return NULL;
	}
	memcpy(string, data, nbytes);
	string[nbytes] = '\0';
	return string;
}

uint64_t bmf_doc_room(const struct bmf_doc_reader *r, size_t item_nbytes)
{
	return (size_t)(r->end - r->next) / item_nbytes;
}

int bmf_doc_end(const struct bmf_doc_reader *r)
{
	if (r->error)
		return r->error;
	return r->next == r->end ? 0 : -EBADMSG;
}
