/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stores.c - what the tests of store.c share */
#include "config.h"

#include "tests/unit/stores.h"

#include "tests/unit/scratch.h"
#include "tests/unit/sidecars.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct faultio stores_io;

int stores_open_result(unsigned int flags, const char *holder, struct bmf_store **ret,
		       struct bmf_error *err)
{
	if (!stores_io.under)
		faultio_init(&stores_io, &bmf_io_posix);
	return bmf_store_open(&stores_io.io, scratch_fd, flags, holder, ret, err);
}

struct bmf_store *stores_open(unsigned int flags)
{
	struct bmf_store *store = NULL;
	struct bmf_error err = { 0 };
	int r = stores_open_result(flags, "a test", &store, &err);

	ck_assert_msg(r == 0, "open: %d %s", r, err.text);
	return store;
}

void stores_close(struct bmf_store *store)
{
	bmf_store_close(store);
	ck_assert_int_eq(faultio_open_fds(&stores_io), 0);
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	ck_assert_msg(fstatat(scratch_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s: %m", name);
	return st;
}

mode_t stores_mode(const char *name)
{
	return stat_of(name).st_mode;
}

off_t stores_size(const char *name)
{
	return stat_of(name).st_size;
}

bool stores_exists(const char *name)
{
	return faccessat(scratch_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void stores_write(const char *name, const void *buf, size_t nbytes)
{
	int fd = openat(scratch_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_msg(fd >= 0, "%s: %m", name);
	ck_assert_int_eq(write(fd, buf, nbytes), (ssize_t)nbytes);
	close(fd);
}

void stores_resize(const char *name, off_t nbytes)
{
	int fd = openat(scratch_fd, name, O_RDWR);

	ck_assert_msg(fd >= 0, "%s: %m", name);
	ck_assert_int_eq(ftruncate(fd, nbytes), 0);
	close(fd);
}

void stores_mkdir(const char *name)
{
	ck_assert_msg(mkdirat(scratch_fd, name, 0700) == 0, "%s: %m", name);
}

void stores_unlink(const char *name)
{
	if (unlinkat(scratch_fd, name, 0) < 0)
		ck_assert_msg(unlinkat(scratch_fd, name, AT_REMOVEDIR) == 0, "%s: %m", name);
}

int stores_save_sample(struct bmf_store *store)
{
	struct bmf_sidecar *sidecar = sidecars_sample();
	int r = bmf_store_save_sidecar(store, sidecar, true, NULL);

	bmf_sidecar_free(sidecar);
	return r;
}

void stores_add_test(Suite *suite, const TTest *test, int n)
{
	for (int i = 0; i < n; i++) {
		TCase *tests = tcase_create(test->name);

		tcase_set_timeout(tests, 600);
		tcase_add_unchecked_fixture(tests, scratch_make, scratch_remove);
		tcase_add_loop_test(tests, test, i, i + 1);
		suite_add_tcase(suite, tests);
	}
}

int stores_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
