/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_store_documents.c - loading and saving the state and the sidecars, whatever stands in
 * their place, and whichever call fails
 */
#include "config.h"

#include "tests/unit/scratch.h"
#include "tests/unit/sidecars.h"
#include "tests/unit/stores.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- documents: the same for the state and for a sidecar ---- */

struct kind {
	const char *path;
	int (*load)(struct bmf_store *store, struct bmf_error *err);
	int (*save)(struct bmf_store *store);
};

static int load_state(struct bmf_store *store, struct bmf_error *err)
{
	struct bmf_state *state = NULL;
	int r = bmf_store_load_state(store, &state, err);

	ck_assert_int_eq(r == 0, state != NULL);
	bmf_state_free(state);
	return r;
}

static int save_state(struct bmf_store *store)
{
	struct bmf_state *state;
	int r;

	ck_assert_int_eq(bmf_state_new(16, &state), 0);
	r = bmf_store_save_state(store, state);
	bmf_state_free(state);
	return r;
}

static int load_sidecar(struct bmf_store *store, struct bmf_error *err)
{
	struct bmf_uuid image = sidecars_uuid(0x10);
	struct bmf_sidecar *sidecar = NULL;
	int r = bmf_store_load_sidecar(store, &image, &sidecar, err);

	ck_assert_int_eq(r == 0, sidecar != NULL);
	bmf_sidecar_free(sidecar);
	return r;
}

static const struct kind kinds[] = {
	{ ".mirrorfs/state", load_state, save_state },
	{ ".mirrorfs/bitmaps/" STORES_SAMPLE, load_sidecar, stores_save_sample },
};

static void check_load(const struct kind *kind, struct bmf_store *store, int expected)
{
	struct bmf_error err = { 0 };
	char quoted[128];

	ck_assert_int_eq(kind->load(store, &err), expected);
	if (expected == 0)
		return;
	snprintf(quoted, sizeof(quoted), "read '%s': ", kind->path);
	ck_assert_int_eq(err.code, expected);
	ck_assert_msg(strncmp(err.text, quoted, strlen(quoted)) == 0, "%s", err.text);
}

START_TEST(test_documents)
{
	const struct kind *kind = &kinds[_i];
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	mode_t mask = umask(0);

	check_load(kind, store, -ENOENT);
	ck_assert_int_eq(kind->save(store), 0);
	ck_assert_uint_eq(stores_mode(kind->path), S_IFREG | 0600);
	check_load(kind, store, 0);
	ck_assert_int_eq(kind->save(store), 0);
	check_load(kind, store, 0);
	umask(mask);
	stores_close(store);
	store = stores_open(0);
	check_load(kind, store, 0);
	stores_close(store);
}
END_TEST

/* Each obstacle gives a clean error, and the next save does away with it. */
START_TEST(test_document_obstacles)
{
	const struct kind *kind = &kinds[_i];
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	char inner[sizeof(scratch_path) + 128];
	off_t size;

	stores_write(kind->path, "", 0);
	check_load(kind, store, -EBADMSG);
	stores_resize(kind->path, (off_t)1 << 40); /* as long as a sparse file can be */
	check_load(kind, store, -EBADMSG);
	ck_assert_int_eq(kind->save(store), 0);
	check_load(kind, store, 0);
	stores_resize(kind->path, (off_t)1 << 40); /* as long as a sparse file can be */
	check_load(kind, store, -EBADMSG);

	stores_unlink(kind->path);
	stores_mkdir(kind->path);
	check_load(kind, store, -EISDIR);
	ck_assert_int_eq(kind->save(store), 0);
	check_load(kind, store, 0);

	stores_unlink(kind->path);
	stores_mkdir(kind->path);
	snprintf(inner, sizeof(inner), "%s/inner", kind->path);
	stores_write(inner, "precious", 8);
	check_load(kind, store, -EISDIR);
	ck_assert_int_eq(kind->save(store), -EISDIR);
	ck_assert_uint_eq(stores_mode(inner), S_IFREG | 0600);
	stores_unlink(inner);

	/* a symlink, even to what would be good: neither followed nor written through */
	ck_assert_int_eq(kind->save(store), 0);
	ck_assert_int_eq(renameat(scratch_fd, kind->path, scratch_fd, "good"), 0);
	snprintf(inner, sizeof(inner), "%s/good", scratch_path);
	ck_assert_int_eq(symlinkat(inner, scratch_fd, kind->path), 0);
	check_load(kind, store, -EBADMSG);
	size = stores_size("good");
	ck_assert_int_eq(kind->save(store), 0);
	check_load(kind, store, 0);
	ck_assert_uint_eq(stores_mode(kind->path), S_IFREG | 0600);
	ck_assert_int_eq(stores_size("good"), size);

	stores_unlink(kind->path);
	ck_assert_int_eq(mkfifoat(scratch_fd, kind->path, 0600), 0);
	check_load(kind, store, -EBADMSG);
	ck_assert_int_eq(kind->save(store), 0);
	check_load(kind, store, 0);
	stores_close(store);
}
END_TEST

/* Cut to any length. */
START_TEST(test_document_cut)
{
	const struct kind *kind = &kinds[_i];
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	struct rng rng = rng_start("test_document_cut");

	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(kind->save(store), 0);
		stores_resize(kind->path,
			      (off_t)rng_below(&rng, (uint64_t)stores_size(kind->path)));
		check_load(kind, store, -EBADMSG);
	}
	stores_close(store);
}
END_TEST

START_TEST(test_sidecar_of_another)
{
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	const char *other = ".mirrorfs/bitmaps/20212223-2425-2627-2829-2a2b2c2d2e2f";
	struct bmf_uuid image = sidecars_uuid(0x20);
	struct bmf_sidecar *sidecar = NULL;
	struct bmf_error err = { 0 };

	ck_assert_int_eq(stores_save_sample(store), 0);
	ck_assert_int_eq(renameat(scratch_fd, kinds[1].path, scratch_fd, other), 0);
	ck_assert_int_eq(bmf_store_load_sidecar(store, &image, &sidecar, &err), -EBADMSG);
	ck_assert_ptr_null(sidecar);
	ck_assert_ptr_nonnull(strstr(err.text, other));
	stores_close(store);
}
END_TEST

/* The descriptor that save gives is of the file that load finds. */
START_TEST(test_armed_in_place)
{
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	struct bmf_sidecar *sidecar = sidecars_sample(), *loaded = NULL;
	uint8_t sector[BMF_ARMED_SECTOR];
	int fd = -1;

	ck_assert_int_eq(bmf_store_save_sidecar(store, sidecar, false, &fd), 0);
	ck_assert_int_eq(bmf_store_sync_names(store), 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bmf_bits_set(sidecar->armed, 5000, 7), 0);
	bmf_armed_sector_encode(sidecar->armed, true, sidecar->nonce, 1, sector);
	ck_assert_int_eq(stores_io.io.pwrite_dsync(&stores_io.io, fd, sector, sizeof(sector),
						   BMF_ARMED_MAP_OFFSET + BMF_ARMED_SECTOR),
			 sizeof(sector));
	ck_assert_int_eq(bmf_store_load_sidecar(store, &sidecar->image, &loaded, NULL), 0);
	sidecars_check_equal(sidecar, loaded);
	stores_io.io.close(&stores_io.io, fd);
	bmf_sidecar_free(loaded);
	bmf_sidecar_free(sidecar);
	stores_close(store);
}
END_TEST

START_TEST(test_remove_sidecar)
{
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	struct bmf_uuid image = sidecars_uuid(0x10);

	ck_assert_int_eq(bmf_store_remove_sidecar(store, &image), 0);
	ck_assert_int_eq(stores_save_sample(store), 0);
	ck_assert_int_eq(bmf_store_remove_sidecar(store, &image), 0);
	check_load(&kinds[1], store, -ENOENT);
	stores_mkdir(kinds[1].path);
	ck_assert_int_eq(bmf_store_remove_sidecar(store, &image), 0);
	check_load(&kinds[1], store, -ENOENT);

	/* until it is durable it has not been removed, though the name is gone */
	ck_assert_int_eq(stores_save_sample(store), 0);
	for (int i = 0; i < 2; i++) {
		faultio_arm(&stores_io, FAULTIO_FSYNC, 1, -EIO, 0);
		ck_assert_int_eq(bmf_store_remove_sidecar(store, &image), -EIO);
		faultio_arm(&stores_io, 0, 0, 0, 0);
	}
	ck_assert_int_eq(bmf_store_remove_sidecar(store, &image), 0);
	stores_close(store);
}
END_TEST

/* ---- a disk that fails ---- */

/* The content of a document, as one number, and a save that gives it another. */
struct versions {
	int (*save)(struct bmf_store *store, uint64_t version);
	int (*load)(struct bmf_store *store, uint64_t *ret_version);
};

static int save_state_version(struct bmf_store *store, uint64_t version)
{
	struct bmf_state *state;
	int r;

	ck_assert_int_eq(bmf_state_new(16, &state), 0);
	state->generation = version;
	r = bmf_store_save_state(store, state);
	bmf_state_free(state);
	return r;
}

static int load_state_version(struct bmf_store *store, uint64_t *ret_version)
{
	struct bmf_state *state;
	int r = bmf_store_load_state(store, &state, NULL);

	if (r == 0) {
		*ret_version = state->generation;
		bmf_state_free(state);
	}
	return r;
}

static int save_sidecar_version(struct bmf_store *store, uint64_t version)
{
	struct bmf_sidecar *sidecar = sidecars_sample();
	int fd = -1, r;

	sidecar->stamp.size = version;
	sidecar->nonce = 4711;
	r = bmf_store_save_sidecar(store, sidecar, true, &fd);
	if (r == 0) {
		stores_io.under->close(stores_io.under, fd);
		atomic_fetch_sub(&stores_io.open_fds, 1);
	} else {
		/* what was not saved is not noted either */
		ck_assert_int_eq(fd, -1);
		ck_assert_uint_eq(sidecar->nonce, 4711);
		ck_assert_uint_eq(sidecar->armed_sectors, 0);
	}
	bmf_sidecar_free(sidecar);
	return r;
}

static int load_sidecar_version(struct bmf_store *store, uint64_t *ret_version)
{
	struct bmf_uuid image = sidecars_uuid(0x10);
	struct bmf_sidecar *sidecar;
	int r = bmf_store_load_sidecar(store, &image, &sidecar, NULL);

	if (r == 0) {
		*ret_version = sidecar->stamp.size;
		bmf_sidecar_free(sidecar);
	}
	return r;
}

static const struct versions versions[] = {
	{ save_state_version, load_state_version },
	{ save_sidecar_version, load_sidecar_version },
};

/* The Nth call fails, for every N: the old or the new document is found, whole. */
static void fail_saves(const struct versions *v, unsigned int flags, int error)
{
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	long fds = faultio_open_fds(&stores_io);
	uint64_t version = 1, found;

	ck_assert_int_eq(v->save(store, version), 0);
	for (unsigned long n = 1;; n++) {
		bool fired;
		int r;

		faultio_arm(&stores_io, FAULTIO_ALL, n, error, flags);
		r = v->save(store, version + 1);
		fired = faultio_fired(&stores_io);
		faultio_arm(&stores_io, 0, 0, 0, 0);
		ck_assert_int_eq(faultio_open_fds(&stores_io), fds);
		ck_assert_int_eq(v->load(store, &found), 0);
		if (r == 0)
			ck_assert_uint_eq(found, version + 1);
		else
			ck_assert(found == version || found == version + 1);
		version = found;
		/* and the next one works */
		ck_assert_int_eq(v->save(store, ++version), 0);
		ck_assert_int_eq(v->load(store, &found), 0);
		ck_assert_uint_eq(found, version);
		if (!fired) {
			ck_assert_int_eq(r, 0);
			ck_assert_uint_gt(n, 4);
			break;
		}
	}
	stores_close(store);
}

START_TEST(test_failing_saves)
{
	const struct versions *v = &versions[_i];

	fail_saves(v, 0, -EIO);
	fail_saves(v, FAULTIO_STICKY, -EIO);
	fail_saves(v, FAULTIO_SHORT, -ENOSPC);
	fail_saves(v, FAULTIO_SHORT | FAULTIO_STICKY, -ENOSPC);
	fail_saves(v, FAULTIO_AFTER, -EIO);
	fail_saves(v, FAULTIO_AFTER | FAULTIO_STICKY, -EIO);
}
END_TEST

/* An error of the disk is told as it is, and not as damage. */
START_TEST(test_failing_loads)
{
	const struct kind *kind = &kinds[_i];
	struct bmf_store *store = stores_open(STORES_CREATE_LOCK);
	const unsigned int ops = FAULTIO_ALL & ~FAULTIO_CLOSE;
	unsigned long ncalls;

	ck_assert_int_eq(kind->save(store), 0);
	faultio_arm(&stores_io, ops, 0, 0, 0);
	check_load(kind, store, 0);
	ncalls = faultio_calls(&stores_io);
	ck_assert_uint_ge(ncalls, 3);
	for (unsigned long n = 1; n <= ncalls; n++) {
		faultio_arm(&stores_io, ops, n, -EIO, 0);
		check_load(kind, store, -EIO);
	}
	stores_close(store);
}
END_TEST

/* Opening: an error or a store, and after it a store. */
START_TEST(test_failing_open)
{
	unsigned long n = 0;
	bool fired = true;

	stores_close(stores_open(STORES_CREATE_LOCK));
	while (fired) {
		struct bmf_store *store = NULL;
		struct bmf_error err = { 0 };
		int r;

		stores_write(".mirrorfs/bitmaps/x.tmp", "x", 1);
		faultio_arm(&stores_io, FAULTIO_ALL, ++n, -EIO, 0);
		r = stores_open_result(STORES_CREATE_LOCK, "me", &store, &err);
		fired = faultio_fired(&stores_io);
		faultio_arm(&stores_io, 0, 0, 0, 0);
		if (r < 0) {
			ck_assert_ptr_null(store);
			ck_assert_int_eq(err.code, -EIO);
		}
		stores_close(store);
		stores_close(stores_open(STORES_CREATE_LOCK));
	}
	ck_assert_uint_gt(n, 10);
}
END_TEST

/* The same from nothing: whatever was made before the failure is taken up again. */
START_TEST(test_failing_create)
{
	bool fired = true;

	stores_close(stores_open(STORES_CREATE_LOCK));
	for (unsigned long n = 1; fired; n++) {
		struct bmf_store *store = NULL;

		stores_unlink(".mirrorfs/bitmaps");
		stores_unlink(".mirrorfs/lock");
		stores_unlink(".mirrorfs");
		faultio_arm(&stores_io, FAULTIO_ALL, n, -ENOSPC, 0);
		stores_open_result(STORES_CREATE_LOCK, "me", &store, NULL);
		fired = faultio_fired(&stores_io);
		faultio_arm(&stores_io, 0, 0, 0, 0);
		stores_close(store);
		store = stores_open(STORES_CREATE_LOCK);
		ck_assert_int_eq(stores_save_sample(store), 0);
		stores_close(store);
		stores_unlink(".mirrorfs/bitmaps/" STORES_SAMPLE);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_documents");

	stores_add_test(suite, test_documents, 2);
	stores_add_test(suite, test_document_obstacles, 2);
	stores_add_test(suite, test_document_cut, 2);
	stores_add_test(suite, test_sidecar_of_another, 1);
	stores_add_test(suite, test_armed_in_place, 1);
	stores_add_test(suite, test_remove_sidecar, 1);
	stores_add_test(suite, test_failing_saves, 2);
	stores_add_test(suite, test_failing_loads, 2);
	stores_add_test(suite, test_failing_open, 1);
	stores_add_test(suite, test_failing_create, 1);
	return stores_run(suite);
}
