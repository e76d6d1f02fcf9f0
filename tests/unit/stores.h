/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stores.h - what the tests of store.c share
 *
 * All stores are opened on scratch_fd through an io table that counts descriptors, and each
 * test has a scratch directory of its own.
 */
#ifndef TESTS_UNIT_STORES_H
#define TESTS_UNIT_STORES_H

#include "bitmapfile/store.h"
#include "tests/unit/faultio.h"

#include <check.h>

#define STORES_CREATE_LOCK (BMF_STORE_CREATE | BMF_STORE_LOCK)

/* The file name of sidecars_sample(). */
#define STORES_SAMPLE "10111213-1415-1617-1819-1a1b1c1d1e1f"

extern struct faultio stores_io;

/* bmf_store_open() as it is; and such that it must succeed, with "a test" as holder. */
int stores_open_result(unsigned int flags, const char *holder, struct bmf_store **ret,
		       struct bmf_error *err);
struct bmf_store *stores_open(unsigned int flags);

/* Closes it; no descriptor may be left. */
void stores_close(struct bmf_store *store);

/* Names are relative to the scratch directory. */
mode_t stores_mode(const char *name);
off_t stores_size(const char *name);
bool stores_exists(const char *name);
void stores_write(const char *name, const void *buf, size_t nbytes);
void stores_resize(const char *name, off_t nbytes);
void stores_mkdir(const char *name);
void stores_unlink(const char *name); /* a file or an empty directory */

/* Saves sidecars_sample(). */
int stores_save_sample(struct bmf_store *store);

/* Adds a test, run for _i in [0, n), as a case with a scratch directory of its own. */
void stores_add_test(Suite *suite, const TTest *test, int n);

/* Runs all of it: the exit status of main. */
int stores_run(Suite *suite);

#endif
