/* SPDX-License-Identifier: GPL-2.0-or-later */
/* streamseal.c - makes the checksums of a delta stream right, whatever it says */
#include "config.h"

#include "tests/unit/streamseal.h"

#include "tools/stream_format.h"

struct seal {
	uint8_t *buf;
	XXH3_state_t *digest, *content;
	struct stream_totals totals;
};

static void seal_header(uint8_t *buf)
{
	struct stream_disk_header disk;

	memcpy(&disk, buf, sizeof(disk));
	memset(disk.digest, 0, sizeof(disk.digest));
	bmf_canonical(XXH3_128bits(&disk, sizeof(disk)), disk.digest);
	memcpy(buf, &disk, sizeof(disk));
}

static void seal_footer(struct seal *seal, uint8_t *payload)
{
	const struct stream_totals *totals = &seal->totals;
	struct stream_disk_footer disk = {
		.nodes = le64_make(totals->nodes),
		.links = le64_make(totals->links),
		.contents = le64_make(totals->contents),
		.records = le64_make(totals->records),
		.raw_nbytes = le64_make(totals->raw_nbytes),
		.stored_nbytes = le64_make(totals->stored_nbytes),
		.zero_nbytes = le64_make(totals->zero_nbytes),
	};

	bmf_canonical(XXH3_128bits_digest(seal->digest), disk.digest);
	memcpy(payload, &disk, sizeof(disk));
}

static void seal_content_end(struct seal *seal, uint8_t *payload)
{
	struct stream_disk_content_end disk;

	memcpy(&disk, payload, sizeof(disk));
	bmf_canonical(XXH3_128bits_digest(seal->content), disk.digest);
	memcpy(payload, &disk, sizeof(disk));
}

static void count_data(struct stream_totals *totals, const uint8_t *payload, size_t nbytes)
{
	struct stream_disk_data disk;

	if (nbytes < sizeof(disk))
		return;
	memcpy(&disk, payload, sizeof(disk));
	totals->raw_nbytes += le32_get(disk.raw_nbytes);
	totals->stored_nbytes += nbytes - sizeof(disk);
}

static void count_zero(struct stream_totals *totals, const uint8_t *payload, size_t nbytes)
{
	struct stream_disk_zero disk;

	if (nbytes < sizeof(disk))
		return;
	memcpy(&disk, payload, sizeof(disk));
	totals->zero_nbytes += le64_get(disk.nbytes);
}

static void seal_payload(struct seal *seal, size_t at, unsigned int type, size_t nbytes)
{
	uint8_t *payload = seal->buf + at + sizeof(struct stream_disk_head);

	switch (type) {
	case STREAM_NODE:
		seal->totals.nodes++;
		break;
	case STREAM_LINK:
		seal->totals.links++;
		break;
	case STREAM_CONTENT:
		seal->totals.contents++;
		XXH3_128bits_reset(seal->content);
		break;
	case STREAM_DATA:
		count_data(&seal->totals, payload, nbytes);
		break;
	case STREAM_ZERO:
		count_zero(&seal->totals, payload, nbytes);
		break;
	case STREAM_CONTENT_END:
		if (nbytes == sizeof(struct stream_disk_content_end))
			seal_content_end(seal, payload);
		break;
	case STREAM_FOOTER:
		if (nbytes == sizeof(struct stream_disk_footer))
			seal_footer(seal, payload);
		break;
	default:
		break;
	}
}

static void seal_records(struct seal *seal, size_t nbytes)
{
	size_t at = sizeof(struct stream_disk_header);

	while (nbytes - at >= STREAM_RECORD_EXTRA) {
		struct stream_disk_head head;
		struct stream_disk_check check;
		size_t payload_nbytes;

		memcpy(&head, seal->buf + at, sizeof(head));
		payload_nbytes = le32_get(head.payload_nbytes);
		if (payload_nbytes > nbytes - at - STREAM_RECORD_EXTRA)
			return;
		seal_payload(seal, at, le16_get(head.type), payload_nbytes);
		check = stream_check(seal->buf + at, sizeof(head) + payload_nbytes,
				     seal->totals.records++);
		memcpy(seal->buf + at + sizeof(head) + payload_nbytes, &check, sizeof(check));
		XXH3_128bits_update(seal->digest, &check, sizeof(check));
		XXH3_128bits_update(seal->content, &check, sizeof(check));
		at += STREAM_RECORD_EXTRA + payload_nbytes;
	}
}

void streamseal(uint8_t *buf, size_t nbytes)
{
	struct seal seal = { .buf = buf,
			     .digest = XXH3_createState(),
			     .content = XXH3_createState() };

	if (seal.digest && seal.content && nbytes >= sizeof(struct stream_disk_header)) {
		seal_header(buf);
		XXH3_128bits_reset(seal.digest);
		XXH3_128bits_reset(seal.content);
		XXH3_128bits_update(seal.digest, buf, sizeof(struct stream_disk_header));
		seal_records(&seal, nbytes);
	}
	XXH3_freeState(seal.digest);
	XXH3_freeState(seal.content);
}
