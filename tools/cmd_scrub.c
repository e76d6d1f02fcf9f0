/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_scrub.c - mirrorctl scrub: proves a replica by its digests, and prints what isn't right */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/publish.h"
#include "tools/scrub_repair.h"
#include "tools/stop.h"
#include "tools/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct listing {
	const struct options *options;
	unsigned int threads;
	json_t *found;		    /* with OPTION_JSON */
	struct scrub_repair repair; /* with OPTION_REPAIR */
	int error;		    /* of noting something to be repaired */
};

/* left: NULL without a repair. */
static json_t *found_json(const struct scrub_found *found, const enum scrub_left *left)
{
	json_t *item = json_object();

	json_put_name(item, "path", found->image->path);
	json_put_text(item, "what", scrub_word(found->what));
	json_put_number(item, "offset", found->offset);
	json_put_number(item, "bytes", found->nbytes);
	if (left)
		json_put_bool(item, "repaired", *left == SCRUB_REPAIRED);
	if (left && *left != SCRUB_REPAIRED)
		json_put_text(item, "left", scrub_left_word(*left));
	return item;
}

static void tell(struct listing *listing, const struct scrub_found *found,
		 const enum scrub_left *left)
{
	char quoted[TEXT_NAME];

	if (listing->found) {
		json_array_append_new(listing->found, found_json(found, left));
	} else if (!(listing->options->given & OPTION_QUIET)) {
		progress_clear();
		printf("%s: offset %" PRIu64 ", %" PRIu64 " bytes: %s%s%s\n",
		       text_quote(found->image->path, quoted, sizeof(quoted)), found->offset,
		       found->nbytes, scrub_text(found->what), left ? ": " : "",
		       left ? scrub_left_text(*left) : "");
	}
}

static void on_found(void *arg, const struct scrub_found *found)
{
	struct listing *listing = arg;

	if (!(listing->options->given & OPTION_REPAIR))
		tell(listing, found, NULL);
	else if (listing->error == 0)
		listing->error = scrub_repair_note(&listing->repair, found);
}

static void on_done(void *arg, const struct scrub_found *part, enum scrub_left left)
{
	tell(arg, part, &left);
}

static int print_json(const struct replica *replica, const struct scrub_result *result,
		      const struct listing *listing)
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
	if (listing->options->given & OPTION_REPAIR)
		json_put_number(document, "bytes_repaired", listing->repair.bytes_repaired);
	json_object_set(document, "found", listing->found);
	json_object_set_new(document, "seconds", json_real(result->seconds));
	return json_print(document);
}

static int print_text(const struct replica *replica, const struct scrub_result *result,
		      const struct listing *listing)
{
	char repaired[TEXT_BYTES], proved[TEXT_BYTES], damaged[TEXT_BYTES], unknown[TEXT_BYTES],
		seconds[TEXT_DURATION];

	printf("checkpoint %llu: %llu images, proved %s, damaged %s, not to be proved %s, ",
	       (unsigned long long)replica->manifest.checkpoint, (unsigned long long)result->images,
	       text_bytes(result->bytes_proved, proved), text_bytes(result->bytes_damaged, damaged),
	       text_bytes(result->bytes_unknown, unknown));
	if (listing->options->given & OPTION_REPAIR)
		printf("repaired %s, ", text_bytes(listing->repair.bytes_repaired, repaired));
	printf("%s\n", text_duration(result->seconds, seconds));
	return output_finish();
}

static int report(struct listing *listing, const struct replica *replica,
		  const struct scrub_result *result)
{
	int r = 0;

	if (listing->found) {
		r = print_json(replica, result, listing);
	} else if (!(listing->options->given & OPTION_QUIET)) {
		r = print_text(replica, result, listing);
	}
	if (r < 0) {
		output_error("write to standard output: %s", fail_reason(r));
		return EXIT_VERIFY_ERROR;
	}
	return result->nfound == 0 || (listing->options->given & OPTION_REPAIR &&
				       listing->repair.nleft == 0)
		       ? EXIT_SAME
		       : EXIT_DIFFERS;
}

static int repair(struct replica *replica, struct listing *listing, struct bmf_error *err)
{
	if (listing->error < 0)
		return fail_errno(err, listing->error, "repair", replica->path, NULL);
	if (listing->repair.nfound == 0)
		return 0;
	return scrub_repair_run(&listing->repair, listing->options->repair, replica, err);
}

static int scrub(struct replica *replica, struct listing *listing, struct bmf_error *err)
{
	struct scrub_options options = { .threads = listing->threads,
					 .found = on_found,
					 .arg = listing };
	struct scrub_result result;
	int r;

	if (!replica->manifest.complete)
		return fail_text(err, -EUCLEAN, "scrub", replica->path, NULL, "%s: sync it first",
				 manifest_why_incomplete(&replica->manifest));
	r = scrub_run(replica, &options, &result, err);
	if (r == 0)
		r = repair(replica, listing, err);
	progress_clear();
	return r < 0 ? r : report(listing, replica, &result);
}

int cmd_scrub(const struct command *command, char *const args[], const struct options *options)
{
	struct listing listing = { .options = options };
	struct publish_report published = { 0 };
	struct replica replica;
	struct bmf_error err = { 0 };
	int r;

	listing.repair = (struct scrub_repair){ .done = on_done, .arg = &listing };
	if (command_threads(command, options, &listing.threads) < 0)
		return EXIT_USAGE;
	stop_catch();
	if (options->given & OPTION_JSON)
		listing.found = json_array();
	r = options->repair ? replica_open_alone(args[0], &replica, &err)
			    : replica_open_to_read(args[0], &replica, &err);
	if (r == 0) {
		r = replica.read_only ? publish_check_done(&replica, command->name, &err)
				      : publish(&replica, listing.threads, &published, &err);
		publish_tell(&published, output_warning, NULL);
		publish_report_destroy(&published);
		if (r == 0)
			r = scrub(&replica, &listing, &err);
		replica_close(&replica);
	}
	scrub_repair_destroy(&listing.repair);
	json_decref(listing.found);
	return r < 0 ? output_failure(command->name, args[0], NULL, EXIT_VERIFY_ERROR, r, &err) : r;
}
