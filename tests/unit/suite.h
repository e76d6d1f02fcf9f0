/* SPDX-License-Identifier: GPL-2.0-or-later */
/* suite.h - how every unit test program ends */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <check.h>

/* Runs the suite, which it takes over.  Returns the exit status of the program. */
int suite_run(Suite *suite);

#endif
