/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sidecar_codec.c - a sidecar as bytes, and back
 *
 * Every byte of a file is covered: by the header's digest, by the check of an armed
 * sector, by the table's digest or by that of a section's stored bytes; and there
 * are no bytes between these.  So a file that decodes is one that was encoded, but
 * for its armed map, which may only err by being too full (I1).
 */
#include "config.h"

#include "bitmapfile/format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

/* ---- encode ---- */

static void header_digest(const struct bmf_disk_header *header, uint8_t ret[16])
{
	struct bmf_disk_header copy = *header;

	memset(copy.digest, 0, sizeof(copy.digest));
	bmf_digest(&copy, sizeof(copy), ret);
}

static void payloads_free(struct bmf_payload *payloads, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(payloads[i].buf);
	free(payloads);
}

static int payloads_pack(const struct bmf_sidecar *sidecar, struct bmf_payload **ret,
			 uint64_t *ret_nbytes)
{
	struct bmf_payload *payloads = calloc(sidecar->nsections, sizeof(*payloads));
	uint64_t total = 0;

	if (!payloads)
		return -ENOMEM;
	for (size_t i = 0; i < sidecar->nsections; i++) {
		int r = bmf_payload_pack(sidecar->sections[i].bits, &payloads[i]);

		if (r < 0) {
			payloads_free(payloads, i);
			return r;
		}
		total += payloads[i].nbytes;
	}
	*ret = payloads;
	*ret_nbytes = total;
	return 0;
}

/* Writes the table, and the payloads that follow it; table is where the table goes in file. */
static void put_sections(const struct bmf_sidecar *sidecar, const struct bmf_payload *payloads,
			 uint8_t *file, uint64_t table)
{
	uint64_t offset = table + sidecar->nsections * sizeof(struct bmf_disk_section);

	for (size_t i = 0; i < sidecar->nsections; i++) {
		const struct bmf_payload *payload = &payloads[i];
		struct bmf_disk_section entry = {
			.first = le64_make(sidecar->sections[i].first),
			.last = le64_make(sidecar->sections[i].last),
			.offset = le64_make(offset),
			.stored_nbytes = le64_make(payload->nbytes),
			.raw_nbytes = le64_make(payload->raw_nbytes),
			.encoding = le32_make(payload->encoding),
		};

		bmf_digest(payload->buf, payload->nbytes, entry.digest);
		memcpy(file + table + i * sizeof(entry), &entry, sizeof(entry));
		if (payload->nbytes)
			memcpy(file + offset, payload->buf, payload->nbytes);
		offset += payload->nbytes;
	}
}

static void put_header(const struct bmf_sidecar *sidecar, uint8_t *file, uint64_t table,
		       uint64_t file_nbytes)
{
	struct bmf_disk_header header = {
		.version = le32_make(BMF_SIDECAR_VERSION),
		.header_nbytes = le32_make(BMF_SIDECAR_HEADER),
		.block_shift = le32_make(sidecar->block_shift),
		.region_shift = le32_make(sidecar->region_shift),
		.since = le64_make(sidecar->since),
		.active = le64_make(sidecar->active),
		.reason = le32_make((uint32_t)sidecar->reason),
		.flags = le32_make(sidecar->suspect ? BMF_SIDECAR_SUSPECT : 0),
		.inode = le64_make(sidecar->stamp.inode),
		.handle = le64_make(sidecar->stamp.handle),
		.size = le64_make(sidecar->stamp.size),
		.mtime_ns = le64_make((uint64_t)sidecar->stamp.mtime_ns),
		.ctime_ns = le64_make((uint64_t)sidecar->stamp.ctime_ns),
		.nonce = le64_make(sidecar->nonce),
		.session = le64_make(sidecar->session),
		.crash_generation = le64_make(sidecar->crash_generation),
		.crash_nbytes = le64_make(sidecar->crash_nbytes),
		.armed_sectors = le32_make(sidecar->armed_sectors),
		.nsections = le32_make((uint32_t)sidecar->nsections),
		.table_offset = le64_make(table),
		.file_nbytes = le64_make(file_nbytes),
	};

	memcpy(header.magic, BMF_SIDECAR_MAGIC, sizeof(header.magic));
	memcpy(header.image, sidecar->image.b, sizeof(header.image));
	memcpy(header.source, sidecar->source.b, sizeof(header.source));
	bmf_digest(file + table, sidecar->nsections * sizeof(struct bmf_disk_section),
		   header.table_digest);
	header_digest(&header, header.digest);
	memcpy(file, &header, sizeof(header));
}

int bmf_sidecar_encode_nonce(struct bmf_sidecar *sidecar, uint64_t nonce, void **ret_buf,
			     size_t *ret_nbytes)
{
	uint64_t sectors, table, total;
	struct bmf_payload *payloads;
	uint8_t *file;
	int r;

	if (!bmf_sidecar_is_valid(sidecar) || sidecar->nsections > UINT32_MAX)
		return -EINVAL;
	sectors = bmf_armed_capacity(sidecar->armed, sidecar->armed_sectors);
	if (sectors > UINT32_MAX)
		return -ENOMEM;
	r = payloads_pack(sidecar, &payloads, &total);
	if (r < 0)
		return r;

	table = BMF_ARMED_MAP_OFFSET + sectors * BMF_ARMED_SECTOR;
	total += table + sidecar->nsections * sizeof(struct bmf_disk_section);
	file = total <= SIZE_MAX ? malloc((size_t)total) : NULL;
	if (!file) {
		payloads_free(payloads, sidecar->nsections);
		return -ENOMEM;
	}
	sidecar->nonce = nonce;
	sidecar->armed_sectors = (uint32_t)sectors;
	bmf_armed_encode(sidecar->armed, sidecar->in_use, nonce, sectors,
			 file + BMF_ARMED_MAP_OFFSET);
	put_sections(sidecar, payloads, file, table);
	put_header(sidecar, file, table, total);
	payloads_free(payloads, sidecar->nsections);
	*ret_buf = file;
	*ret_nbytes = (size_t)total;
	return 0;
}

int bmf_sidecar_encode(struct bmf_sidecar *sidecar, void **ret_buf, size_t *ret_nbytes)
{
	uint64_t nonce;
	ssize_t got;

	do
		got = getrandom(&nonce, sizeof(nonce), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return bmf_sidecar_encode_nonce(sidecar, nonce, ret_buf, ret_nbytes);
}

/* ---- decode ---- */

/* What is being decoded, and what of it is known so far. */
struct decoder {
	const uint8_t *file;
	size_t nbytes;
	const char *name;
	struct bmf_error *err;
	struct bmf_disk_header header;
	bool strict; /* no feature flag that is unknown: every bit must be as version 1 has it */
};

static int damaged(const struct decoder *d, const char *what)
{
	return bmf_error_set(d->err, -EBADMSG, "read '%s': damaged (%s)", d->name, what);
}

/*
 * What all versions have in common: magic, digest, version and flags.  The digest
 * goes first, so that a flipped bit of the version isn't taken for a newer one.
 */
static int read_envelope(struct decoder *d)
{
	uint8_t digest[16];
	uint32_t version, unknown;

	if (d->nbytes < sizeof(d->header))
		return damaged(d, d->nbytes ? "shorter than its header" : "it is empty");
	memcpy(&d->header, d->file, sizeof(d->header));
	if (memcmp(d->header.magic, BMF_SIDECAR_MAGIC, sizeof(d->header.magic)) != 0)
		return damaged(d, "it does not begin as a sidecar does");
	header_digest(&d->header, digest);
	if (memcmp(digest, d->header.digest, sizeof(digest)) != 0)
		return damaged(d, "its header's checksum is wrong");

	version = le32_get(d->header.version);
	if (version > BMF_SIDECAR_VERSION)
		return bmf_error_set(d->err, -EPROTONOSUPPORT,
				     "read '%s': version %" PRIu32
				     " of its format is newer than this "
				     "program, which knows %d; use a newer mirrorfs",
				     d->name, version, BMF_SIDECAR_VERSION);
	if (version != BMF_SIDECAR_VERSION)
		return damaged(d, "there is no version 0");
	unknown = le32_get(d->header.incompat) & ~BMF_SIDECAR_INCOMPAT_KNOWN;
	if (unknown)
		return bmf_error_set(d->err, -EPROTONOSUPPORT,
				     "read '%s': it uses features (0x%" PRIx32
				     ") that this program "
				     "does not know; use a newer mirrorfs",
				     d->name, unknown);
	d->strict = !(le32_get(d->header.compat) & ~BMF_SIDECAR_COMPAT_KNOWN);
	return 0;
}

static bool is_zero(const uint8_t *bytes, size_t nbytes)
{
	for (size_t i = 0; i < nbytes; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Are the parts where they must be?  From here on their places can be relied on. */
static int check_layout(const struct decoder *d)
{
	const struct bmf_disk_header *h = &d->header;
	uint64_t sectors = le32_get(h->armed_sectors), nsections = le32_get(h->nsections);
	uint64_t table = BMF_ARMED_MAP_OFFSET + sectors * BMF_ARMED_SECTOR;
	uint64_t table_nbytes = nsections * sizeof(struct bmf_disk_section);
	uint8_t digest[16];

	if (le64_get(h->file_nbytes) != d->nbytes)
		return damaged(d, "its length is not what its header says");
	if (le32_get(h->header_nbytes) != BMF_SIDECAR_HEADER)
		return damaged(d, "its header has a wrong length");
	if (sectors == 0 || sectors % (BMF_SIDECAR_PAGE / BMF_ARMED_SECTOR) != 0)
		return damaged(d, "its armed map is not of whole pages");
	if (le64_get(h->table_offset) != table || table > d->nbytes ||
	    table_nbytes > d->nbytes - table)
		return damaged(d, "its section table is out of place");
	bmf_digest(d->file + table, (size_t)table_nbytes, digest);
	if (memcmp(digest, h->table_digest, sizeof(digest)) != 0)
		return damaged(d, "its section table's checksum is wrong");
	if (d->strict && ((le32_get(h->flags) & ~BMF_SIDECAR_SUSPECT) ||
			  !is_zero(h->reserved, sizeof(h->reserved))))
		return damaged(d, "its header has bits set that must be clear");
	return 0;
}

static void read_header(const struct decoder *d, struct bmf_sidecar *sidecar)
{
	const struct bmf_disk_header *h = &d->header;

	memcpy(sidecar->image.b, h->image, sizeof(h->image));
	memcpy(sidecar->source.b, h->source, sizeof(h->source));
	sidecar->block_shift = le32_get(h->block_shift);
	sidecar->region_shift = le32_get(h->region_shift);
	sidecar->since = le64_get(h->since);
	sidecar->active = le64_get(h->active);
	sidecar->reason = (enum bmf_reason)le32_get(h->reason);
	sidecar->suspect = le32_get(h->flags) & BMF_SIDECAR_SUSPECT;
	sidecar->stamp.inode = le64_get(h->inode);
	sidecar->stamp.handle = le64_get(h->handle);
	sidecar->stamp.size = le64_get(h->size);
	sidecar->stamp.mtime_ns = (int64_t)le64_get(h->mtime_ns);
	sidecar->stamp.ctime_ns = (int64_t)le64_get(h->ctime_ns);
	sidecar->nonce = le64_get(h->nonce);
	sidecar->session = le64_get(h->session);
	sidecar->crash_generation = le64_get(h->crash_generation);
	sidecar->crash_nbytes = le64_get(h->crash_nbytes);
	sidecar->armed_sectors = le32_get(h->armed_sectors);
}

/*
 * One section, its stored bytes at *offset or (where an unknown feature may have put
 * something between) after it; moves *offset past them.
 */
static int read_section(const struct decoder *d, const struct bmf_disk_section *entry,
			uint64_t *offset, struct bmf_sidecar *sidecar)
{
	uint64_t begin = le64_get(entry->offset), nbytes = le64_get(entry->stored_nbytes);
	uint64_t first, n, blocks_max = UINT64_C(1) << (BMF_OFFSET_BITS - sidecar->block_shift);
	struct bmf_bits *bits;
	uint8_t digest[16];
	int r;

	if (begin < *offset || (d->strict && begin != *offset) || begin > d->nbytes ||
	    nbytes > d->nbytes - begin)
		return damaged(d, "a section is out of place");
	if (d->strict && le32_get(entry->reserved))
		return damaged(d, "a section has bits set that must be clear");
	bmf_digest(d->file + begin, (size_t)nbytes, digest);
	if (memcmp(digest, entry->digest, sizeof(digest)) != 0)
		return damaged(d, "a section's checksum is wrong");
	r = bmf_payload_unpack(d->file + begin, nbytes, le64_get(entry->raw_nbytes),
			       le32_get(entry->encoding), &bits);
	if (r == -EBADMSG)
		return damaged(d, "a section's bits can't be read");
	if (r < 0)
		return r;
	if (bmf_bits_next(bits, blocks_max, BMF_BITS_MAX, &first, &n))
		r = damaged(d, "a section has blocks that no file can have");
	else
		r = bmf_sidecar_add_section(sidecar, le64_get(entry->first), le64_get(entry->last),
					    bits);
	if (r < 0) {
		bmf_bits_free(bits);
		return r;
	}
	*offset = begin + nbytes;
	return 0;
}

static int read_sections(const struct decoder *d, struct bmf_sidecar *sidecar)
{
	uint64_t table = le64_get(d->header.table_offset),
		 nsections = le32_get(d->header.nsections);
	uint64_t offset = table + nsections * sizeof(struct bmf_disk_section);

	for (uint64_t i = 0; i < nsections; i++) {
		struct bmf_disk_section entry;
		int r;

		memcpy(&entry, d->file + table + i * sizeof(entry), sizeof(entry));
		r = read_section(d, &entry, &offset, sidecar);
		if (r < 0)
			return r;
	}
	if (d->strict && offset != d->nbytes)
		return damaged(d, "there is something after its last section");
	return 0;
}

/* Regions that no file can have are left out, whatever the map says of them. */
static int read_armed(const struct decoder *d, struct bmf_sidecar *sidecar)
{
	return bmf_armed_decode(d->file + BMF_ARMED_MAP_OFFSET, sidecar->armed_sectors,
				sidecar->nonce, bmf_armed_regions_max(sidecar->region_shift),
				sidecar->armed, &sidecar->in_use);
}

static int read_all(struct decoder *d, struct bmf_sidecar *sidecar)
{
	int r;

	read_header(d, sidecar);
	/* shifts are used below, so the two bounds can't wait for the whole's validity */
	if (sidecar->block_shift < BMF_BLOCK_SHIFT_MIN ||
	    sidecar->block_shift > BMF_BLOCK_SHIFT_MAX ||
	    sidecar->region_shift > BMF_REGION_SHIFT_MAX)
		return damaged(d, "its block or region size is out of range");
	r = read_sections(d, sidecar);
	if (r < 0)
		return r;
	if (!bmf_sidecar_is_valid(sidecar))
		return damaged(d, "its header contradicts itself or its sections");
	return read_armed(d, sidecar);
}

int bmf_sidecar_decode_named(const void *buf, size_t nbytes, const char *name,
			     struct bmf_sidecar **ret, struct bmf_error *err)
{
	struct decoder d = { .file = buf, .nbytes = nbytes, .name = name, .err = err };
	struct bmf_sidecar *sidecar;
	int r;

	r = read_envelope(&d);
	if (r == 0)
		r = check_layout(&d);
	if (r < 0)
		return r;
	sidecar = bmf_sidecar_new();
	r = sidecar ? read_all(&d, sidecar) : -ENOMEM;
	if (r < 0) {
		bmf_sidecar_free(sidecar);
		if (r == -ENOMEM)
			bmf_error_set(err, r, "read '%s': out of memory", name);
		return r;
	}
	*ret = sidecar;
	return 0;
}

int bmf_sidecar_decode(const void *buf, size_t nbytes, struct bmf_sidecar **ret,
		       struct bmf_error *err)
{
	return bmf_sidecar_decode_named(buf, nbytes, "sidecar", ret, err);
}

int bmf_sidecar_peek(const void *buf, size_t nbytes, const char *name, uint64_t *ret_file_nbytes,
		     struct bmf_error *err)
{
	struct decoder d = { .file = buf, .nbytes = nbytes, .name = name, .err = err };
	int r = read_envelope(&d);

	if (r < 0)
		return r;
	*ret_file_nbytes = le64_get(d.header.file_nbytes);
	return 0;
}
