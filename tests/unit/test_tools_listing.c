/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_tools_listing.c - listing.h: as the format's page has it, and damaged not at all */
#include "config.h"

#include "tests/unit/golden.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"
#include "tools/listing.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct bmf_uuid uuid_of(uint8_t byte)
{
	struct bmf_uuid uuid;

	memset(uuid.b, byte, sizeof(uuid.b));
	return uuid;
}

static struct listing make(uint8_t checkpoint)
{
	struct listing listing = { .source = uuid_of(0xa0),
				   .checkpoint = uuid_of(checkpoint),
				   .number = checkpoint };
	struct bmf_uuid one = uuid_of(1), two = uuid_of(2), none = { { 0 } };

	ck_assert_int_eq(listing_add(&listing, &one, "vm/disk.img", UINT64_C(1) << 40), 0);
	ck_assert_int_eq(listing_add(&listing, &two, "a", 17), 0);
	ck_assert_int_eq(listing_add(&listing, &one, "link", UINT64_C(1) << 40), 0);
	ck_assert_int_eq(listing_add(&listing, &none, "new\nline", 0), 0);
	return listing;
}

START_TEST(comes_back_as_written)
{
	struct listing a = make(3), b;
	struct bmf_uuid one = uuid_of(1);
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(listing_encode(&a, &buf, &nbytes), 0);
	golden_check("named-v1.hex", buf, nbytes);
	ck_assert_int_eq(listing_decode(buf, nbytes, &b, NULL), 0);
	ck_assert(bmf_uuid_equal(&a.source, &b.source));
	ck_assert(bmf_uuid_equal(&a.checkpoint, &b.checkpoint));
	ck_assert_uint_eq(b.number, 3);
	ck_assert_uint_eq(b.n, 4);
	ck_assert_uint_eq(listing_find(&b, "a")->size, 17);
	ck_assert(bmf_uuid_equal(&listing_find(&b, "link")->image, &one));
	ck_assert_uint_eq(listing_find(&b, "vm/disk.img")->size, UINT64_C(1) << 40);
	ck_assert(bmf_uuid_is_none(&listing_find(&b, "new\nline")->image));
	ck_assert_ptr_null(listing_find(&b, "vm"));
	listing_destroy(&b);
	ck_assert_ptr_null(listing_find(&b, "a"));
	listing_destroy(&a);
	free(buf);
}
END_TEST

START_TEST(damage_is_found)
{
	struct listing a = make(3), b;
	struct bmf_error err;
	size_t nbytes;
	uint8_t *buf;

	ck_assert_int_eq(listing_encode(&a, (void **)&buf, &nbytes), 0);
	for (size_t i = 0; i < nbytes; i++) {
		buf[i] ^= 0x10;
		ck_assert_int_eq(listing_decode(buf, nbytes, &b, &err), -EBADMSG);
		buf[i] ^= 0x10;
		ck_assert_int_eq(listing_decode(buf, i, &b, &err), -EBADMSG);
	}
	free(buf);
	listing_destroy(&a);
}
END_TEST

/* Whole, and yet nonsense. */
START_TEST(one_name_for_two)
{
	struct listing a = make(3), b;
	struct bmf_uuid three = uuid_of(3);
	struct bmf_error err;
	size_t nbytes;
	void *buf;

	ck_assert_int_eq(listing_add(&a, &three, "a", 17), 0);
	ck_assert_int_eq(listing_encode(&a, &buf, &nbytes), 0);
	ck_assert_int_eq(listing_decode(buf, nbytes, &b, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "makes no sense"));
	free(buf);
	listing_destroy(&a);
}
END_TEST

static struct bmf_state *state;

static int read_state(void *arg, struct bmf_state **ret)
{
	(void)arg;
	return bmf_state_copy(state, ret);
}

static bool is_there(uint8_t checkpoint, const char *suffix)
{
	struct bmf_uuid uuid = uuid_of(checkpoint);
	char text[BMF_UUID_TEXT], path[80];
	struct stat st;

	snprintf(path, sizeof(path), "named/%s%s", bmf_uuid_format(&uuid, text), suffix);
	return fstatat(scratch_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Another checkpoint's is no list of ours, whatever its name; what nobody has is swept away. */
START_TEST(belongs_to_its_checkpoint)
{
	struct listing listing = make(1), found;
	struct bmf_checkpoint one = { .number = 1, .uuid = uuid_of(1) };
	struct bmf_checkpoint again = { .number = 2, .uuid = uuid_of(1) };
	struct bmf_uuid uuid = uuid_of(1);
	struct bmf_error err;

	ck_assert_int_eq(bmf_state_new(16, &state), 0);
	state->source = uuid_of(0xa0);
	ck_assert_int_eq(bmf_state_add_checkpoint(state, &uuid, 0, NULL), 0);
	listing_sweep(scratch_fd, read_state, NULL);
	ck_assert_int_eq(listing_load(scratch_fd, state, &one, &found, &err), -ENOENT);
	ck_assert_int_eq(listing_save(scratch_fd, &listing), 0);
	listing_destroy(&listing);
	ck_assert_int_eq(listing_load(scratch_fd, state, &again, &found, &err), -EBADMSG);
	ck_assert_int_eq(listing_load(scratch_fd, state, &one, &found, &err), 0);
	listing_destroy(&found);
	state->source = uuid_of(0xa1);
	ck_assert_int_eq(listing_load(scratch_fd, state, &one, &found, &err), -EBADMSG);

	listing = make(2);
	ck_assert_int_eq(listing_save(scratch_fd, &listing), 0);
	listing_destroy(&listing);
	ck_assert_int_eq(renameat(scratch_fd, "named/02020202-0202-0202-0202-020202020202",
				  scratch_fd, "named/02020202-0202-0202-0202-020202020202.tmp"),
			 0);
	listing = make(3);
	ck_assert_int_eq(listing_save(scratch_fd, &listing), 0);
	listing_destroy(&listing);
	listing_sweep(scratch_fd, read_state, NULL);
	ck_assert(is_there(1, ""));
	ck_assert(!is_there(2, ".tmp"));
	ck_assert(!is_there(3, ""));
	listing_remove(scratch_fd, &uuid);
	ck_assert(!is_there(1, ""));
	bmf_state_free(state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listing");
	TCase *tcase = tcase_create("listing");

	tcase_add_checked_fixture(tcase, scratch_make, scratch_remove);
	tcase_add_test(tcase, comes_back_as_written);
	tcase_add_test(tcase, damage_is_found);
	tcase_add_test(tcase, one_name_for_two);
	tcase_add_test(tcase, belongs_to_its_checkpoint);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
