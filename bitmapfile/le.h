/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * le.h - little-endian integers of the on-disk formats
 *
 * Each is a struct of its own, so that mixing a disk value with a host value,
 * or one width with another, is a compile error.  They have no alignment
 * requirement beyond a byte; disk structures made of them have no padding.
 */
#ifndef BITMAPFILE_LE_H
#define BITMAPFILE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

struct le16 {
	uint8_t b[2];
};
struct le32 {
	uint8_t b[4];
};
struct le64 {
	uint8_t b[8];
};

#define BMF_LE_ACCESSORS(width)                                            \
	static inline uint##width##_t le##width##_get(struct le##width v)  \
	{                                                                  \
		uint##width##_t raw;                                       \
		memcpy(&raw, v.b, sizeof(raw));                            \
		return le##width##toh(raw);                                \
	}                                                                  \
	static inline struct le##width le##width##_make(uint##width##_t x) \
	{                                                                  \
		struct le##width v;                                        \
		x = htole##width(x);                                       \
		memcpy(v.b, &x, sizeof(x));                                \
		return v;                                                  \
	}

BMF_LE_ACCESSORS(16)
BMF_LE_ACCESSORS(32)
BMF_LE_ACCESSORS(64)

#undef BMF_LE_ACCESSORS

#endif
