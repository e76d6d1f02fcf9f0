/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scratch.h - a directory for a test case, gone when it ends
 *
 * The two functions are meant as unchecked fixtures, which run in the parent
 * process and so also after a test that failed:
 *
 *   tcase_add_unchecked_fixture(tc, scratch_make, scratch_remove);
 *
 * It is made below $TMPDIR, or /tmp: a filesystem with user xattrs.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

extern char scratch_path[4096];
extern int scratch_fd; /* of the directory, open for reading */

void scratch_make(void);
void scratch_remove(void);

#endif
