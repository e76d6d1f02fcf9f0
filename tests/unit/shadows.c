/* SPDX-License-Identifier: GPL-2.0-or-later */
/* shadows.c - snapshots of imageworld's image, and copies of what they have to show */
#include "config.h"

#include "tests/unit/shadows.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

struct shadow shadows[NSNAPSHOTS];
unsigned char shadow_got[MAX_BYTES];
const struct bmf_uuid shadow_replica = { { 1 } };

void fill_blocks(size_t nblocks)
{
	for (size_t b = 0; b < nblocks; b++)
		random_write(b * BLOCK, BLOCK);
}

void shadow_take(struct shadow *s, uint64_t from)
{
	struct mfs_control_commit message = { .flags = MFS_COMMIT_HOLD,
					      .replica = shadow_replica,
					      .from = from };

	s->size = image_read(s->content);
	ck_assert_int_eq(mfs_rollover(&image_fs, NULL, &message), 0);
	s->checkpoint = (struct bmf_checkpoint){ .number = message.number, .uuid = message.uuid };
	s->partial = from != 0;
	memcpy(s->name, message.name, sizeof(s->name));
	s->snapshot = mfs_snapshot_get(&image_fs, s->name);
	ck_assert_ptr_nonnull(s->snapshot);
	s->image = mfs_snapshot_tree_find(mfs_snapshot_top(s->snapshot), "image")->image;
}

void shadow_drop(struct shadow *s)
{
	ck_assert_int_eq(mfs_snapshot_delete(&image_fs, s->name), 0);
	ck_assert(!mfs_snapshot_use(s->snapshot));
	mfs_snapshot_unref(s->snapshot, 1);
	s->snapshot = NULL;
}

void shadows_drop(void)
{
	for (int i = 0; i < NSNAPSHOTS; i++)
		if (shadows[i].snapshot)
			shadow_drop(&shadows[i]);
}

uint64_t shadow_preserved(const struct shadow *s)
{
	struct mfs_control_snapshot_info info = { 0 };

	memcpy(info.name, s->name, sizeof(info.name));
	ck_assert_int_eq(mfs_snapshot_info(&image_fs, &info), 0);
	return info.preserved;
}

void shadow_check_range(const struct shadow *s, size_t offset, size_t n)
{
	ssize_t r = mfs_snapshot_image_read(s->image, shadow_got, n, (off_t)offset);
	size_t expected = offset >= s->size ? 0 : s->size - offset < n ? s->size - offset : n;

	if (r == -ENODATA && s->partial) {
		bool unneeded = false;

		for (size_t b = offset / BLOCK; b * BLOCK < offset + n && b < NBLOCKS; b++)
			unneeded |= !s->needed[b];
		ck_assert_msg(unneeded, "[%zu, +%zu) was needed, and is lost", offset, n);
		return;
	}
	ck_assert_msg(r == (ssize_t)expected, "read [%zu, +%zu) of %zu: %zd", offset, n, s->size,
		      r);
	/* not an assertion for each byte: check notes every one that it comes by */
	for (size_t i = 0; i < expected; i++)
		if (shadow_got[i] != s->content[offset + i])
			ck_abort_msg("byte %zu of block %zu is new", (offset + i) % BLOCK,
				     (offset + i) / BLOCK);
}

void shadow_check_all(const struct shadow *s)
{
	if (!s->partial) {
		shadow_check_range(s, 0, MAX_BYTES);
		return;
	}
	for (size_t b = 0; b < NBLOCKS; b++)
		shadow_check_range(s, b * BLOCK, BLOCK);
}

void shadow_check_seek(const struct shadow *s)
{
	off_t at = 0, size = (off_t)s->size, data, hole;

	while (at < size) {
		data = mfs_snapshot_image_seek(s->image, at, SEEK_DATA);
		if (data == -ENXIO)
			data = size;
		ck_assert_int_ge(data, at);
		for (off_t i = at; i < data; i++)
			if (s->content[i] != 0)
				ck_abort_msg("byte %jd is in a hole", (intmax_t)i);
		if (data == size)
			break;
		hole = mfs_snapshot_image_seek(s->image, data, SEEK_HOLE);
		ck_assert_int_gt(hole, data);
		ck_assert_int_le(hole, size);
		at = hole;
	}
	ck_assert_int_eq(mfs_snapshot_image_seek(s->image, size, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(mfs_snapshot_image_seek(s->image, size, SEEK_HOLE), -ENXIO);
}
