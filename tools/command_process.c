/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command_process.c - the options that are about the process, and not about its task */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/io_priority.h"
#include "tools/lock_wait.h"
#include "tools/output.h"
#include "tools/pace.h"
#include "tools/progress.h"
#include "tools/text.h"

#include <errno.h>
#include <string.h>

/* Says what the option takes. */
static int refuse(const struct command *command, const char *option, const char *takes,
		  const char *value)
{
	char name[TEXT_NAME];

	output_error("%s: --%s takes %s, not '%s'; see mirrorctl help %s", command->name, option,
		     takes, text_quote(value, name, sizeof(name)), command->name);
	return -EINVAL;
}

static int choose_progress(const struct command *command, const struct options *options,
			   enum progress_how *ret)
{
	const char *how = options->given & OPTION_PROGRESS ? options->progress : "auto";

	if (strcmp(how, "auto") == 0)
		*ret = options->given & OPTION_QUIET ? PROGRESS_NONE : PROGRESS_LINE;
	else if (strcmp(how, "json") == 0)
		*ret = PROGRESS_EVENTS;
	else if (strcmp(how, "none") == 0)
		*ret = PROGRESS_NONE;
	else
		return refuse(command, "progress", "auto, json or none", how);
	return 0;
}

/* Less than that is one who has forgotten the unit. */
#define BWLIMIT_MIN 1024

static int choose_bwlimit(const struct command *command, const struct options *options)
{
	uint64_t limit = 0;

	if ((options->given & OPTION_BWLIMIT) &&
	    (text_parse_bytes(options->bwlimit, &limit) < 0 || (limit > 0 && limit < BWLIMIT_MIN)))
		return refuse(command, "bwlimit",
			      "bytes a second, such as 10M, 1K at least, or 0 for no limit",
			      options->bwlimit);
	pace_set_limit(limit);
	return 0;
}

static int choose_io_priority(const struct command *command, const struct options *options)
{
	int priority, r;

	if (!(options->given & OPTION_IO_PRIORITY))
		return 0;
	if (io_priority_parse(options->io_priority, &priority) < 0)
		return refuse(command, "io-priority",
			      "idle, best-effort or realtime, the last two perhaps with a level: "
			      "best-effort:7",
			      options->io_priority);
	r = io_priority_set(priority);
	if (r < 0)
		output_error("%s: --io-priority %s: %s%s", command->name, options->io_priority,
			     fail_reason(r), r == -EPERM ? "; run as root" : "");
	return r;
}

int command_begin(const struct command *command, const struct options *options)
{
	enum progress_how how = PROGRESS_NONE;
	uint64_t lock_timeout = 0;
	int r = choose_progress(command, options, &how);

	if (r == 0 && (options->given & OPTION_LOCK_TIMEOUT))
		r = command_number(command, "lock-timeout", options->lock_timeout, 0, UINT64_MAX,
				   &lock_timeout);
	lock_wait_set_limit(lock_timeout);
	if (r == 0)
		r = choose_bwlimit(command, options);
	if (r == 0)
		r = choose_io_priority(command, options);
	if (r == 0 && (command->options & OPTION_PROGRESS))
		progress_begin(command->name, how);
	return r;
}

void command_end(int status)
{
	progress_end(status);
}
