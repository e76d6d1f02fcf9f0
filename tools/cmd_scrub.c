/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_scrub.c - mirrorctl scrub: proves a replica by its digests, and prints what isn't right */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/publish.h"
#include "tools/scrub.h"
#include "tools/stop.h"
#include "tools/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct listing {
	const struct options *options;
	json_t *found; /* with OPTION_JSON */
	struct progress progress;
};

static void on_found(void *arg, const struct scrub_found *found)
{
	struct listing *listing = arg;
	char quoted[TEXT_NAME];
	json_t *item;

	if (listing->found) {
		item = json_object();
		json_put_name(item, "path", found->image->path);
		json_put_text(item, "what", scrub_word(found->what));
		json_put_number(item, "offset", found->offset);
		json_put_number(item, "bytes", found->nbytes);
		json_array_append_new(listing->found, item);
	} else if (!(listing->options->given & OPTION_QUIET)) {
		progress_end(&listing->progress);
		printf("%s: offset %" PRIu64 ", %" PRIu64 " bytes: %s\n",
		       text_quote(found->image->path, quoted, sizeof(quoted)), found->offset,
		       found->nbytes, scrub_text(found->what));
	}
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	progress_update(&((struct listing *)arg)->progress, done, total);
}

static int print_json(const struct replica *replica, const struct scrub_result *result,
		      json_t *found)
{
	const struct manifest *manifest = &replica->manifest;
	json_t *document = json_object();

	json_put_uuid(document, "replica", &manifest->replica);
	json_put_checkpoint(document, "checkpoint", manifest->checkpoint,
			    &manifest->checkpoint_uuid);
	json_put_bool(document, "proved", result->nfound == 0);
	json_put_number(document, "images", result->images);
	json_put_number(document, "bytes_total", result->bytes_total);
	json_put_number(document, "bytes_proved", result->bytes_proved);
	json_put_number(document, "bytes_damaged", result->bytes_damaged);
	json_put_number(document, "bytes_unknown", result->bytes_unknown);
	json_object_set_new(document, "found", found);
	json_object_set_new(document, "seconds", json_real(result->seconds));
	return json_print(document);
}

static int print_text(const struct replica *replica, const struct scrub_result *result)
{
	char proved[TEXT_BYTES], damaged[TEXT_BYTES], unknown[TEXT_BYTES], seconds[TEXT_DURATION];

	printf("checkpoint %llu: %llu images, proved %s, damaged %s, not to be proved %s, %s\n",
	       (unsigned long long)replica->manifest.checkpoint, (unsigned long long)result->images,
	       text_bytes(result->bytes_proved, proved), text_bytes(result->bytes_damaged, damaged),
	       text_bytes(result->bytes_unknown, unknown), text_duration(result->seconds, seconds));
	return output_finish();
}

static int report(struct listing *listing, const struct replica *replica,
		  const struct scrub_result *result)
{
	int r = 0;

	if (listing->found) {
		r = print_json(replica, result, listing->found);
		listing->found = NULL;
	} else if (!(listing->options->given & OPTION_QUIET)) {
		r = print_text(replica, result);
	}
	if (r < 0) {
		output_error("write to standard output: %s", fail_reason(r));
		return EXIT_VERIFY_ERROR;
	}
	return result->nfound == 0 ? EXIT_SAME : EXIT_DIFFERS;
}

static int scrub(struct replica *replica, struct listing *listing, struct bmf_error *err)
{
	struct scrub_options options = { .found = on_found,
					 .progress = on_progress,
					 .arg = listing };
	struct scrub_result result;
	int r;

	if (!replica->manifest.complete)
		return fail_text(err, -EUCLEAN, "scrub", replica->path, NULL,
				 "it is incomplete, as a sync in place was interrupted: sync it "
				 "first");
	progress_begin(&listing->progress, "proving", !(listing->options->given & OPTION_QUIET));
	r = scrub_run(replica, &options, &result, err);
	progress_end(&listing->progress);
	return r < 0 ? r : report(listing, replica, &result);
}

int cmd_scrub(const struct command *command, char *const args[], const struct options *options)
{
	struct listing listing = { .options = options };
	struct publish_report published = { 0 };
	struct replica replica;
	struct bmf_error err = { 0 };
	char name[TEXT_NAME];
	int r;

	(void)command;
	stop_catch();
	if (options->given & OPTION_JSON)
		listing.found = json_array();
	r = replica_open_alone(args[0], &replica, &err);
	if (r == 0) {
		r = publish(&replica, &published, &err);
		publish_report_destroy(&published);
		if (r == 0)
			r = scrub(&replica, &listing, &err);
		replica_close(&replica);
	}
	json_decref(listing.found);
	if (r == -ECANCELED && stop_signal()) {
		output_error("scrub '%s': stopped by a signal",
			     text_quote(args[0], name, sizeof(name)));
		return EXIT_SIGNAL + stop_signal();
	}
	if (r < 0) {
		output_error("%s", err.text);
		return EXIT_VERIFY_ERROR;
	}
	return r;
}
