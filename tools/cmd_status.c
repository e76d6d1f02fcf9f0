/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_status.c - mirrorctl status: shows what is known of a source or a replica */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/status_show.h"
#include "tools/status_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INTERVAL_DEFAULT "2s"
#define INTERVAL_MIN_MS 1000
#define INTERVAL_MAX_MS (24 * 3600 * 1000)

static int usage_error(const struct command *command, const char *what)
{
	output_error("%s: %s; see mirrorctl help %s", command->name, what, command->name);
	return command->usage_status;
}

/* The lines of a terminal scroll, but they are only as wide as it is. */
static struct status_room room_of_stdout(void)
{
	struct winsize window = { 0 };

	if (isatty(STDOUT_FILENO))
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
	return (struct status_room){ .columns = window.ws_col };
}

static int print(const struct status *status, const char *path, unsigned int given)
{
	int r;

	if (given & OPTION_JSON)
		return json_print(status_json(status, path));
	r = given & OPTION_PROMETHEUS ? status_prometheus_print(status, path, stdout)
				      : status_table_print(status, path, room_of_stdout(), stdout);
	return r < 0 ? r : output_finish();
}

static int show_once(const char *path, unsigned int given)
{
	struct bmf_error err = { 0 };
	struct status status;
	int r = status_read(path, &status, &err);

	if (r < 0) {
		output_error("%s", err.code ? err.text : fail_reason(r));
		return EXIT_FAILURE;
	}
	r = print(&status, path, given);
	status_destroy(&status);
	if (r < 0)
		output_error("write to standard output: %s", fail_reason(r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cmd_status(const struct command *command, char *const args[], const struct options *options)
{
	unsigned int given = options->given;
	uint64_t interval_ms;

	if ((given & OPTION_PROMETHEUS) && (given & (OPTION_JSON | OPTION_WATCH)))
		return usage_error(command, "--prometheus goes with neither --json nor --watch");
	if (!(given & OPTION_WATCH))
		return given & OPTION_INTERVAL ? usage_error(command, "--interval is for --watch")
					       : show_once(args[0], given);
	if (command_duration(command, "interval",
			     options->interval ? options->interval : INTERVAL_DEFAULT,
			     INTERVAL_MIN_MS, INTERVAL_MAX_MS, &interval_ms) < 0)
		return command->usage_status;
	return status_watch(args[0], interval_ms, given & OPTION_JSON);
}
