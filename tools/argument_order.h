/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * argument_order.h - are SOURCE and DEST of a command the wrong way round?
 *
 * All that is asked for elsewhere would refuse it too, but for reasons whose ways out lead to
 * images in use being overwritten.  Only looks, and takes no lock.  Not thread safe.
 */
#ifndef TOOLS_ARGUMENT_ORDER_H
#define TOOLS_ARGUMENT_ORDER_H

#include "tools/source_view.h"

/*
 * -EINVAL, with the command `verb` as it was meant: view, the source that was given, is a replica
 * of the source that dest is.  0: it isn't, or nobody knows, or dest has become a replica since.
 */
int argument_order_check(const char *verb, const struct source_view *view, const char *dest,
			 struct bmf_error *err);

#endif
