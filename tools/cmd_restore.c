/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_restore.c - mirrorctl restore: makes a plain tree of a checkpoint of a replica */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/restore.h"
#include "tools/stop.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int print_json(const struct restore_result *result)
{
	json_t *document = json_object();

	json_put_uuid(document, "replica", &result->replica);
	json_put_checkpoint(document, "checkpoint", result->checkpoint, &result->checkpoint_uuid);
	json_put_number(document, "deltas", result->deltas);
	json_put_number(document, "refused", result->nrefused);
	json_put_number(document, "images_damaged", result->ndamaged);
	return json_print(document);
}

static int print_text(const struct restore_result *result, const char *out)
{
	char name[TEXT_NAME];

	printf("restored checkpoint %llu to '%s'\n", (unsigned long long)result->checkpoint,
	       text_quote(out, name, sizeof(name)));
	if (result->nrefused > 0)
		output_error("warning: metadata or special files couldn't be restored: %llu "
			     "file(s), such as '%s'",
			     (unsigned long long)result->nrefused,
			     text_quote(result->first_refused ? result->first_refused : "?", name,
					sizeof(name)));
	if (result->ndamaged > 0)
		output_error("warning: restored as they are: %llu image(s) that aren't what was "
			     "written to the replica, such as '%s' at offset %llu; mirrorctl scrub "
			     "tells all",
			     (unsigned long long)result->ndamaged,
			     text_quote(result->first_damaged ? result->first_damaged : "?", name,
					sizeof(name)),
			     (unsigned long long)result->first_offset);
	return output_finish();
}

static int report(const struct restore_result *result, const char *out,
		  const struct options *options)
{
	int r = 0;

	if (options->given & OPTION_JSON)
		r = print_json(result);
	else if (!(options->given & OPTION_QUIET))
		r = print_text(result, out);
	if (r == 0)
		return result->ndamaged > 0 ? EXIT_RESTORED_DAMAGE : EXIT_SUCCESS;
	output_error("write to standard output: %s; the tree itself is restored", fail_reason(r));
	return EXIT_FAILURE;
}

int cmd_restore(const struct command *command, char *const args[], const struct options *options)
{
	struct restore_result result;
	struct bmf_error err;
	char name[TEXT_NAME];
	int r, status = EXIT_FAILURE;

	(void)command;
	stop_catch();
	r = restore(args[0], options->at, args[1], &result, &err);
	if (r == 0)
		status = report(&result, args[1], options);
	else if (err.code)
		output_error("%s", err.text);
	else
		output_error("restore to '%s': %s", text_quote(args[1], name, sizeof(name)),
			     r == -ECANCELED ? "stopped by a signal" : fail_reason(r));
	if (r == -ECANCELED && stop_signal())
		status = EXIT_SIGNAL + stop_signal();
	restore_result_destroy(&result);
	return status;
}
