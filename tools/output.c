/* SPDX-License-Identifier: GPL-2.0-or-later */
/* output.c - stdout and its errors, and the one form that messages on stderr have */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/stop.h"
#include "tools/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int output_finish(void)
{
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout))
		return errno ? -errno : -EIO;
	return 0;
}

int output_status(int r)
{
	if (r < 0)
		output_error("write to standard output: %s", fail_reason(r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

void output_error(const char *format, ...)
{
	va_list args;

	progress_clear();
	fputs("mirrorctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void output_warning(void *arg, const char *text)
{
	(void)arg;
	output_error("warning: %s", text);
}

int output_failure(const char *verb, const char *path, const char *again, int status, int r,
		   const struct bmf_error *err)
{
	char name[TEXT_NAME];

	if (r == -ECANCELED && stop_signal()) {
		output_error("%s '%s': stopped by a signal%s%s", verb,
			     text_quote(path, name, sizeof(name)), again ? "; " : "",
			     again ? again : "");
		return EXIT_SIGNAL + stop_signal();
	}
	output_error("%s", err->text);
	return status;
}
