/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source_seal.c - a source that is held, and sealed, by way of its mirrorfs or without one */
#include "config.h"

#include "tools/source_seal.h"

#include "tools/fail.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>

int source_seal_check(const struct source_view *view, struct bmf_error *err)
{
	char name[TEXT_NAME / 2], when[TEXT_TIME];
	struct bmf_error why = { 0 };
	struct bmf_seal seal;
	int r = bmf_seal_load(&bmf_io_posix, view->fd, &seal, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return fail_text(err, r, "switch over", view->path, NULL,
				 "it may have been already: %s; if not: mirrorctl switchover "
				 "--undo",
				 why.text);
	fail_text(err, -EROFS, "switch over", view->path, NULL,
		  seal.number
			  ? "it was switched over already, to '%s', at %s; if guests don't run "
			    "from there: mirrorctl switchover --undo"
			  : "somebody began to, to '%s', at %s, and didn't end; to begin again: "
			    "mirrorctl switchover --undo",
		  text_quote(seal.label, name, sizeof(name)), text_time(seal.time_ns, when));
	bmf_seal_destroy(&seal);
	return -EROFS;
}

static int fail_hold(const struct source_view *view, int r, struct bmf_error *err)
{
	const char *verb = "hold changes of";

	switch (r) {
	case -EBUSY:
		return fail_text(err, r, verb, view->path, NULL,
				 "another switchover is under way; wait for it");
	case -EROFS:
		return fail_text(err, r, verb, view->path, NULL, "it was switched over already");
	case -ETIMEDOUT:
		return fail_text(err, r, verb, view->path, NULL,
				 "a write has been in flight for too long, and guests go on: try "
				 "again when the storage answers");
	default:
		return fail_errno(err, r, verb, view->path, NULL);
	}
}

int source_seal_hold(const struct source_view *view, uint64_t timeout_ms, struct bmf_error *err)
{
	struct mfs_control_hold hold = { .version = MFS_CONTROL_VERSION,
					 .timeout_ms = (uint32_t)timeout_ms };

	return ioctl(view->mount_fd, MFS_CONTROL_HOLD, &hold) < 0 ? fail_hold(view, -errno, err)
								  : 0;
}

void source_seal_let_go(const struct source_view *view)
{
	struct mfs_control_hold hold = { .version = MFS_CONTROL_VERSION };

	/* a failure: there is no mirrorfs that could hold anything */
	(void)ioctl(view->mount_fd, MFS_CONTROL_HOLD, &hold);
}

static int fail_seal(const struct source_view *view, int r, struct bmf_error *err)
{
	const char *verb = "seal";

	switch (r) {
	case -ETIMEDOUT:
		return fail_text(err, r, verb, view->path, NULL,
				 "the last sync took longer than writes may be held, and guests go "
				 "on: try again, or with a longer --timeout");
	case -EUSERS:
		return fail_text(err, r, verb, view->path, NULL,
				 "more writes had to wait at a time than mirrorfs can hold, and "
				 "guests go on: try again when less is written");
	case -ENOTCONN:
	case -ECONNABORTED:
		return fail_text(err, r, verb, view->path, NULL,
				 "its mirrorfs is gone; mount it again, and see mirrorctl status "
				 "for whether it was sealed");
	default:
		return fail_text(err, r, verb, view->path, NULL,
				 "%s; nothing was switched over, and guests go on", fail_reason(r));
	}
}

static int set_mounted(const struct source_view *view, const struct bmf_seal *seal,
		       struct bmf_error *err)
{
	struct mfs_control_seal message = { .version = MFS_CONTROL_VERSION,
					    .replica = seal->replica,
					    .uuid = seal->checkpoint,
					    .number = seal->number };

	snprintf(message.label, sizeof(message.label), "%s", seal->label);
	return ioctl(view->mount_fd, MFS_CONTROL_SEAL, &message) < 0 ? fail_seal(view, -errno, err)
								     : 0;
}

int source_seal_set(const struct source_view *view, const struct bmf_seal *seal,
		    struct bmf_error *err)
{
	int r;

	if (view->mount_fd >= 0)
		return set_mounted(view, seal, err);
	r = bmf_seal_save(&bmf_io_posix, view->fd, seal);
	return r < 0 ? fail_errno(err, r, "seal", view->path, NULL) : 0;
}

/* Locked, or it might be mounted between, and think of itself as sealed. */
static int undo_unmounted(struct source_view *view, struct bmf_error *err)
{
	int r = source_view_read(view, err);

	if (r == -ENOENT)
		return -EINVAL;
	if (r < 0)
		return r;
	r = bmf_seal_remove(&bmf_io_posix, view->fd);
	if (r == -ENOENT)
		return -EINVAL;
	return r < 0 ? fail_errno(err, r, "undo switchover of", view->path, NULL) : 0;
}

int source_seal_undo(struct source_view *view, struct bmf_error *err)
{
	struct mfs_control_seal message = { .version = MFS_CONTROL_VERSION,
					    .flags = MFS_SEAL_UNDO };
	int r = 0;

	if (view->mount_fd < 0)
		r = undo_unmounted(view, err);
	else if (ioctl(view->mount_fd, MFS_CONTROL_SEAL, &message) < 0)
		r = -errno;
	if (r == -EINVAL)
		return fail_text(err, r, "undo switchover of", view->path, NULL,
				 "it wasn't switched over");
	return r < 0 && view->mount_fd >= 0
		       ? fail_errno(err, r, "undo switchover of", view->path, NULL)
		       : r;
}
