/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_checkpoint.c - mirrorctl checkpoint: makes, lists and deletes named checkpoints of a source
 */
#include "config.h"

#include "tools/action.h"
#include "tools/fail.h"
#include "tools/frozen.h"
#include "tools/json.h"
#include "tools/named.h"
#include "tools/output.h"
#include "tools/since.h"
#include "tools/status.h"
#include "tools/stop.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How often one is made that others crowd out. */
#define TRIES_MAX 5

static int failed(const struct bmf_error *err, int r)
{
	output_error("%s", err->code ? err->text : fail_reason(r));
	return EXIT_FAILURE;
}

/* ---- create ---- */

/*
 * Of a mounted source it is a snapshot as well, until its names have been read; hardly anything has
 * to be preserved for that.
 */
static int make(struct source_view *view, const char *name, const struct options *options,
		struct source_view_commit *ret, struct frozen *frozen, struct bmf_error *err)
{
	struct source_view_request request = { 0 };
	struct bmf_state *state;
	int r = source_view_state(view, &state, err);

	if (r < 0)
		return r;
	if (state->ncheckpoints > 0)
		request.from = state->checkpoints[state->ncheckpoints - 1].number;
	r = frozen_begin(view, state->generation, options, frozen, err);
	bmf_state_free(state);
	if (r < 0)
		return r;
	frozen_ask(frozen, &request);
	r = stop_signal() ? -ECANCELED : source_view_commit(view, &request, ret, err);
	frozen_end(frozen);
	return r < 0 ? r : named_finish(view, &ret->checkpoint, name, err);
}

/* *ret_fresh: it was no source; unchanged if it was. */
static int make_once(const char *path, const char *name, const struct options *options,
		     struct source_view_commit *ret, bool *ret_fresh, struct frozen *frozen,
		     struct bmf_error *err)
{
	struct bmf_error why = { 0 };
	struct source_view view;
	int r = source_view_locate(path, &view, err), closed;

	if (r < 0)
		return r;
	*ret_fresh |= !source_view_has_state(&view);
	r = source_view_track(&view, err);
	if (r == 0)
		r = named_check(&view, name, err);
	if (r == 0)
		r = make(&view, name, options, ret, frozen, err);
	closed = source_view_close(&view, &why);
	if (r == 0 && closed < 0) {
		*err = why;
		r = closed;
	}
	return r;
}

static int print_created(const char *name, const struct source_view_commit *made,
			 const struct frozen *frozen, const struct options *options)
{
	json_t *document;

	if (!(options->given & OPTION_JSON)) {
		if (!(options->given & OPTION_QUIET))
			printf("checkpoint %llu is '%s'\n",
			       (unsigned long long)made->checkpoint.number, name);
		return output_finish();
	}
	document = json_object();
	json_put_text(document, "name", name);
	json_put_checkpoint(document, "checkpoint", made->checkpoint.number,
			    &made->checkpoint.uuid);
	json_put_time(document, "time", made->checkpoint.time_ns);
	json_put_number(document, "images", made->images);
	json_object_set_new(document, "gate_ms", json_real((double)made->gate_ns / 1e6));
	json_object_set_new(document, "names_ms", json_real((double)made->names_ns / 1e6));
	json_object_set_new(document, "frozen_ms", json_real((double)frozen->ns / 1e6));
	return json_print(document);
}

/* Also that of a directory that isn't the one that was meant. */
static void warn_fresh(const char *path)
{
	char name[TEXT_NAME], text[TEXT_NAME + 64];

	snprintf(text, sizeof(text), "'%s' was no source before, and is one now",
		 text_quote(path, name, sizeof(name)));
	output_warning(NULL, text);
}

static int create(const char *path, const char *name, const struct options *options)
{
	struct source_view_commit made = { 0 };
	struct frozen frozen = { 0 };
	struct bmf_error err = { 0 };
	bool hook_failed = false, fresh = false;
	int r = since_check_name(name, &err);

	if (r < 0)
		return failed(&err, r);
	stop_catch();
	r = -EAGAIN;
	for (int try = 0; r == -EAGAIN && try < TRIES_MAX; try++) {
		r = make_once(path, name, options, &made, &fresh, &frozen, &err);
		hook_failed |= frozen.failed;
	}
	if (r < 0)
		return output_failure("checkpoint", path, NULL, EXIT_FAILURE, r, &err);
	if (fresh && !(options->given & OPTION_QUIET))
		warn_fresh(path);
	r = output_status(print_created(name, &made, &frozen, options));
	return hook_failed ? EXIT_FAILURE : r;
}

/* ---- list ---- */

static int print_list_json(const struct points *points)
{
	json_t *document = json_object(), *array = json_array();

	for (size_t i = 0; i < points->n; i++) {
		const struct points_item *item = &points->items[i];
		json_t *object = json_object();

		json_put_number(object, "number", item->checkpoint->number);
		json_put_uuid(object, "uuid", &item->checkpoint->uuid);
		if (item->checkpoint->name)
			json_put_name(object, "name", item->checkpoint->name);
		else
			json_object_set_new(object, "name", json_null());
		json_put_time(object, "time", item->checkpoint->time_ns);
		json_put_number(object, "dirty_bytes", item->dirty);
		json_put_number(object, "replicas", item->replicas);
		json_put_number(object, "held_generations", item->held_generations);
		json_put_number(object, "held_bytes", item->held_nbytes);
		json_array_append_new(array, object);
	}
	json_object_set_new(document, "checkpoints", array);
	return json_print(document);
}

static void print_item(const struct points_item *item)
{
	char when[TEXT_TIME], dirty[TEXT_BYTES], held[TEXT_BYTES], uuid[BMF_UUID_TEXT];
	char name[TEXT_NAME];

	printf("%10llu  %-20s  %10s  %10s  %8llu  %s  %s\n",
	       (unsigned long long)item->checkpoint->number,
	       text_time(item->checkpoint->time_ns, when), text_bytes(item->dirty, dirty),
	       text_bytes(item->held_nbytes, held), (unsigned long long)item->replicas,
	       bmf_uuid_format(&item->checkpoint->uuid, uuid),
	       item->checkpoint->name ? text_quote(item->checkpoint->name, name, sizeof(name))
				      : "-");
}

static int print_list_text(const struct points *points)
{
	if (points->n > 0)
		printf("%10s  %-20s  %10s  %10s  %8s  %-36s  %s\n", "CHECKPOINT", "MADE", "DIRTY",
		       "HELD", "REPLICAS", "UUID", "NAME");
	for (size_t i = 0; i < points->n; i++)
		print_item(&points->items[i]);
	return output_finish();
}

static int list(const char *path, const char *name, const struct options *options)
{
	struct bmf_error err = { 0 };
	struct status status;
	int r = status_read_source(path, &status, &err);

	(void)name;
	if (r < 0)
		return failed(&err, r);
	r = options->given & OPTION_JSON ? print_list_json(&status.points)
					 : print_list_text(&status.points);
	status_destroy(&status);
	return output_status(r);
}

/* ---- delete ---- */

static int delete (const char *path, const char *name, const struct options *options)
{
	struct bmf_error err = { 0 };
	json_t *document;
	int r = named_delete(path, name, &err);

	if (r < 0)
		return failed(&err, r);
	if (!(options->given & OPTION_JSON))
		return EXIT_SUCCESS;
	document = json_object();
	json_put_text(document, "name", name);
	return output_status(json_print(document));
}

/* ---- the verb ---- */

static const struct action actions[] = {
	{ "create", 2, 2, OPTION_JSON | OPTION_QUIET | OPTION_PRE_HOOK | OPTION_POST_HOOK, create },
	{ "list", 1, 1, OPTION_JSON, list },
	{ "delete", 2, 2, OPTION_JSON, delete },
	{ 0 },
};

int cmd_checkpoint(const struct command *command, char *const args[], const struct options *options)
{
	return action_run(command, actions, "a name", args, options);
}
