/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faultmem.h - memory that runs out on demand: "fail the Nth allocation, for every N"
 *
 * Works in programs that are linked with faultmem_ldflags (see the Makefile): then
 * malloc, calloc, realloc, reallocarray, strdup and fdopendir, as called by our own
 * code, are counted from 1 since the last arm, and fail with ENOMEM when it is their turn.
 * What libraries allocate for themselves is not counted.  Unarmed, nothing is.
 *
 * Calls may come from several threads; arm needs exclusive use.
 */
#ifndef TESTS_UNIT_FAULTMEM_H
#define TESTS_UNIT_FAULTMEM_H

#include <stdbool.h>

/* The nth allocation from now on fails, and with sticky all after it; 0: none. */
void faultmem_arm(unsigned long nth, bool sticky);

/* Neither counts nor fails, until it is false again: for what the test itself does meanwhile. */
void faultmem_pause(bool pause);

/* Has any failed since it was armed? */
bool faultmem_fired(void);

#endif
