/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_verify.c - mirrorctl verify: calls the engine and lists what differs */
#include "config.h"

#include "tools/command.h"
#include "tools/fail.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/stop.h"
#include "tools/text.h"
#include "tools/verify.h"

#include <stdio.h>

struct listing {
	const struct options *options;
	json_t *differences; /* with OPTION_JSON */
};

static void on_difference(void *arg, const char *path, const char *what, const char *text)
{
	struct listing *listing = arg;
	char quoted[TEXT_NAME];
	json_t *item;

	if (listing->differences) {
		item = json_object();
		json_put_name(item, "path", path);
		json_put_text(item, "what", what);
		json_put_text(item, "text", text);
		json_array_append_new(listing->differences, item);
	} else if (!(listing->options->given & OPTION_QUIET)) {
		progress_clear();
		printf("%s: %s\n", *path ? text_quote(path, quoted, sizeof(quoted)) : ".", text);
	}
}

static int print_json(const struct verify_result *result, json_t *differences)
{
	json_t *document = json_object();

	json_put_bool(document, "same", result->differences == 0);
	json_put_number(document, "images", result->images);
	json_put_number(document, "entries", result->entries);
	json_put_number(document, "bytes_total", result->bytes_total);
	json_put_number(document, "bytes_compared", result->bytes_compared);
	json_put_number(document, "bytes_by_digest", result->bytes_by_digest);
	json_object_set_new(document, "differences", differences);
	json_object_set_new(document, "seconds", json_real(result->seconds));
	return json_print(document);
}

static int print_text(const struct verify_result *result)
{
	char bytes[TEXT_BYTES], digest[TEXT_BYTES], compared[TEXT_BYTES], seconds[TEXT_DURATION];

	if (result->differences == 0)
		printf("same: ");
	else
		printf("%llu difference%s: ", (unsigned long long)result->differences,
		       result->differences == 1 ? "" : "s");
	printf("%llu images, %s, by digest %s, byte by byte %s, %s\n",
	       (unsigned long long)result->images, text_bytes(result->bytes_total, bytes),
	       text_bytes(result->bytes_by_digest, digest),
	       text_bytes(result->bytes_compared, compared),
	       text_duration(result->seconds, seconds));
	return output_finish();
}

static int report(struct listing *listing, const struct verify_result *result)
{
	int r;

	if (listing->differences) {
		r = print_json(result, listing->differences);
		listing->differences = NULL;
	} else {
		r = listing->options->given & OPTION_QUIET ? 0 : print_text(result);
	}
	if (r < 0) {
		output_error("write to standard output: %s", fail_reason(r));
		return EXIT_VERIFY_ERROR;
	}
	return result->differences == 0 ? EXIT_SAME : EXIT_DIFFERS;
}

static int verify_and_report(const struct command *command, char *const args[],
			     struct verify_options *verify_options, const struct options *options)
{
	struct listing listing = { .options = options };
	struct verify_result result;
	struct bmf_error err;
	int r, status;

	if (options->given & OPTION_JSON)
		listing.differences = json_array();
	verify_options->differs = on_difference;
	verify_options->arg = &listing;
	r = verify_run(args[0], args[1], verify_options, &result, &err);
	progress_clear();
	status = r < 0 ? output_failure(command->name, args[1], NULL, EXIT_VERIFY_ERROR, r, &err)
		       : report(&listing, &result);
	json_decref(listing.differences);
	return status;
}

int cmd_verify(const struct command *command, char *const args[], const struct options *options)
{
	struct verify_options verify_options = { .deep = options->given & OPTION_DEEP };
	struct filter filter = { 0 };
	int status = EXIT_USAGE;

	if (command_threads(command, options, &verify_options.threads) == 0 &&
	    command_filter(command, options, &filter) == 0) {
		verify_options.filter = filter_is_empty(&filter) ? NULL : &filter;
		stop_catch();
		status = verify_and_report(command, args, &verify_options, options);
	}
	filter_destroy(&filter);
	return status;
}
