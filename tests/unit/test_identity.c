/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_identity.c - identity.h: the id in the xattr, and stamps */
#include "config.h"

#include "bitmapfile/identity.h"
#include "bitmapfile/store.h"
#include "tests/unit/faultio.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct bmf_io *const io = &bmf_io_posix;

static int create(const char *name)
{
	int fd = openat(scratch_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void put_xattr(int fd, const char *text)
{
	ck_assert_int_eq(io->fsetxattr(io, fd, BMF_XATTR_ID, text, strlen(text), 0), 0);
}

START_TEST(an_id_stays_with_the_file)
{
	int fd = create("id"), path_fd = openat(scratch_fd, "id", O_PATH), linked;
	struct bmf_uuid id, got = { { 1 } };
	char text[BMF_UUID_TEXT], raw[64];

	ck_assert_int_eq(bmf_uuid_generate(&id), 0);
	ck_assert_int_eq(bmf_identity_read(io, fd, &got), -ENODATA);
	ck_assert_int_eq(bmf_identity_read(io, path_fd, &got), -ENODATA);
	ck_assert_int_eq(got.b[0], 1);
	ck_assert_int_eq(bmf_identity_write(io, path_fd, &id), 0);
	ck_assert_int_eq(bmf_identity_read(io, fd, &got), 0);
	ck_assert(bmf_uuid_equal(&got, &id));
	ck_assert_int_eq(io->fgetxattr(io, fd, "user.mirrorfs.id", raw, sizeof(raw)), 36);
	ck_assert_mem_eq(raw, bmf_uuid_format(&id, text), 36);

	ck_assert_int_eq(linkat(scratch_fd, "id", scratch_fd, "linked", 0), 0);
	linked = openat(scratch_fd, "linked", O_PATH);
	ck_assert_int_eq(bmf_identity_read(io, linked, &got), 0);
	ck_assert(bmf_uuid_equal(&got, &id));
	ck_assert_int_eq(bmf_uuid_generate(&id), 0);
	ck_assert_int_eq(bmf_identity_write(io, fd, &id), 0); /* over the old one */
	ck_assert_int_eq(bmf_identity_read(io, linked, &got), 0);
	ck_assert(bmf_uuid_equal(&got, &id));
	close(linked);
	close(path_fd);
	close(fd);
}
END_TEST

START_TEST(what_is_no_id_is_refused)
{
	static const char *const texts[] = {
		"",
		"x",
		"f81d4fae-7dec-41d0-a765-00a0c91e6bf",
		"f81d4fae-7dec-41d0-a765-00a0c91e6bf67",
		"f81d4fae-7dec-41d0-a765_00a0c91e6bf6",
		"00000000-0000-0000-0000-000000000000",
	};
	struct bmf_uuid got = { { 1 } };
	int fd = create("no-id");

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		put_xattr(fd, texts[i]);
		ck_assert_int_eq(bmf_identity_read(io, fd, &got), -EINVAL);
		ck_assert_int_eq(got.b[0], 1);
	}
	close(fd);
	ck_assert_int_eq(bmf_identity_read(io, fd, &got), -EBADF);
	ck_assert_int_eq(bmf_identity_write(io, fd, &got), -EBADF);
}
END_TEST

START_TEST(errors_come_through)
{
	struct bmf_stamp stamp = { .inode = 7 };
	struct bmf_uuid id = { { 1 } };
	struct faultio fault;
	int fd = create("errors");

	faultio_init(&fault, io);
	faultio_arm(&fault, FAULTIO_ALL, 1, -EIO, FAULTIO_STICKY);
	ck_assert_int_eq(bmf_identity_read(&fault.io, fd, &id), -EIO);
	ck_assert_int_eq(bmf_identity_write(&fault.io, fd, &id), -EIO);
	ck_assert_int_eq(bmf_stamp_take(&fault.io, fd, &stamp), -EIO);
	ck_assert_uint_eq(stamp.inode, 7);
	close(fd);
}
END_TEST

static struct bmf_stamp stamp_of(int fd)
{
	struct bmf_stamp stamp;

	ck_assert_int_eq(bmf_stamp_take(io, fd, &stamp), 0);
	return stamp;
}

START_TEST(stamps_say_what_fstat_says)
{
	struct timespec times[2] = { { 5, 6 }, { -3, 999999999 } };
	int fd = create("stamp");
	struct bmf_stamp stamp;
	struct stat st;

	ck_assert_int_eq(ftruncate(fd, 123456), 0);
	ck_assert_int_eq(futimens(fd, times), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	stamp = stamp_of(fd);
	ck_assert_uint_eq(stamp.inode, st.st_ino);
	ck_assert_uint_eq(stamp.size, 123456);
	ck_assert_int_eq(stamp.mtime_ns, -3 * INT64_C(1000000000) + 999999999);
	ck_assert_int_eq(stamp.ctime_ns,
			 st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec);
	close(fd);
}
END_TEST

START_TEST(renames_and_links_are_the_same_file)
{
	int fd = create("first"), path_fd;
	struct bmf_stamp before = stamp_of(fd), after;

	ck_assert_int_eq(renameat(scratch_fd, "first", scratch_fd, "second"), 0);
	ck_assert_int_eq(linkat(scratch_fd, "second", scratch_fd, "third", 0), 0);
	path_fd = openat(scratch_fd, "third", O_PATH);
	after = stamp_of(path_fd);
	ck_assert(bmf_stamp_same_file(&before, &after));
	ck_assert_uint_eq(before.handle, after.handle);
	close(path_fd);
	close(fd);
}
END_TEST

START_TEST(another_file_is_another_file)
{
	int a = create("a"), b = create("b");
	struct bmf_stamp of_a = stamp_of(a), of_b = stamp_of(b);

	ck_assert(!bmf_stamp_same_file(&of_a, &of_b));
	ck_assert(of_a.handle == 0 || of_a.handle != of_b.handle);
	close(a);
	close(b);
}
END_TEST

START_TEST(handles_count_only_if_there_are_two)
{
	struct bmf_stamp a = { .inode = 5, .handle = 1 }, b = a;

	ck_assert(bmf_stamp_same_file(&a, &b));
	b.handle = 2; /* the inode number was used again */
	ck_assert(!bmf_stamp_same_file(&a, &b));
	b.handle = 0;
	ck_assert(bmf_stamp_same_file(&a, &b));
	ck_assert(bmf_stamp_same_file(&b, &a));
	b.inode = 6;
	ck_assert(!bmf_stamp_same_file(&a, &b));
	b.handle = 1;
	ck_assert(!bmf_stamp_same_file(&a, &b));
}
END_TEST

START_TEST(each_part_of_a_stamp_counts)
{
	const struct bmf_stamp a = { 1, 2, 3, 4, 5 };
	struct bmf_stamp b = a;

	ck_assert(bmf_stamp_equal(&a, &b));
	b.inode++;
	ck_assert(!bmf_stamp_equal(&a, &b));
	b = a;
	b.handle++;
	ck_assert(!bmf_stamp_equal(&a, &b));
	b = a;
	b.size++;
	ck_assert(!bmf_stamp_equal(&a, &b));
	b = a;
	b.mtime_ns++;
	ck_assert(!bmf_stamp_equal(&a, &b));
	b = a;
	b.ctime_ns++;
	ck_assert(!bmf_stamp_equal(&a, &b));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("identity");
	TCase *tc = tcase_create("identity");

	tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, an_id_stays_with_the_file);
	tcase_add_test(tc, what_is_no_id_is_refused);
	tcase_add_test(tc, errors_come_through);
	tcase_add_test(tc, stamps_say_what_fstat_says);
	tcase_add_test(tc, renames_and_links_are_the_same_file);
	tcase_add_test(tc, another_file_is_another_file);
	tcase_add_test(tc, handles_count_only_if_there_are_two);
	tcase_add_test(tc, each_part_of_a_stamp_counts);
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
