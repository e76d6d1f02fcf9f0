/* SPDX-License-Identifier: GPL-2.0-or-later */
/* section_codec.c - the bits of one section as they are stored, packed with zstd where it pays */
#include "config.h"

#include "bitmapfile/format.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define ZSTD_LEVEL 3

/*
 * Below this nothing is to be won.  It also makes the bytes of small sidecars the
 * same with every version of zstd, which the golden files need.
 */
#define ZSTD_FROM_NBYTES 128

/* Fills in *payload from raw if zstd makes it smaller; else leaves it as it is.  0 or -ENOMEM. */
static int try_zstd(struct bmf_payload *payload)
{
	size_t bound = ZSTD_compressBound(payload->raw_nbytes);
	size_t nbytes;
	void *buf = malloc(bound), *fitting;

	if (!buf)
		return -ENOMEM;
	nbytes = ZSTD_compress(buf, bound, payload->buf, payload->raw_nbytes, ZSTD_LEVEL);
	/* zstd fails for want of memory only, and then raw is as good; so it is past the ratio */
	if (ZSTD_isError(nbytes) || nbytes >= payload->raw_nbytes ||
	    nbytes < payload->raw_nbytes / BMF_SECTION_RATIO_MAX + 1) {
		free(buf);
		return 0;
	}
	fitting = realloc(buf, nbytes);
	free(payload->buf);
	payload->buf = fitting ? fitting : buf;
	payload->nbytes = nbytes;
	payload->encoding = BMF_ENCODING_ZSTD;
	return 0;
}

int bmf_payload_pack(const struct bmf_bits *bits, struct bmf_payload *ret)
{
	struct bmf_payload payload = { .encoding = BMF_ENCODING_RAW };
	int r;

	r = bmf_bits_encode(bits, &payload.buf, &payload.raw_nbytes);
	if (r < 0)
		return r;
	payload.nbytes = payload.raw_nbytes;
	if (payload.raw_nbytes >= ZSTD_FROM_NBYTES) {
		r = try_zstd(&payload);
		if (r < 0) {
			free(payload.buf);
			return r;
		}
	}
	*ret = payload;
	return 0;
}

/* Nothing of that size is allocated before the frame itself confirms it. */
static int unpack_zstd(const void *stored, size_t stored_nbytes, uint64_t raw_nbytes,
		       struct bmf_bits **ret)
{
	void *raw;
	size_t got;
	int r;

	if (stored_nbytes >= raw_nbytes || raw_nbytes > SIZE_MAX ||
	    raw_nbytes / BMF_SECTION_RATIO_MAX >= stored_nbytes)
		return -EBADMSG;
	if (ZSTD_getFrameContentSize(stored, stored_nbytes) != raw_nbytes ||
	    ZSTD_findFrameCompressedSize(stored, stored_nbytes) != stored_nbytes)
		return -EBADMSG;
	raw = malloc(raw_nbytes);
	if (!raw)
		return -ENOMEM;
	got = ZSTD_decompress(raw, raw_nbytes, stored, stored_nbytes);
	if (ZSTD_isError(got) && ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation)
		r = -ENOMEM; /* says nothing of the file */
	else if (ZSTD_isError(got) || got != raw_nbytes)
		r = -EBADMSG;
	else
		r = bmf_bits_decode(raw, raw_nbytes, ret);
	free(raw);
	return r;
}

int bmf_payload_unpack(const void *stored, uint64_t stored_nbytes, uint64_t raw_nbytes,
		       uint32_t encoding, struct bmf_bits **ret)
{
	switch (encoding) {
	case BMF_ENCODING_RAW:
		return stored_nbytes == raw_nbytes
			       ? bmf_bits_decode(stored, (size_t)stored_nbytes, ret)
			       : -EBADMSG;
	case BMF_ENCODING_ZSTD:
		return unpack_zstd(stored, (size_t)stored_nbytes, raw_nbytes, ret);
	default:
		return -EBADMSG;
	}
}
