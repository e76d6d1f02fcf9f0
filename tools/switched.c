/* SPDX-License-Identifier: GPL-2.0-or-later */
/* switched.c - whom a source that was switched over must not write to any more */
#include "config.h"

#include "tools/switched.h"

#include "bitmapfile/seal_mark.h"
#include "tools/fail.h"

#include <errno.h>

int switched_check(const struct source_view *view, const struct replica *replica,
		   struct bmf_error *err)
{
	struct bmf_error why = { 0 };
	struct bmf_seal seal;
	bool this_one;
	int r = bmf_seal_load(&bmf_io_posix, view->fd, &seal, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return fail_text(err, r, "open source", view->path, NULL,
				 "it may have been switched over: %s; if not: mirrorctl "
				 "switchover --undo",
				 why.text);
	this_one = bmf_uuid_equal(&seal.replica, &replica->manifest.replica);
	bmf_seal_destroy(&seal);
	if (!this_one)
		return 0;
	return fail_text(err, -EROFS, "open source", view->path, NULL,
			 "it was switched over to this replica, which may be ahead of it now; if "
			 "nobody has used that: mirrorctl switchover --undo");
}
