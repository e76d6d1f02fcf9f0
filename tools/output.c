/* SPDX-License-Identifier: GPL-2.0-or-later */
/* output.c - stdout and its errors, and the one form that messages on stderr have */
#include "config.h"

#include "tools/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int output_finish(void)
{
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout))
		return errno ? -errno : -EIO;
	return 0;
}

void output_error(const char *format, ...)
{
	va_list args;

	fputs("mirrorctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
