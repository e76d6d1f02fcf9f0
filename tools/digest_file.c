/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest_file.c - gives a digester a file, or ranges of it, data as data, holes as holes */
#include "config.h"

#include "tools/digest_file.h"

/* A copy from the file to the digester; end() must follow.  0 or -ENOMEM. */
static int begin(const struct digest_file *file, struct digester *digester,
		 struct source_image *image, struct copy *ret)
{
	*image = (struct source_image){ .fd = file->fd, .file_fd = file->fd };
	*ret = (struct copy){ .ring = file->ring,
			      .source = image,
			      .sink = &copy_to_digester,
			      .digester = digester,
			      .size = file->size,
			      .unreadable = file->unreadable,
			      .block_shift = file->block_shift,
			      .tick = file->tick,
			      .tick_arg = file->tick_arg };
	if (!file->ring) {
		int r = copy_ring_new(0, &ret->ring);

		if (r < 0)
			return r;
	}
	direct_open_quietly(&image->direct, file->fd);
	return 0;
}

/* It ended with r; returns that. */
static int end(struct digest_file *file, struct copy *copy, int r)
{
	direct_close(&copy->source->direct);
	if (!file->ring)
		copy_ring_free(copy->ring);
	file->at_file = r < 0 && copy->at_source;
	file->failed_offset = copy->offset;
	return r;
}

int digest_file_range(struct digest_file *file, struct digester *digester, uint64_t offset,
		      uint64_t nbytes)
{
	struct source_image image;
	struct copy copy;
	int r = begin(file, digester, &image, &copy);

	return r < 0 ? r : end(file, &copy, copy_range(&copy, offset, nbytes));
}

int digest_file_blocks(struct digest_file *file, struct digester *digester,
		       const struct bmf_bits *bits, uint64_t first_block, uint64_t end_block)
{
	struct source_image image;
	struct copy copy;
	int r = begin(file, digester, &image, &copy);

	return r < 0 ? r
		     : end(file, &copy,
			   copy_blocks(&copy, bits, file->block_shift, first_block, end_block));
}

int digest_file(struct digest_file *file, struct digester *digester)
{
	return digest_file_range(file, digester, 0, file->size);
}
