/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fail.c - messages of the form: verb 'path': reason */
#include "config.h"

#include "tools/fail.h"
#include "tools/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fail_reason(int code)
{
	return bmf_errno_text(code);
}

/* "top/below" as people know it: neither doubled slashes nor a "./" of ours. */
static void join(const char *top, const char *below, char quoted[TEXT_NAME])
{
	const char *slash = "";
	char *path;

	if (!below || !*below) {
		text_quote(top, quoted, TEXT_NAME);
		return;
	}
	if (*top && top[strlen(top) - 1] != '/')
		slash = "/";
	if (asprintf(&path, "%s%s%s", top, slash, below) < 0) {
		text_quote(below, quoted, TEXT_NAME);
		return;
	}
	text_quote(path, quoted, TEXT_NAME);
	free(path);
}

int fail_errno(struct bmf_error *err, int code, const char *verb, const char *top,
	       const char *below)
{
	char quoted[TEXT_NAME];

	join(top, below, quoted);
	return bmf_error_set(err, code, "%s '%s': %s", verb, quoted, fail_reason(code));
}

int fail_text(struct bmf_error *err, int code, const char *verb, const char *top, const char *below,
	      const char *format, ...)
{
	char quoted[TEXT_NAME], reason[512];
	va_list args;

	join(top, below, quoted);
	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return bmf_error_set(err, code, "%s '%s': %s", verb, quoted, reason);
}
