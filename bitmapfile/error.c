/* SPDX-License-Identifier: GPL-2.0-or-later */
/* error.c - fills a struct bmf_error */
#include "config.h"

#include "bitmapfile/error.h"

#include <stdarg.h>
#include <stdio.h>

int bmf_error_set(struct bmf_error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}
