/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * units.h - blocks that describe themselves, and the log of what was acknowledged
 *
 * cutwriter writes units of UNIT bytes, each of which says what file it belongs to, where
 * in it, and in which order it was written; and it reports what must survive a power cut from
 * then on, in lines of text:
 *
 *   a FILE FIRST COUNT SEQUENCE;   fsync has returned: these units are there, in this
 *                                  version or a later one
 *   d FILE FIRST COUNT;            about to be cut off or punched: from now on they may be zeros
 *   m FILE FIRST COUNT;            about to be written through a mapping: they may be torn
 *
 * cutcheck holds a tree to such a log.  A line without its semicolon was cut itself, and what
 * it would have said has not happened yet.
 */
#ifndef TESTS_CLIENTS_UNITS_H
#define TESTS_CLIENTS_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#define UNIT 4096u
#define UNIT_MAGIC UINT64_C(0x74696e7574756f63)

struct unit {
	uint64_t magic, file, number, sequence, check;
	uint64_t filling[UNIT / 8 - 5];
};

static inline uint64_t unit_file(const char *name)
{
	return XXH3_64bits(name, strlen(name));
}

static inline uint64_t unit_check(const struct unit *unit)
{
	struct unit copy = *unit;

	copy.check = 0;
	return XXH3_64bits(&copy, sizeof(copy));
}

static inline void unit_make(struct unit *unit, const char *name, uint64_t number,
			     uint64_t sequence)
{
	unit->magic = UNIT_MAGIC;
	unit->file = unit_file(name);
	unit->number = number;
	unit->sequence = sequence;
	unit->check = 0;
	for (size_t i = 0; i < sizeof(unit->filling) / 8; i++)
		unit->filling[i] = (sequence + i) * UINT64_C(0x9e3779b97f4a7c15) ^ number;
	unit->check = unit_check(unit);
}

static inline bool unit_is_zero(const struct unit *unit)
{
	static const struct unit zero;

	return memcmp(unit, &zero, sizeof(zero)) == 0;
}

/* What is wrong with it, or NULL. */
static inline const char *unit_fault(const struct unit *unit, const char *name, uint64_t number)
{
	if (unit->magic != UNIT_MAGIC)
		return "no unit";
	if (unit->check != unit_check(unit))
		return "torn";
	if (unit->file != unit_file(name))
		return "of another file";
	return unit->number != number ? "of another place" : NULL;
}

#endif
