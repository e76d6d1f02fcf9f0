/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest_file.c - gives a digester all of a file, data as data, holes as holes */
#include "config.h"

#include "tools/copy.h"
#include "tools/digest_file.h"

#include <fcntl.h>

int digest_file(const struct digest_file *file, struct digester *digester)
{
	struct source_image image = { .fd = file->fd, .file_fd = file->fd };
	struct copy copy = { .source = &image,
			     .sink = &copy_to_digester,
			     .digester = digester,
			     .size = file->size,
			     .unreadable = file->unreadable,
			     .block_shift = file->block_shift,
			     .tick = file->tick,
			     .tick_arg = file->tick_arg };
	int r = copy_ring_new(file->threads, &copy.ring);

	if (r < 0)
		return r;
	direct_open(&image.direct, file->fd, O_RDONLY);
	r = copy_range(&copy, 0, file->size);
	direct_close(&image.direct);
	copy_ring_free(copy.ring);
	return r;
}
