/* SPDX-License-Identifier: GPL-2.0-or-later */
/* faultworld_internal.h - what faultworld.c and faultworld_sync.c share */
#ifndef TESTS_UNIT_FAULTWORLD_INTERNAL_H
#define TESTS_UNIT_FAULTWORLD_INTERNAL_H

#include "tests/unit/faultworld.h"

#define WORLD_BYTES (WORLD_BLOCKS * WORLD_BLOCK)

struct world_content {
	bool exists;
	size_t size;
	unsigned char bytes[WORLD_BYTES];
};

extern const char *const world_names[WORLD_IMAGES];
extern int world_dir_fd;

/* The replica: its checkpoint and what it has. */
extern struct bmf_checkpoint world_at;
extern struct world_content world_replica[WORLD_IMAGES];

/* The source that it is a replica of must go on to say so. */
extern struct bmf_uuid world_source;
void world_check_source(void);

#endif
