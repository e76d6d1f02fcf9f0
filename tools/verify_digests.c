/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify_digests.c - proves a source by its replica's digests, without reading the replica */
#include "config.h"

#include "tools/beneath.h"
#include "tools/digest_compare.h"
#include "tools/digest_file.h"
#include "tools/fail.h"
#include "tools/holes.h"
#include "tools/journal.h"
#include "tools/replica.h"
#include "tools/verify_digests.h"

#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names and images may be half-way between two checkpoints, and differ for that reason alone. */
static int check_no_journal(int dest_fd, const char *dest_path, struct bmf_error *err)
{
	int fd = beneath_open(dest_fd, BMF_STATE_DIR "/" JOURNAL_NAME, O_PATH, 0);

	if (fd < 0)
		return 0;
	close(fd);
	return fail_text(err, -EBUSY, "verify", dest_path, NULL,
			 "an update of it was committed and is not published yet; run mirrorctl "
			 "recover first");
}

int verify_digests_open(int dest_fd, const char *dest_path, struct verify_digests *ret,
			struct bmf_error *err)
{
	struct verify_digests digests = { .dir_fd = -1 };
	struct bmf_error why;
	int r = check_no_journal(dest_fd, dest_path, err);

	if (r < 0)
		return r;
	/* without a manifest that can be read everything is compared: that takes no replica */
	if (replica_read_manifest(dest_fd, dest_path, &digests.manifest, &why) == 0 &&
	    digests.manifest.complete)
		digests.dir_fd = beneath_open(dest_fd, BMF_STATE_DIR "/" DIGESTS_DIR,
					      O_RDONLY | O_DIRECTORY, 0);
	*ret = digests;
	return 0;
}

void verify_digests_close(struct verify_digests *digests)
{
	manifest_destroy(&digests->manifest);
	if (digests->dir_fd >= 0)
		close(digests->dir_fd);
	digests->dir_fd = -1;
}

bool verify_digests_begin(struct verify_digests *digests, const char *path, int fd)
{
	const struct manifest *manifest = &digests->manifest;
	const struct manifest_image *image;
	struct bmf_stamp stamp;
	struct bmf_error why;

	image = digests->dir_fd < 0 ? NULL : manifest_find_path(manifest, path);
	if (!image || bmf_stamp_take(&bmf_io_posix, fd, &stamp) < 0 ||
	    !bmf_stamp_equal(&stamp, &image->stamp))
		return false;
	digests->key =
		(struct digests_key){ manifest->replica, image->image, manifest->block_shift };
	if (digests_open(&bmf_io_posix, digests->dir_fd, &digests->key, false, &digests->image,
			 &why) < 0)
		digests->image = NULL;
	return digests->image != NULL;
}

void verify_digests_end(struct verify_digests *digests)
{
	digests_close(digests->image);
	digests->image = NULL;
}

struct proving {
	struct verify_image *image;
	unsigned int block_shift;
};

static int on_block(void *arg, uint64_t block, enum digest_verdict verdict)
{
	struct proving *p = arg;
	uint64_t begin = block << p->block_shift, left = p->image->size - begin;

	if (verdict != DIGEST_SAME)
		return bmf_bits_set(p->image->doubtful, block, 1);
	p->image->known += left >> p->block_shift ? UINT64_C(1) << p->block_shift : left;
	return 0;
}

static int prove_ranges(struct proving *p, struct digest_file *file, struct digester *digester)
{
	struct verify_image *image = p->image;
	size_t block = (size_t)1 << p->block_shift;
	uint64_t offset = 0, first, end;
	bool at_b;
	int r;

	while ((r = holes_next_data_of_two(image->a_fd, image->b_fd, block, offset, image->size,
					   &first, &end, &at_b)) > 0) {
		if (image->tick)
			image->tick(image->tick_arg, first - offset);
		r = digest_file_range(file, digester, first, end - first);
		if (r < 0)
			break;
		offset = end;
	}
	if (r == 0 && image->tick)
		image->tick(image->tick_arg, image->size - offset);
	return r;
}

int verify_digests_prove(struct verify_digests *digests, struct verify_image *image)
{
	struct proving p = { .image = image, .block_shift = digests->key.block_shift };
	struct digest_compare compare = { .record = digests->image, .block = on_block, .arg = &p };
	struct digest_file file = { .fd = image->a_fd,
				    .size = image->size,
				    .ring = image->ring,
				    .tick = image->tick,
				    .tick_arg = image->tick_arg };
	struct digester *digester = NULL;
	int r = digest_compare_init(&digests->key, &compare);

	if (r == 0)
		r = digester_new(digest_seed(&digests->key.replica), p.block_shift,
				 digest_compare_take, &compare, &digester);
	if (r == 0)
		r = prove_ranges(&p, &file, digester);
	digester_free(digester);
	image->failed_offset = file.failed_offset;
	if (r == 0 || r == -ECANCELED || file.at_file)
		return r;
	image->known = 0;
	return 1;
}
