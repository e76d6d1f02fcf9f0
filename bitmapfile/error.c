/* SPDX-License-Identifier: GPL-2.0-or-later */
/* error.c - fills a struct bmf_error */
#include "config.h"

#include "bitmapfile/error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *bmf_errno_text(int code)
{
	static _Thread_local char text[128];

	snprintf(text, sizeof(text), "%s", strerror(-code));
	/* "Input/output error", but not "RPC struct is bad" */
	if (isupper((unsigned char)text[0]) && !isupper((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}

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
