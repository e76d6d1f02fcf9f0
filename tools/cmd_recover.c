/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_recover.c - mirrorctl recover: finishes an update of a replica that was interrupted */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/publish.h"
#include "tools/stop.h"
#include "tools/text.h"

#include <stdio.h>
#include <stdlib.h>

static int print_json(const struct manifest *manifest, bool found)
{
	json_t *document = json_object();

	json_put_uuid(document, "replica", &manifest->replica);
	json_put_checkpoint(document, "checkpoint", manifest->checkpoint,
			    &manifest->checkpoint_uuid);
	json_put_bool(document, "complete", manifest->complete);
	json_put_bool(document, "recovered", found);
	return json_print(document);
}

static int print_text(const struct manifest *manifest, bool found)
{
	unsigned long long number = manifest->checkpoint;

	if (manifest_is_adopted(manifest))
		printf("nothing to recover: it was adopted, and the next sync compares it\n");
	else if (!manifest->complete)
		printf("not complete: %s, and the next one makes it good\n",
		       manifest_is_seeded(manifest) ? "no sync to it has been finished yet"
						    : "a sync in place was interrupted");
	else if (found)
		printf("recovered: at checkpoint %llu now\n", number);
	else
		printf("nothing to recover: at checkpoint %llu\n", number);
	return output_finish();
}

static int report(const struct manifest *manifest, bool found, const struct options *options)
{
	int r = 0;

	if (options->given & OPTION_JSON)
		r = print_json(manifest, found);
	else if (!(options->given & OPTION_QUIET))
		r = print_text(manifest, found);
	if (r < 0) {
		output_error("write to standard output: %s; the replica itself is recovered",
			     fail_reason(r));
		return EXIT_FAILURE;
	}
	return manifest->complete ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int recover(struct replica *replica, const struct options *options, struct bmf_error *err)
{
	struct publish_report published;
	int r = publish(replica, 0, &published, err), status = EXIT_FAILURE;

	if (r == 0) {
		publish_tell(&published, output_warning, NULL);
		status = report(&replica->manifest, published.found, options);
	}
	publish_report_destroy(&published);
	return r < 0 ? r : status;
}

int cmd_recover(const struct command *command, char *const args[], const struct options *options)
{
	struct replica replica;
	struct bmf_error err = { 0 };
	int r;

	stop_catch();
	r = replica_open_alone(args[0], &replica, &err);
	if (r == 0) {
		r = recover(&replica, options, &err);
		replica_close(&replica);
	}
	return r < 0 ? output_failure(command->name, args[0], "run it again", EXIT_FAILURE, r, &err)
		     : r;
}
