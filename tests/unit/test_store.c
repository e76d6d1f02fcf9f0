/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_store.c - the state directory: making it, its lock, and what is in it
 *
 * Its documents are test_store_documents.c's.
 */
#include "config.h"

#include "tests/unit/scratch.h"
#include "tests/unit/sidecars.h"
#include "tests/unit/stores.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(test_create)
{
	struct bmf_store *store = NULL;
	mode_t mask = umask(0);

	ck_assert_int_eq(stores_open_result(0, NULL, &store, NULL), -ENOENT);
	ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, "x", &store, NULL), -ENOENT);
	ck_assert_ptr_null(store);
	ck_assert(!stores_exists(".mirrorfs"));
	stores_close(stores_open(BMF_STORE_CREATE));
	ck_assert_uint_eq(stores_mode(".mirrorfs"), S_IFDIR | 0700);
	ck_assert_uint_eq(stores_mode(".mirrorfs/bitmaps"), S_IFDIR | 0700);
	ck_assert(!stores_exists(".mirrorfs/lock"));
	ck_assert(!stores_exists(".mirrorfs/state"));
	ck_assert(!stores_exists(".mirrorfs/preserve"));
	stores_close(stores_open(STORES_CREATE_LOCK));
	ck_assert_uint_eq(stores_mode(".mirrorfs/lock"), S_IFREG | 0600);
	stores_close(stores_open(0));
	stores_close(stores_open(BMF_STORE_LOCK));
	bmf_store_close(NULL);
	umask(mask);
}
END_TEST

/* A crash in the middle of making it. */
START_TEST(test_half_made)
{
	struct bmf_store *store = NULL;
	struct bmf_error err;

	stores_mkdir(".mirrorfs");
	ck_assert_int_eq(stores_open_result(0, NULL, &store, &err), -ENOENT);
	ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, "x", &store, &err), -ENOENT);
	ck_assert_ptr_null(store);
	ck_assert_int_eq(faultio_open_fds(&stores_io), 0);
	stores_close(stores_open(STORES_CREATE_LOCK));
}
END_TEST

START_TEST(test_lock)
{
	struct bmf_store *first = stores_open(STORES_CREATE_LOCK), *second = NULL;
	struct bmf_error err = { 0 };

	ck_assert_int_eq(stores_open_result(STORES_CREATE_LOCK, "me", &second, &err), -EBUSY);
	ck_assert_ptr_null(second);
	ck_assert_int_eq(err.code, -EBUSY);
	ck_assert_str_eq(err.text, "lock '.mirrorfs/lock': in use by a test");
	bmf_store_close(stores_open(0)); /* a reader needs no lock */
	stores_close(first);
	stores_close(stores_open(BMF_STORE_LOCK));
}
END_TEST

START_TEST(test_holder_line)
{
	static const struct {
		const char *content;
		size_t nbytes;
		const char *text;
	} cases[] = {
		{ "", 0, "in use by another process" },
		{ "\n", 1, "in use by another process" },
		{ "mirrorfs on /x (pid 17)\njunk", 28, "in use by mirrorfs on /x (pid 17)" },
		{ "evil\033[2J", 8, "in use by evil" },
		{ "nul\0more", 8, "in use by nul" },
	};
	struct bmf_store *first = stores_open(STORES_CREATE_LOCK), *second = NULL;
	struct bmf_error err = { 0 };
	char longer[1000];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];

		stores_write(".mirrorfs/lock", cases[i].content, cases[i].nbytes);
		ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, "me", &second, &err), -EBUSY);
		snprintf(text, sizeof(text), "lock '.mirrorfs/lock': %s", cases[i].text);
		ck_assert_str_eq(err.text, text);
	}
	stores_close(first);

	/* a line that is too long is cut, and one that was longer is gone */
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, longer, &first, NULL), 0);
	stores_close(first);
	ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, NULL, &first, NULL), 0);
	ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, NULL, &second, &err), -EBUSY);
	ck_assert_str_eq(err.text, "lock '.mirrorfs/lock': in use by another process");
	ck_assert_int_eq(stores_size(".mirrorfs/lock"), 1);
	stores_close(first);
}
END_TEST

/* Who shares it keeps out others that don't, writes nothing, and makes no lock. */
START_TEST(test_shared_lock)
{
	const unsigned int share = BMF_STORE_LOCK | BMF_STORE_SHARE;
	struct bmf_store *first = stores_open(STORES_CREATE_LOCK), *second, *none = NULL;

	ck_assert_int_eq(stores_open_result(share, "me", &none, NULL), -EBUSY);
	stores_close(first);
	stores_write(".mirrorfs/lock", "as it was", 9);
	first = stores_open(share);
	second = stores_open(share);
	ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, "me", &none, NULL), -EBUSY);
	bmf_store_close(first);
	ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, "me", &none, NULL), -EBUSY);
	stores_close(second);
	ck_assert_int_eq(stores_size(".mirrorfs/lock"), 9);
	stores_unlink(".mirrorfs/lock");
	ck_assert_int_eq(stores_open_result(share, "me", &none, NULL), -ENOENT);
}
END_TEST

/* The holder is killed: the lock goes with it, whatever the file says. */
START_TEST(test_stale_lock)
{
	struct bmf_store *store = NULL;
	int ready[2];
	pid_t pid;
	char byte;

	stores_close(stores_open(STORES_CREATE_LOCK));
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (stores_open_result(BMF_STORE_LOCK, "the child", &store, NULL) == 0)
			byte = 'y';
		else
			byte = 'n';
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
	ck_assert_int_eq(stores_open_result(BMF_STORE_LOCK, "me", &store, NULL), -EBUSY);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	stores_close(stores_open(BMF_STORE_LOCK));
	close(ready[0]);
	close(ready[1]);
}
END_TEST

/* Things in the place of the directories and the lock: refused, untouched, named. */
static void check_open_refused(const char *name)
{
	struct bmf_store *store = NULL;
	struct bmf_error err = { 0 };
	int r = stores_open_result(STORES_CREATE_LOCK, "me", &store, &err);

	ck_assert_msg(r < 0, "%s was accepted", name);
	ck_assert_ptr_null(store);
	ck_assert_int_eq(err.code, r);
	ck_assert_msg(strstr(err.text, name), "'%s' does not name %s", err.text, name);
	ck_assert_int_eq(faultio_open_fds(&stores_io), 0);
}

START_TEST(test_obstacles)
{
	stores_mkdir("elsewhere");
	stores_mkdir("elsewhere/bitmaps");
	stores_write("file", "precious", 8);

	stores_write(".mirrorfs", "x", 1);
	check_open_refused("'.mirrorfs'");
	stores_unlink(".mirrorfs");
	ck_assert_int_eq(symlinkat("elsewhere", scratch_fd, ".mirrorfs"), 0);
	check_open_refused("'.mirrorfs'");
	ck_assert(!stores_exists("elsewhere/lock"));
	stores_unlink(".mirrorfs");
	ck_assert_int_eq(symlinkat("nowhere", scratch_fd, ".mirrorfs"), 0);
	check_open_refused("'.mirrorfs'");
	stores_unlink(".mirrorfs");

	stores_mkdir(".mirrorfs");
	stores_write(".mirrorfs/bitmaps", "x", 1);
	check_open_refused("'.mirrorfs/bitmaps'");
	stores_unlink(".mirrorfs/bitmaps");
	ck_assert_int_eq(symlinkat("../elsewhere", scratch_fd, ".mirrorfs/bitmaps"), 0);
	check_open_refused("'.mirrorfs/bitmaps'");
	stores_unlink(".mirrorfs/bitmaps");
	stores_unlink(".mirrorfs/lock");

	stores_mkdir(".mirrorfs/lock");
	check_open_refused("'.mirrorfs/lock'");
	stores_unlink(".mirrorfs/lock");
	ck_assert_int_eq(symlinkat("../file", scratch_fd, ".mirrorfs/lock"), 0);
	check_open_refused("'.mirrorfs/lock'");
	ck_assert_uint_eq(stores_mode("file"), S_IFREG | 0600);
	stores_unlink(".mirrorfs/lock");
	ck_assert_int_eq(mkfifoat(scratch_fd, ".mirrorfs/lock", 0600), 0);
	check_open_refused("'.mirrorfs/lock'");
	stores_unlink(".mirrorfs/lock");
	stores_close(stores_open(STORES_CREATE_LOCK));
}
END_TEST

struct seen {
	struct bmf_store *store;
	bool uuid[256]; /* by their first byte */
	int n, stop_at;
	bool remove;
};

static int see(const struct bmf_uuid *image, void *arg)
{
	struct seen *seen = arg;

	ck_assert(!seen->uuid[image->b[0]]);
	seen->uuid[image->b[0]] = true;
	if (seen->remove)
		ck_assert_int_eq(bmf_store_remove_sidecar(seen->store, image), 0);
	return ++seen->n == seen->stop_at ? 42 : 0;
}

START_TEST(test_each_sidecar)
{
	static const char *const others[] = {
		".mirrorfs/bitmaps/README",
		".mirrorfs/bitmaps/10111213-1415-1617-1819-1a1b1c1d1e1F", /* looked up otherwise */
		".mirrorfs/bitmaps/10111213-1415-1617-1819-1a1b1c1d1e1f0",
		".mirrorfs/bitmaps/00000000-0000-0000-0000-000000000000",
	};
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	struct seen seen = { .store = store };

	ck_assert_int_eq(bmf_store_each_sidecar(store, see, &seen), 0);
	ck_assert_int_eq(seen.n, 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		stores_write(others[i], "x", 1);
	for (int i = 1; i <= 200; i++) {
		struct bmf_sidecar *sidecar = sidecars_sample();

		sidecar->image = sidecars_uuid((uint8_t)i);
		ck_assert_int_eq(bmf_store_save_sidecar(store, sidecar, false, NULL), 0);
		bmf_sidecar_free(sidecar);
	}
	ck_assert_int_eq(bmf_store_each_sidecar(store, see, &seen), 0);
	ck_assert_int_eq(seen.n, 200);
	seen = (struct seen){ .store = store, .stop_at = 17 };
	ck_assert_int_eq(bmf_store_each_sidecar(store, see, &seen), 42);
	ck_assert_int_eq(seen.n, 17);
	seen = (struct seen){ .store = store, .remove = true };
	ck_assert_int_eq(bmf_store_each_sidecar(store, see, &seen), 0);
	ck_assert_int_eq(seen.n, 200);
	seen = (struct seen){ .store = store };
	ck_assert_int_eq(bmf_store_each_sidecar(store, see, &seen), 0);
	ck_assert_int_eq(seen.n, 0);
	stores_close(store);
}
END_TEST

START_TEST(test_leftovers)
{
	static const char *const gone[] = {
		".mirrorfs/state.tmp",
		".mirrorfs/bitmaps/" STORES_SAMPLE ".tmp",
	};
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);

	ck_assert_int_eq(stores_save_sample(store), 0);
	stores_close(store);
	stores_write(gone[0], "x", 1);
	stores_write(gone[1], "x", 1);
	stores_write(".mirrorfs/manifest.tmp", "of a replica", 12);
	stores_mkdir(".mirrorfs/bitmaps/dir.tmp");
	stores_close(stores_open(BMF_STORE_CREATE));
	ck_assert(stores_exists(gone[0]) &&
		  stores_exists(gone[1])); /* another's, who has the lock */
	store = stores_open(BMF_STORE_LOCK);
	ck_assert(!stores_exists(gone[0]) && !stores_exists(gone[1]));
	ck_assert(!stores_exists(".mirrorfs/bitmaps/dir.tmp"));
	ck_assert(stores_exists(".mirrorfs/manifest.tmp"));
	ck_assert(stores_exists(".mirrorfs/bitmaps/" STORES_SAMPLE));
	stores_close(store);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");

	stores_add_test(suite, test_create, 1);
	stores_add_test(suite, test_half_made, 1);
	stores_add_test(suite, test_lock, 1);
	stores_add_test(suite, test_holder_line, 1);
	stores_add_test(suite, test_shared_lock, 1);
	stores_add_test(suite, test_stale_lock, 1);
	stores_add_test(suite, test_obstacles, 1);
	stores_add_test(suite, test_each_sidecar, 1);
	stores_add_test(suite, test_leftovers, 1);
	return stores_run(suite);
}
