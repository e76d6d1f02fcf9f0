/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_adopt.c - mirrorctl adopt: makes a directory the replica of whichever source comes next */
#include "config.h"

#include "tools/adopt.h"
#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/stop.h"

#include <stdio.h>
#include <stdlib.h>

static int print_json(const struct adopt_result *result)
{
	json_t *document = json_object();

	json_put_uuid(document, "replica", &result->replica);
	json_put_number(document, "images_known", result->images);
	json_put_bool(document, "gave_up_update", result->gave_up);
	return json_print(document);
}

static int print_text(const struct adopt_result *result)
{
	if (result->gave_up)
		output_error("warning: gave up an update that couldn't be published: %s",
			     result->why.text);
	printf("adopted: the next sync to it compares each image with its source's by digest, "
	       "and removes what its source hasn't\n");
	return output_finish();
}

static int report(const struct adopt_result *result, const struct options *options)
{
	int r = 0;

	if (options->given & OPTION_JSON)
		r = print_json(result);
	else if (!(options->given & OPTION_QUIET))
		r = print_text(result);
	if (r < 0) {
		output_error("write to standard output: %s; the replica is adopted",
			     fail_reason(r));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int cmd_adopt(const struct command *command, char *const args[], const struct options *options)
{
	struct adopt_result result;
	struct bmf_error err = { 0 };
	int r;

	stop_catch();
	r = adopt_run(args[0], &result, &err);
	return r == 0 ? report(&result, options)
		      : output_failure(command->name, args[0], "run it again", EXIT_FAILURE, r,
				       &err);
}
