/* SPDX-License-Identifier: GPL-2.0-or-later */
/* digest_update.c - the digests of an image whose content is being brought up to date */
#include "config.h"

#include "tools/digest_update.h"
#include "tools/holes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNKNOWN_BATCH 1024

static int set_unknown(struct digests *digests, uint64_t first_block, uint64_t nblocks)
{
	struct digest unknown[UNKNOWN_BATCH];
	uint64_t n;
	int r = 0;

	digest_set_unknown(unknown, UNKNOWN_BATCH);
	for (uint64_t done = 0; r == 0 && done < nblocks; done += n) {
		n = nblocks - done < UNKNOWN_BATCH ? nblocks - done : UNKNOWN_BATCH;
		r = digests_write(digests, first_block + done, n, unknown);
	}
	return r;
}

static int open_digests(int dir_fd, const struct digests_key *key, uint64_t nblocks, bool fresh,
			struct digests **ret)
{
	struct bmf_error why;
	int r = fresh ? -ENOENT : digests_open(&bmf_io_posix, dir_fd, key, true, ret, &why);
	bool made = r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT;

	if (made)
		r = digests_create(&bmf_io_posix, dir_fd, key, ret, &why);
	if (r < 0)
		return r;
	r = digests_set_nblocks(*ret, nblocks);
	if (r == 0 && made && !fresh) /* that is what they are as long as nobody has looked */
		r = set_unknown(*ret, 0, nblocks);
	if (r < 0)
		digests_close(*ret);
	return r;
}

static int take(void *arg, uint64_t first_block, uint64_t n, const struct digest *digests)
{
	return digests_write(arg, first_block, n, digests);
}

int digest_update_begin(int dir_fd, const struct digests_key *key, uint64_t size, bool fresh,
			struct digest_update *ret)
{
	uint64_t nblocks = (size + (UINT64_C(1) << key->block_shift) - 1) >> key->block_shift;
	struct digest_update update = { 0 };
	int r = open_digests(dir_fd, key, nblocks, fresh, &update.digests);

	if (r < 0)
		return r;
	r = digester_new(digest_seed(&key->replica), key->block_shift, take, update.digests,
			 &update.digester);
	if (r < 0) {
		digests_close(update.digests);
		return r;
	}
	*ret = update;
	return 0;
}

int digest_update_forget(struct digest_update *update, uint64_t first_block, uint64_t nblocks)
{
	return set_unknown(update->digests, first_block, nblocks);
}

int digest_update_end(struct digest_update *update, int r)
{
	int closed;

	digester_free(update->digester);
	if (r == 0)
		r = digests_flush(update->digests);
	closed = digests_close(update->digests);
	*update = (struct digest_update){ 0 };
	return r < 0 ? r : closed;
}

/* ---- copying ---- */

static int copy_range_of(int from, int to, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		off_t in = (off_t)offset, out = (off_t)offset;
		ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - offset), 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0; /* it ends here */
		offset += n < 0 ? 0 : (uint64_t)n;
	}
	return 0;
}

static int copy_data(int from, int to)
{
	uint64_t offset = 0, first, end;
	struct stat st;
	int r;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
		return -errno;
	while ((r = holes_next_data(from, offset, (uint64_t)st.st_size, &first, &end)) > 0) {
		r = copy_range_of(from, to, first, end);
		if (r < 0)
			return r;
		offset = end;
	}
	return r;
}

int digest_update_copy(int from_dir_fd, int to_dir_fd, const struct bmf_uuid *image)
{
	char name[BMF_UUID_TEXT];
	int from, to, r;

	bmf_uuid_format(image, name);
	from = openat(from_dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (from < 0)
		return errno == ENOENT ? 0 : -errno;
	to = openat(to_dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = to < 0 ? -errno : copy_data(from, to);
	close(from);
	if (to >= 0 && close(to) < 0 && r == 0)
		r = -errno;
	return r;
}
