/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * streamseal.h - makes the checksums of a delta stream right, whatever it says
 *
 * For streams that a writer wouldn't make: what is in them is to be refused for what it
 * is, not for its checksums.  The fuzzer uses this too, so it fails no test.
 */
#ifndef TESTS_UNIT_STREAMSEAL_H
#define TESTS_UNIT_STREAMSEAL_H

#include <stddef.h>
#include <stdint.h>

/*
 * The header's digest, each record's check, the digests and sizes of contents, the footer's
 * totals and digest; as far as the lengths of records lead.
 */
void streamseal(uint8_t *buf, size_t nbytes);

#endif
