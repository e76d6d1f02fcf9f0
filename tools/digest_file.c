/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest_file.c - gives a digester a file, or ranges of it, data as data, holes as holes */
#include "config.h"

#include "tools/digest_file.h"

int digest_file_range(struct digest_file *file, struct digester *digester, uint64_t offset,
		      uint64_t nbytes)
{
	struct source_image image = { .fd = file->fd, .file_fd = file->fd };
	struct copy copy = { .ring = file->ring,
			     .source = &image,
			     .sink = &copy_to_digester,
			     .digester = digester,
			     .size = file->size,
			     .unreadable = file->unreadable,
			     .block_shift = file->block_shift,
			     .tick = file->tick,
			     .tick_arg = file->tick_arg };
	int r = file->ring ? 0 : copy_ring_new(0, &copy.ring);

	if (r < 0)
		return r;
	direct_open_quietly(&image.direct, file->fd);
	r = copy_range(&copy, offset, nbytes);
	direct_close(&image.direct);
	if (!file->ring)
		copy_ring_free(copy.ring);
	file->at_file = r < 0 && copy.at_source;
	file->failed_offset = copy.offset;
	return r;
}

int digest_file(struct digest_file *file, struct digester *digester)
{
	return digest_file_range(file, digester, 0, file->size);
}
