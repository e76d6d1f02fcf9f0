/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * adopt.c - makes a directory the replica of whichever source syncs to it next
 *
 * Digests are kept of images whose files are as they were published.  Of a replica that was copied,
 * with its state, none is; it gets a UUID of its own then, as a source knows its replicas by that.
 * Nor are any kept when an update is given up: it may have been published in part (I2), and
 * the digests are those of either side.
 */
#include "config.h"

#include "tools/adopt.h"
#include "tools/beneath.h"
#include "tools/fail.h"
#include "tools/full.h"
#include "tools/journal.h"
#include "tools/publish.h"
#include "tools/replica.h"
#include "tools/switched.h"

#include "bitmapfile/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Is it the journal, and not the moment, that keeps it from being published? */
static bool is_hopeless(int code)
{
	return code == -EBADMSG || code == -ESTALE || code == -EUCLEAN ||
	       code == -EPROTONOSUPPORT || code == -EPROTO;
}

/* Nothing is given up that is as good as done. */
static int publish_first(struct replica *replica, struct adopt_result *result,
			 struct bmf_error *err)
{
	struct publish_report report;
	int r;

	if (!replica->has_manifest) {
		r = journal_open(replica->store->dir_fd);
		if (r < 0)
			return r == -ENOENT
				       ? 0
				       : fail_errno(err, r, "open journal of", replica->path, NULL);
		close(r);
		result->gave_up = true;
		bmf_error_set(&result->why, -EBADMSG, "the replica's own state is damaged");
		return 0;
	}
	r = publish(replica, 0, &report, &result->why);
	publish_report_destroy(&report);
	result->gave_up = is_hopeless(r);
	if (r < 0 && !result->gave_up)
		*err = result->why;
	return result->gave_up ? 0 : r;
}

static bool is_as_published(const struct replica *replica, const struct manifest_image *image)
{
	int fd = beneath_open(replica->fd, image->path, O_PATH | O_NOFOLLOW, 0);
	struct bmf_stamp stamp;
	bool same;

	if (fd < 0)
		return false;
	same = bmf_stamp_take(&bmf_io_posix, fd, &stamp) == 0 &&
	       bmf_stamp_equal(&stamp, &image->stamp);
	close(fd);
	return same;
}

static int list_known(const struct replica *replica, struct manifest *next)
{
	const struct manifest *manifest = &replica->manifest;
	int r = 0;

	for (size_t i = 0; r == 0 && i < manifest->nimages; i++) {
		const struct manifest_image *image = &manifest->images[i];

		if (is_as_published(replica, image))
			r = manifest_add(next, &image->image, image->path, FULL_ADOPTED, false,
					 &image->stamp);
	}
	return r;
}

static int save(struct replica *replica, struct adopt_result *result, struct bmf_error *err)
{
	const struct manifest *old = &replica->manifest;
	struct manifest next = { .replica = old->replica, .block_shift = old->block_shift };
	int r = 0;

	if (old->complete && !result->gave_up)
		r = list_known(replica, &next);
	if (r == 0 && next.nimages == 0)
		r = bmf_uuid_generate(&next.replica);
	result->images = next.nimages;
	result->replica = next.replica;
	if (r < 0)
		fail_errno(err, r, "adopt", replica->path, NULL);
	else
		r = replica_save(replica, &next, err);
	manifest_destroy(&next);
	return r;
}

/* After the manifest: until then it is what it was. */
static int clean_up(struct replica *replica, struct bmf_error *err)
{
	int r = journal_remove(replica->store->dir_fd);

	if (r == 0)
		r = journal_discard(replica->store->dir_fd);
	return r < 0 ? fail_errno(err, r, "clean up", replica->path, BMF_STATE_DIR) : 0;
}

int adopt_run(const char *path, struct adopt_result *ret, struct bmf_error *err)
{
	struct adopt_result result = { 0 };
	struct replica replica;
	int r = replica_open_any(path, &replica, err);

	if (r < 0)
		return r;
	r = switched_check_dest(&replica, "adopt", err);
	if (r == 0)
		r = publish_first(&replica, &result, err);
	if (r == 0)
		r = save(&replica, &result, err);
	if (r == 0)
		r = clean_up(&replica, err);
	replica_close(&replica);
	if (r == 0)
		*ret = result;
	return r;
}
