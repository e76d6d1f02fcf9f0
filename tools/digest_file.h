/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * digest_file.h - gives a digester all of a file, data as data, holes as holes
 *
 * It is read by several threads (copy.h).  Not thread safe.
 */
#ifndef TOOLS_DIGEST_FILE_H
#define TOOLS_DIGEST_FILE_H

#include "bitmapfile/bits.h"
#include "tools/digester.h"

#include <stdint.h>

struct digest_file {
	int fd;	       /* O_RDONLY will do; borrowed */
	uint64_t size; /* of the image, in bytes: what the file hasn't got of it is zeros */
	unsigned int block_shift;
	unsigned int threads; /* that read; 0: as many as disks like */
	/* Gets the blocks that the disk can't give, which are zeros to digester.  NULL: that fails.
	 */
	struct bmf_bits *unreadable;

	/* Told of every step forward; may be NULL. */
	void (*tick)(void *arg, uint64_t nbytes);
	void *tick_arg;
};

/*
 * 0: digester has had all of it, and was finished; what somebody cuts off at this moment is zeros.
 * -ECANCELED: a signal asked to stop.  Or another negative errno, also of what takes the digests.
 */
int digest_file(const struct digest_file *file, struct digester *digester);

#endif
