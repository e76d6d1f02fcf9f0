/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify_digests.c - what a replica says of its images, so that a verify need not read them */
#include "config.h"

#include "tools/beneath.h"
#include "tools/fail.h"
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
	digests.seed = digest_seed(&digests.manifest.replica);
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
	struct digests_key key;
	struct bmf_stamp stamp;
	struct bmf_error why;

	image = digests->dir_fd < 0 ? NULL : manifest_find_path(manifest, path);
	if (!image || bmf_stamp_take(&bmf_io_posix, fd, &stamp) < 0 ||
	    !bmf_stamp_equal(&stamp, &image->stamp))
		return false;
	key = (struct digests_key){ manifest->replica, image->image, manifest->block_shift };
	if (digests_open(&bmf_io_posix, digests->dir_fd, &key, false, &digests->image, &why) < 0)
		digests->image = NULL;
	return digests->image != NULL;
}

void verify_digests_end(struct verify_digests *digests)
{
	digests_close(digests->image);
	digests->image = NULL;
}

bool verify_digests_have(struct verify_digests *digests, const void *block, uint64_t offset)
{
	unsigned int shift = digests->manifest.block_shift;
	struct digest wanted, is = digest_of(block, (size_t)1 << shift, digests->seed);

	return digests_read(digests->image, offset >> shift, 1, &wanted) == 0 &&
	       digest_is_known(&wanted) && digest_equal(&wanted, &is);
}
