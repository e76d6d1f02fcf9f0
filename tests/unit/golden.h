/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golden.h - files that pin down a format, in tests/golden/
 *
 * They are text as `xxd -a` writes it, so that `xxd -r` gives the bytes, a person can read
 * them and a diff shows what changed.  A format that has been released does not
 * change: a test that differs from its golden file has found a bug.
 *
 * They are found below $TOP, which tests/run sets, or else the current directory.
 */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of a golden file, that the caller frees.  Fails the test if it can't be read. */
uint8_t *golden_read(const char *name, size_t *ret_nbytes);

/*
 * Fails the test, saying where, unless the bytes are those of the golden file.  With
 * GOLDEN_UPDATE in the environment it writes the file instead, for a format that is new.
 */
void golden_check(const char *name, const void *buf, size_t nbytes);

#endif
