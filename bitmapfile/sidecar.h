/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sidecar.h - the file that holds one image's bitmaps
 *
 * This module turns a sidecar into bytes and back; it touches no disk.  The
 * format's authority is mirrorfs-sidecar(5).
 *
 * A sidecar is written whole and replaced by rename, with one exception: its
 * armed map is overwritten in place while the image is in use, and there bits
 * are only ever added.  Each 512-byte sector of the map carries its own check,
 * so that a torn write leaves old or new sectors, and garbage in one is noticed.
 */
#ifndef BITMAPFILE_SIDECAR_H
#define BITMAPFILE_SIDECAR_H

#include "bitmapfile/bits.h"
#include "bitmapfile/error.h"
#include "bitmapfile/reason.h"
#include "bitmapfile/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BMF_BLOCK_SHIFT_MIN 12
#define BMF_BLOCK_SHIFT_MAX 21
#define BMF_BLOCK_SHIFT_DEFAULT 16
#define BMF_REGION_SHIFT_DEFAULT 24 /* 16 MiB */

/* What tells whether a file is still the one that was tracked, and unchanged. */
struct bmf_stamp {
	uint64_t inode;
	uint64_t handle;	    /* XXH3-64 of name_to_handle_at's handle, 0 if there is none */
	uint64_t size;		    /* bytes */
	int64_t mtime_ns, ctime_ns; /* since 1970 */
};

/* The bits of one generation, or of neighbours that were merged. */
struct bmf_section {
	uint64_t first, last;  /* generations, both inclusive */
	struct bmf_bits *bits; /* blocks */
};

struct bmf_sidecar {
	struct bmf_uuid image, source;
	unsigned int block_shift, region_shift; /* log2 of bytes */
	uint64_t since;				/* the first generation that the sections cover */
	uint64_t active;	/* the generation that was current when it was written */
	enum bmf_reason reason; /* why there is nothing before since */
	bool suspect;		/* an fsync of the image failed: what it holds is in doubt */
	struct bmf_stamp stamp;
	uint64_t session; /* that wrote it: see sessions.h */
	/*
	 * What crashes have cost: bytes that are dirty only because they were armed, in
	 * generations up to that of the last crash.  0: none.  For people.
	 */
	uint64_t crash_generation, crash_nbytes;

	/* Ascending, without a gap, from since to active; owned. */
	struct bmf_section *sections;
	size_t nsections;

	/*
	 * The armed map as found on disk.  in_use: the image may have been changed
	 * since the stamp was taken.
	 */
	struct bmf_bits *armed; /* regions; owned */
	bool in_use;
	uint64_t nonce;		/* seeds the checks of the map's sectors */
	uint32_t armed_sectors; /* capacity of the map */
};

/* An empty sidecar with no section; NULL when there is no memory. */
struct bmf_sidecar *bmf_sidecar_new(void);
void bmf_sidecar_free(struct bmf_sidecar *sidecar);

/* Appends a section that takes over bits.  0 or -ENOMEM (bits stay the caller's). */
int bmf_sidecar_add_section(struct bmf_sidecar *sidecar, uint64_t first, uint64_t last,
			    struct bmf_bits *bits);

/*
 * The bytes of a sidecar; the caller frees the buffer.  The armed map gets a
 * new random nonce and capacity for armed_sectors sectors (rounded up to whole
 * pages), or for what armed holds if that is more; both are noted in *sidecar.
 * 0, -ENOMEM, the error of getrandom; -EINVAL for an object that decode would
 * refuse (sections that don't cover since .. active, a shift out of range, no id).
 */
int bmf_sidecar_encode(struct bmf_sidecar *sidecar, void **ret_buf, size_t *ret_nbytes);

/*
 * 0; -EBADMSG: damaged; -EPROTONOSUPPORT: from a newer version; -ENOMEM.  A damaged
 * sector of the armed map is no error: all of its regions count as armed.
 */
int bmf_sidecar_decode(const void *buf, size_t nbytes, struct bmf_sidecar **ret,
		       struct bmf_error *err);

/*
 * The armed map, sector by sector, for the writer that adds to it in place.
 * Bit 0 of the map says "in use", bit r + 1 is region r.
 */
#define BMF_ARMED_SECTOR 512
#define BMF_ARMED_SECTOR_BITS ((BMF_ARMED_SECTOR - 8) * 8)
#define BMF_ARMED_MAP_OFFSET 4096 /* of the map in the file */

static inline uint64_t bmf_armed_position(uint64_t region)
{
	return region + 1;
}

/*
 * The last region that a map can have stands for all that comes after it too, so that a
 * write far out in a sparse image doesn't make a map of gigabytes.  64 TiB come before it
 * in regions of 16 MiB.
 */
#define BMF_REGIONS_MAX (UINT64_C(1) << 22)

static inline uint64_t bmf_region_of(uint64_t offset, unsigned int region_shift)
{
	uint64_t region = offset >> region_shift;

	return region < BMF_REGIONS_MAX ? region : BMF_REGIONS_MAX - 1;
}

/* The sectors that a map for nregions regions needs. */
static inline uint64_t bmf_armed_sectors(uint64_t nregions)
{
	return (nregions + 1 + BMF_ARMED_SECTOR_BITS - 1) / BMF_ARMED_SECTOR_BITS;
}

/* Writes sector number index of a map; armed holds regions, as struct bmf_sidecar has them. */
void bmf_armed_sector_encode(const struct bmf_bits *armed, bool in_use, uint64_t nonce,
			     uint64_t index, uint8_t ret_sector[BMF_ARMED_SECTOR]);

#endif
