/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fastio.h - the system's io table, but that nothing waits for a disk
 *
 * For tests that do very many things, and that simulate no power cuts.
 */
#ifndef TESTS_UNIT_FASTIO_H
#define TESTS_UNIT_FASTIO_H

#include "bitmapfile/io.h"

struct bmf_io fastio(void);

#endif
