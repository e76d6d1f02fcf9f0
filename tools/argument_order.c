/* SPDX-License-Identifier: GPL-2.0-or-later */
/* argument_order.c - are SOURCE and DEST of a command the wrong way round? */
#include "config.h"

#include "tools/argument_order.h"
#include "tools/fail.h"
#include "tools/manifest.h"
#include "tools/replica.h"
#include "tools/text.h"

#include <errno.h>

/* So that two of each of them, and what is said, are no longer than a message may be. */
#define NAME_MAX_SHOWN (TEXT_NAME / 4)

/* Whoever was switched over, and back, is both: then it is a replica as it was made one last. */
static bool may_be_replica_of(const struct source_view *dest, const struct source_view *view)
{
	struct manifest manifest;
	struct bmf_uuid source;
	bool may;

	if (replica_read_manifest(dest->fd, dest->path, &manifest, NULL) < 0)
		return false;
	may = manifest_is_adopted(&manifest) || (source_view_identify(view, &source) == 0 &&
						 bmf_uuid_equal(&manifest.source, &source));
	manifest_destroy(&manifest);
	return may;
}

static bool is_swapped(const struct source_view *view, const char *dest)
{
	struct source_view other;
	struct manifest manifest;
	struct bmf_uuid source;
	bool swapped = false;

	if (replica_read_manifest(view->fd, view->path, &manifest, NULL) < 0)
		return false;
	if (!manifest_is_adopted(&manifest) && source_view_locate(dest, &other, NULL) == 0) {
		swapped = source_view_identify(&other, &source) == 0 &&
			  bmf_uuid_equal(&manifest.source, &source) &&
			  !may_be_replica_of(&other, view);
		source_view_close(&other, NULL);
	}
	manifest_destroy(&manifest);
	return swapped;
}

int argument_order_check(const char *verb, const struct source_view *view, const char *dest,
			 struct bmf_error *err)
{
	char source_name[NAME_MAX_SHOWN], dest_name[NAME_MAX_SHOWN];

	if (!is_swapped(view, dest))
		return 0;
	text_quote(view->path, source_name, sizeof(source_name));
	text_quote(dest, dest_name, sizeof(dest_name));
	return fail_text(err, -EINVAL, "open source", view->path, NULL,
			 "it is a replica of '%s': are the arguments in the wrong order? "
			 "mirrorctl %s '%s' '%s'",
			 dest_name, verb, dest_name, source_name);
}
