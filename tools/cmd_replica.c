/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_replica.c - mirrorctl replica: shows the replicas that a source knows, and forgets them */
#include "config.h"

#include "tools/action.h"
#include "tools/fail.h"
#include "tools/output.h"
#include "tools/replicas_json.h"
#include "tools/source_view.h"
#include "tools/status.h"
#include "tools/table.h"
#include "tools/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const struct bmf_error *err, int r)
{
	output_error("%s", err->code ? err->text : fail_reason(r));
	return EXIT_FAILURE;
}

/* ---- list ---- */

static int print_list_json(const struct status *status)
{
	json_t *document = json_object();

	json_object_set_new(document, "replicas",
			    replicas_json(&status->replicas, status->time_ns));
	return json_print(document);
}

static const char *time_or_dash(int64_t time_ns, char buf[TEXT_TIME])
{
	return time_ns ? text_time(time_ns, buf) : "-";
}

static void add_item(struct table *table, const struct replicas_item *item)
{
	char made[TEXT_TIME], seen[TEXT_TIME], dirty[TEXT_BYTES], held[TEXT_BYTES];
	char uuid[BMF_UUID_TEXT], name[TEXT_NAME], begun[64] = "";
	const struct bmf_cursor *cursor = item->cursor;

	table_cellf(table, "%llu", (unsigned long long)cursor->at);
	table_cell(table, time_or_dash(item->at_ns, made));
	table_cell(table, time_or_dash(item->seen_ns, seen));
	table_cell(table, text_bytes(item->dirty, dirty));
	table_cell(table, text_bytes(item->held_nbytes, held));
	table_cell(table, bmf_uuid_format(&cursor->replica, uuid));
	if (cursor->pending)
		snprintf(begun, sizeof(begun), " (a sync to %llu was begun)",
			 (unsigned long long)cursor->pending);
	table_cellf(table, "%s%s", text_quote(cursor->label, name, sizeof(name)), begun);
}

static int print_list_text(const struct replicas *replicas)
{
	struct table *table = table_new();
	int r;

	table_column(table, "CHECKPOINT", TABLE_RIGHT);
	table_column(table, "MADE", TABLE_LEFT);
	table_column(table, "SEEN", TABLE_LEFT);
	table_column(table, "DIRTY", TABLE_RIGHT);
	table_column(table, "HELD", TABLE_RIGHT);
	table_column(table, "UUID", TABLE_LEFT);
	table_column(table, "WHERE", TABLE_LEFT);
	for (size_t i = 0; i < replicas->n; i++)
		add_item(table, &replicas->items[i]);
	r = table_print(table, stdout);
	table_free(table);
	return r < 0 ? r : output_finish();
}

static int list(const char *path, const char *replica, const struct options *options)
{
	struct bmf_error err = { 0 };
	struct status status;
	int r = status_read_source(path, &status, &err);

	(void)replica;
	if (r < 0)
		return failed(&err, r);
	r = options->given & OPTION_JSON ? print_list_json(&status)
					 : print_list_text(&status.replicas);
	status_destroy(&status);
	return output_status(r);
}

/* ---- forget ---- */

/* Only looks, so that a directory that is no source doesn't become one. */
static int find(const char *path, const char *word, struct bmf_uuid *ret, struct bmf_error *err)
{
	struct bmf_state *state;
	int r = source_view_peek(path, &state, err);

	if (r < 0)
		return r;
	r = replicas_find(state, word, ret, err);
	bmf_state_free(state);
	return r;
}

static int print_forgotten(const struct bmf_uuid *replica)
{
	json_t *document = json_object();

	json_put_uuid(document, "replica", replica);
	return json_print(document);
}

static int forget(const char *path, const char *word, const struct options *options)
{
	struct bmf_error err = { 0 }, why = { 0 };
	struct source_view view;
	struct bmf_uuid replica;
	int r = find(path, word, &replica, &err), closed;

	if (r == 0)
		r = source_view_locate(path, &view, &err);
	if (r < 0)
		return failed(&err, r);
	r = source_view_track(&view, &err);
	if (r == 0)
		r = source_view_forget(&view, &replica, &err);
	closed = source_view_close(&view, &why);
	if (r < 0)
		return failed(&err, r);
	if (closed < 0)
		return failed(&why, closed);
	return options->given & OPTION_JSON ? output_status(print_forgotten(&replica))
					    : EXIT_SUCCESS;
}

/* ---- the verb ---- */

static const struct action actions[] = {
	{ "list", 1, 1, OPTION_JSON, list },
	{ "forget", 2, 2, OPTION_JSON, forget },
	{ 0 },
};

int cmd_replica(const struct command *command, char *const args[], const struct options *options)
{
	return action_run(command, actions, "a replica", args, options);
}
