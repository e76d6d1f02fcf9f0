/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sidecars.c - sidecars for tests: made, compared, and their bytes tampered with */
#include "config.h"

#include "tests/unit/sidecars.h"

#include <check.h>
#include <stdlib.h>

struct bmf_uuid sidecars_uuid(uint8_t first)
{
	struct bmf_uuid uuid;

	for (size_t i = 0; i < sizeof(uuid.b); i++)
		uuid.b[i] = (uint8_t)(first + i);
	return uuid;
}

static struct bmf_bits *add_empty(struct bmf_sidecar *sidecar, uint64_t first, uint64_t last)
{
	struct bmf_bits *bits = bmf_bits_new();

	ck_assert_ptr_nonnull(bits);
	ck_assert_int_eq(bmf_sidecar_add_section(sidecar, first, last, bits), 0);
	return bits;
}

struct bmf_sidecar *sidecars_sample(void)
{
	static const uint64_t armed[] = { 0, 4030, 4031, 40000 };
	struct bmf_sidecar *sidecar = bmf_sidecar_new();
	struct bmf_bits *bits;

	ck_assert_ptr_nonnull(sidecar);
	sidecar->image = sidecars_uuid(0x10);
	sidecar->source = sidecars_uuid(0xa0);
	sidecar->since = 3;
	sidecar->active = 7;
	sidecar->reason = BMF_REASON_BEHIND;
	sidecar->suspect = true;
	sidecar->in_use = true;
	sidecar->stamp = (struct bmf_stamp){
		.inode = 0x1122334455667788,
		.handle = 0x99aabbccddeeff00,
		.size = 1100000000000,
		.mtime_ns = INT64_C(1700000000123456789),
		.ctime_ns = -1,
	};
	sidecar->session = 0x5152535455565758;
	sidecar->crash_generation = 6;
	sidecar->crash_nbytes = 0x6162636465;
	bits = add_empty(sidecar, 3, 4);
	ck_assert_int_eq(bmf_bits_set(bits, 0, 3 * BMF_BITS_CHUNK), 0);
	add_empty(sidecar, 5, 6);
	bits = add_empty(sidecar, 7, 7);
	ck_assert_int_eq(bmf_bits_set(bits, BMF_BITS_CHUNK, BMF_BITS_CHUNK), 0);
	ck_assert_int_eq(bmf_bits_set(bits, 4 * BMF_BITS_CHUNK, BMF_BITS_CHUNK), 0);
	for (size_t i = 0; i < sizeof(armed) / sizeof(armed[0]); i++)
		ck_assert_int_eq(bmf_bits_set(sidecar->armed, armed[i], 1), 0);
	return sidecar;
}

struct bmf_sidecar *sidecars_packed_sample(void)
{
	struct bmf_sidecar *sidecar = sidecars_sample();
	struct bmf_bits *bits = sidecar->sections[1].bits;

	for (uint64_t block = 1; block < 5 * BMF_BITS_CHUNK; block += 3)
		ck_assert_int_eq(bmf_bits_set(bits, block, 1), 0);
	return sidecar;
}

static void set_random(struct bmf_bits *bits, struct rng *rng, uint64_t below, uint64_t nruns)
{
	for (; nruns > 0; nruns--) {
		uint64_t first = rng_below(rng, below), n = 1 + rng_below(rng, below - first);

		/* short runs more often than long ones */
		n = 1 + (n >> rng_below(rng, 20));
		if (n > below - first)
			n = below - first;
		ck_assert_int_eq(bmf_bits_set(bits, first, n), 0);
	}
}

struct bmf_sidecar *sidecars_random(struct rng *rng, uint64_t nblocks)
{
	struct bmf_sidecar *sidecar = bmf_sidecar_new();
	uint64_t nsections = 1 + rng_below(rng, 6), generation = rng_below(rng, 5);

	ck_assert_ptr_nonnull(sidecar);
	sidecar->image = sidecars_uuid((uint8_t)rng_next(rng));
	sidecar->source = sidecars_uuid((uint8_t)rng_next(rng));
	sidecar->block_shift = BMF_BLOCK_SHIFT_MIN + (unsigned int)rng_below(rng, 10);
	sidecar->region_shift = sidecar->block_shift + (unsigned int)rng_below(rng, 10);
	sidecar->reason = (enum bmf_reason)rng_below(rng, BMF_REASON_LAST + 1);
	sidecar->suspect = rng_below(rng, 2);
	sidecar->in_use = rng_below(rng, 2);
	sidecar->stamp = (struct bmf_stamp){
		.inode = rng_next(rng),
		.handle = rng_next(rng),
		.size = rng_next(rng),
		.mtime_ns = (int64_t)rng_next(rng),
		.ctime_ns = (int64_t)rng_next(rng),
	};
	sidecar->session = rng_next(rng);
	sidecar->crash_generation = rng_next(rng);
	sidecar->crash_nbytes = rng_next(rng);
	sidecar->since = generation;
	for (uint64_t i = 0; i < nsections; i++) {
		uint64_t last = generation + rng_below(rng, 3);
		struct bmf_bits *bits = add_empty(sidecar, generation, last);

		set_random(bits, rng, nblocks, rng_below(rng, 30));
		sidecar->active = last;
		generation = last + 1;
	}
	set_random(sidecar->armed, rng, nblocks < 100000 ? nblocks : 100000, rng_below(rng, 20));
	return sidecar;
}

void sidecars_check_bits_equal(const struct bmf_bits *a, const struct bmf_bits *b)
{
	size_t a_nbytes, b_nbytes;
	void *a_buf, *b_buf;

	/* a set has one encoding */
	ck_assert_int_eq(bmf_bits_encode(a, &a_buf, &a_nbytes), 0);
	ck_assert_int_eq(bmf_bits_encode(b, &b_buf, &b_nbytes), 0);
	ck_assert_uint_eq(a_nbytes, b_nbytes);
	ck_assert(a_nbytes == 0 || memcmp(a_buf, b_buf, a_nbytes) == 0);
	free(a_buf);
	free(b_buf);
}

void sidecars_check_equal(const struct bmf_sidecar *a, const struct bmf_sidecar *b)
{
	ck_assert(bmf_uuid_equal(&a->image, &b->image));
	ck_assert(bmf_uuid_equal(&a->source, &b->source));
	ck_assert_uint_eq(a->block_shift, b->block_shift);
	ck_assert_uint_eq(a->region_shift, b->region_shift);
	ck_assert_uint_eq(a->since, b->since);
	ck_assert_uint_eq(a->active, b->active);
	ck_assert_int_eq(a->reason, b->reason);
	ck_assert_int_eq(a->suspect, b->suspect);
	ck_assert_int_eq(a->in_use, b->in_use);
	ck_assert_uint_eq(a->stamp.inode, b->stamp.inode);
	ck_assert_uint_eq(a->stamp.handle, b->stamp.handle);
	ck_assert_uint_eq(a->stamp.size, b->stamp.size);
	ck_assert_int_eq(a->stamp.mtime_ns, b->stamp.mtime_ns);
	ck_assert_int_eq(a->stamp.ctime_ns, b->stamp.ctime_ns);
	ck_assert_uint_eq(a->nonce, b->nonce);
	ck_assert_uint_eq(a->session, b->session);
	ck_assert_uint_eq(a->crash_generation, b->crash_generation);
	ck_assert_uint_eq(a->crash_nbytes, b->crash_nbytes);
	ck_assert_uint_eq(a->armed_sectors, b->armed_sectors);
	ck_assert_uint_eq(a->nsections, b->nsections);
	for (size_t i = 0; i < a->nsections; i++) {
		ck_assert_uint_eq(a->sections[i].first, b->sections[i].first);
		ck_assert_uint_eq(a->sections[i].last, b->sections[i].last);
		sidecars_check_bits_equal(a->sections[i].bits, b->sections[i].bits);
	}
	sidecars_check_bits_equal(a->armed, b->armed);
}

bool sidecars_bits_contain(const struct bmf_bits *whole, const struct bmf_bits *part)
{
	uint64_t from = 0, first, n;

	for (; bmf_bits_next(part, from, BMF_BITS_MAX, &first, &n); from = first + n)
		if (!bmf_bits_test_all(whole, first, n))
			return false;
	return true;
}

struct bmf_sidecar *sidecars_decode(const void *buf, size_t nbytes)
{
	struct bmf_sidecar *sidecar = NULL;
	struct bmf_error err = { 0 };
	int r = bmf_sidecar_decode(buf, nbytes, &sidecar, &err);

	ck_assert_msg(r == 0, "decode: %d, %s", r, err.text);
	return sidecar;
}

struct sidecars_file sidecars_encode(struct bmf_sidecar *sidecar)
{
	struct sidecars_file file;
	void *buf;

	ck_assert_int_eq(bmf_sidecar_encode(sidecar, &buf, &file.nbytes), 0);
	file.buf = buf;
	return file;
}

struct bmf_disk_header *sidecars_header(struct sidecars_file *file)
{
	return (struct bmf_disk_header *)file->buf;
}

struct bmf_disk_section *sidecars_entry(struct sidecars_file *file, size_t i)
{
	uint64_t table = le64_get(sidecars_header(file)->table_offset);

	return (struct bmf_disk_section *)(file->buf + table) + i;
}

void sidecars_reseal(struct sidecars_file *file)
{
	struct bmf_disk_header *header = sidecars_header(file);
	uint64_t table = le64_get(header->table_offset), nsections = le32_get(header->nsections);
	struct bmf_disk_section *entry;

	for (uint64_t i = 0; i < nsections; i++) {
		uint64_t offset, n;

		if (table > file->nbytes || (i + 1) * sizeof(*entry) > file->nbytes - table)
			break;
		entry = sidecars_entry(file, i);
		offset = le64_get(entry->offset);
		n = le64_get(entry->stored_nbytes);
		if (offset <= file->nbytes && n <= file->nbytes - offset)
			bmf_digest(file->buf + offset, n, entry->digest);
	}
	if (table <= file->nbytes && nsections <= (file->nbytes - table) / sizeof(*entry))
		bmf_digest(file->buf + table, nsections * sizeof(*entry), header->table_digest);
	memset(header->digest, 0, sizeof(header->digest));
	bmf_digest(header, sizeof(*header), header->digest);
}
