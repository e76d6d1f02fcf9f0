/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_snapshot.c - mirrorctl snapshot: makes, lists and deletes snapshots of a mounted source */
#include "config.h"

#include "tools/action.h"
#include "tools/fail.h"
#include "tools/frozen.h"
#include "tools/json.h"
#include "tools/named.h"
#include "tools/output.h"
#include "tools/snapshots.h"
#include "tools/stop.h"
#include "tools/table.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How many names are tried, when that of this second is taken. */
#define NAMES_MAX 100

/* ---- create ---- */

/* Of this second; try: 0, then 1 and so on while it is taken. */
static void choose_name(int try, char ret[MFS_SNAPSHOT_NAME_MAX + 1])
{
	char now[TEXT_TIME];

	text_time((int64_t)time(NULL) * 1000000000, now);
	if (try == 0)
		snprintf(ret, MFS_SNAPSHOT_NAME_MAX + 1, "%s", now);
	else
		snprintf(ret, MFS_SNAPSHOT_NAME_MAX + 1, "%s.%d", now, try + 1);
}

static int commit(struct source_view *view, const char *name, char chosen[], bool reads,
		  struct frozen *frozen, struct source_view_commit *ret, struct bmf_error *err)
{
	struct source_view_request request = { .name = name ? name : chosen, .reads = reads };
	int r = -EEXIST;

	frozen_ask(frozen, &request);
	for (int try = 0; r == -EEXIST && try < NAMES_MAX; try++) {
		if (!name)
			choose_name(try, chosen);
		r = source_view_commit(view, &request, ret, err);
		if (name)
			break;
	}
	return r;
}

static int print_created(const struct source_view *view, const char *name,
			 const struct source_view_commit *made, uint64_t frozen_ns,
			 const struct options *options)
{
	char *path = snapshots_path(view, name);
	json_t *document;

	if (!path)
		return -ENOMEM;
	if (!(options->given & OPTION_JSON)) {
		puts(path);
		free(path);
		return output_finish();
	}
	document = json_object();
	json_put_text(document, "name", name);
	json_put_name(document, "path", path);
	json_put_checkpoint(document, "checkpoint", made->checkpoint.number,
			    &made->checkpoint.uuid);
	json_put_bool(document, "checkpoint_named", options->given & OPTION_CHECKPOINT);
	json_put_time(document, "time", made->checkpoint.time_ns);
	json_put_number(document, "images", made->images);
	json_object_set_new(document, "gate_ms", json_real((double)made->gate_ns / 1e6));
	json_object_set_new(document, "names_ms", json_real((double)made->names_ns / 1e6));
	json_object_set_new(document, "frozen_ms", json_real((double)frozen_ns / 1e6));
	free(path);
	return json_print(document);
}

static int stopped(const char *what)
{
	output_error("%s: stopped by a signal", what);
	return EXIT_SIGNAL + stop_signal();
}

/* Before hooks are run and anything is made. */
static int check(struct source_view *view, const char *name, const struct options *options,
		 struct bmf_error *err)
{
	bool named = options->given & OPTION_CHECKPOINT;
	int r = name ? snapshots_check_name(name, err) : 0;

	if (r == 0 && named)
		r = source_view_track(view, err);
	if (r == 0 && named && name)
		r = named_check(view, name, err);
	return r;
}

/* A snapshot that was to have a named checkpoint, and hasn't, is none. */
static int name_checkpoint(struct source_view *view, const char *name,
			   const struct source_view_commit *made, struct bmf_error *err)
{
	int r = named_finish(view, &made->checkpoint, name, err);

	if (r < 0)
		snapshots_delete(view, name, NULL);
	return r;
}

static int create(struct source_view *view, const char *name, const struct options *options)
{
	bool named = options->given & OPTION_CHECKPOINT;
	char chosen[MFS_SNAPSHOT_NAME_MAX + 1] = "";
	struct source_view_commit made = { 0 };
	struct frozen frozen = { 0 };
	struct bmf_error err = { 0 };
	int r;

	stop_catch();
	r = check(view, name, options, &err);
	if (r == 0)
		r = frozen_begin(view, view->info.generation, options, &frozen, &err);
	if (r < 0) {
		output_error("%s", err.text);
		return EXIT_FAILURE;
	}
	r = stop_signal() ? -ECANCELED : commit(view, name, chosen, named, &frozen, &made, &err);
	frozen_end(&frozen);
	if (r == 0 && named)
		r = name_checkpoint(view, name ? name : chosen, &made, &err);
	if (r == -ECANCELED)
		return stopped("snapshot");
	if (r < 0) {
		output_error("%s", err.text);
		return EXIT_FAILURE;
	}
	r = output_status(print_created(view, name ? name : chosen, &made, frozen.ns, options));
	return frozen.failed ? EXIT_FAILURE : r;
}

/* ---- list ---- */

static int print_list_json(const struct source_view *view, const struct snapshots_list *list)
{
	json_t *document = json_object(), *array = json_array();

	for (size_t i = 0; i < list->n; i++) {
		const struct mfs_control_snapshot_info *info = &list->items[i];
		char *path = snapshots_path(view, info->name);
		json_t *object = json_object();

		if (!path)
			return -ENOMEM;
		json_put_text(object, "name", info->name);
		json_put_name(object, "path", path);
		json_put_checkpoint(object, "checkpoint", info->number, &info->uuid);
		json_put_time(object, "time", info->time_ns);
		json_put_number(object, "images", info->images);
		json_put_number(object, "preserved_bytes", info->preserved);
		json_put_bool(object, "in_sync", info->owned);
		json_put_bool(object, "broken", info->broken != 0);
		if (info->broken != 0)
			json_put_text(object, "reason", info->reason);
		json_array_append_new(array, object);
		free(path);
	}
	json_object_set_new(document, "snapshots", array);
	return json_print(document);
}

static void add_snapshot(struct table *table, const struct mfs_control_snapshot_info *info)
{
	char when[TEXT_TIME], bytes[TEXT_BYTES], name[TEXT_NAME], reason[TEXT_NAME];

	table_cellf(table, "%llu", (unsigned long long)info->number);
	table_cell(table, text_time(info->time_ns, when));
	table_cellf(table, "%llu", (unsigned long long)info->images);
	table_cell(table, text_bytes(info->preserved, bytes));
	table_cellf(table, "%s%s%s%s%s", text_quote(info->name, name, sizeof(name)),
		    info->owned ? " (used by a sync)" : "", info->broken != 0 ? " (broken: " : "",
		    info->broken != 0 ? text_quote(info->reason, reason, sizeof(reason)) : "",
		    info->broken != 0 ? ")" : "");
}

static int print_list_text(const struct snapshots_list *list)
{
	struct table *table = table_new();
	int r;

	table_column(table, "CHECKPOINT", TABLE_RIGHT);
	table_column(table, "TIME", TABLE_LEFT);
	table_column(table, "IMAGES", TABLE_RIGHT);
	table_column(table, "PRESERVED", TABLE_RIGHT);
	table_column(table, "NAME", TABLE_LEFT);
	for (size_t i = 0; i < list->n; i++)
		add_snapshot(table, &list->items[i]);
	r = table_print(table, stdout);
	table_free(table);
	return r < 0 ? r : output_finish();
}

static int list(struct source_view *view, const char *name, const struct options *options)
{
	struct snapshots_list snapshots;
	struct bmf_error err;
	int r = snapshots_list(view, &snapshots, &err);

	(void)name;
	if (r < 0) {
		output_error("%s", err.text);
		return EXIT_FAILURE;
	}
	r = options->given & OPTION_JSON ? print_list_json(view, &snapshots)
					 : print_list_text(&snapshots);
	snapshots_list_destroy(&snapshots);
	return output_status(r);
}

/* ---- delete ---- */

static int delete (struct source_view *view, const char *name, const struct options *options)
{
	struct bmf_error err;
	json_t *document;

	if (snapshots_delete(view, name, &err) < 0) {
		output_error("%s", err.text);
		return EXIT_FAILURE;
	}
	if (!(options->given & OPTION_JSON))
		return EXIT_SUCCESS;
	document = json_object();
	json_put_text(document, "name", name);
	return output_status(json_print(document));
}

/* ---- the verb ---- */

static int with_view(const char *source, const char *name, const struct options *options,
		     int (*run)(struct source_view *view, const char *name,
				const struct options *options))
{
	struct source_view view;
	struct bmf_error err;
	int status;

	if (snapshots_open(source, &view, &err) < 0) {
		output_error("%s", err.text);
		return EXIT_FAILURE;
	}
	status = run(&view, name, options);
	source_view_close(&view, NULL);
	return status;
}

static int run_create(const char *source, const char *name, const struct options *options)
{
	return with_view(source, name, options, create);
}

static int run_list(const char *source, const char *name, const struct options *options)
{
	return with_view(source, name, options, list);
}

static int run_delete(const char *source, const char *name, const struct options *options)
{
	return with_view(source, name, options, delete);
}

static const struct action actions[] = {
	{ "create", 1, 2, OPTION_JSON | OPTION_CHECKPOINT | OPTION_PRE_HOOK | OPTION_POST_HOOK,
	  run_create },
	{ "list", 1, 1, OPTION_JSON, run_list },
	{ "delete", 2, 2, OPTION_JSON, run_delete },
	{ 0 },
};

int cmd_snapshot(const struct command *command, char *const args[], const struct options *options)
{
	return action_run(command, actions, "a name", args, options);
}
