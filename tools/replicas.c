/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replicas.c - the replicas that a source knows, and what it keeps for each of them */
#include "config.h"

#include "tools/fail.h"
#include "tools/held.h"
#include "tools/replicas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DAY_NS (INT64_C(24) * 3600 * 1000000000)

static int64_t time_of(const struct bmf_state *state, uint64_t number)
{
	const struct bmf_checkpoint *found = bmf_state_checkpoint(state, number);

	return found ? found->time_ns : 0;
}

/* What there would be less of without the replica. */
static int note_held(const struct bmf_state *state, struct replicas_item *item)
{
	int r = bmf_state_copy(state, &item->without);

	if (r == 0)
		r = bmf_state_forget(item->without, &item->cursor->replica);
	if (r < 0)
		return r;
	item->held_generations = held_generations(state, item->without, &item->oldest);
	if (item->held_generations == 0) {
		bmf_state_free(item->without);
		item->without = NULL;
	}
	return 0;
}

int replicas_begin(const struct bmf_state *state, struct replicas *ret)
{
	struct replicas replicas = { .state = state };
	int r = 0;

	replicas.items = calloc(state->ncursors + 1, sizeof(*replicas.items));
	if (!replicas.items)
		return -ENOMEM;
	for (; r == 0 && replicas.n < state->ncursors; replicas.n++) {
		struct replicas_item *item = &replicas.items[replicas.n];
		int64_t begun;

		item->cursor = &state->cursors[replicas.n];
		item->at_ns = time_of(state, item->cursor->at);
		begun = time_of(state, item->cursor->pending);
		item->seen_ns = item->cursor->time_ns > begun ? item->cursor->time_ns : begun;
		r = note_held(state, item);
		replicas.any_held = replicas.any_held || item->without;
	}
	if (r < 0)
		replicas_destroy(&replicas);
	else
		*ret = replicas;
	return r;
}

int replicas_measure(struct replicas *replicas, const struct bmf_sidecar *sidecar)
{
	struct bmf_chain_room with;
	int r = 0;

	if (!replicas->any_held)
		return 0;
	r = bmf_chain_measure(sidecar, replicas->state, &with);
	for (size_t i = 0; r == 0 && i < replicas->n; i++) {
		struct replicas_item *item = &replicas->items[i];

		if (item->without)
			r = held_measure(sidecar, &with, item->without, &item->held_nbytes);
	}
	return r;
}

void replicas_destroy(struct replicas *replicas)
{
	for (size_t i = 0; i < replicas->n; i++)
		bmf_state_free(replicas->items[i].without);
	free(replicas->items);
	*replicas = (struct replicas){ 0 };
}

int64_t replicas_lag(const struct replicas_item *item, int64_t now_ns)
{
	if (item->at_ns == 0)
		return -1;
	return item->at_ns < now_ns ? (now_ns - item->at_ns) / INT64_C(1000000000) : 0;
}

unsigned int replicas_days_away(const struct replicas_item *item, int64_t now_ns)
{
	int64_t days;

	if (!item->oldest || item->seen_ns == 0 || item->seen_ns > now_ns)
		return 0;
	days = (now_ns - item->seen_ns) / DAY_NS;
	return now_ns - item->seen_ns > REPLICAS_AWAY_DAYS * DAY_NS ? (unsigned int)days : 0;
}

/* path: what the word leads to, or NULL */
static bool is_meant(const struct bmf_cursor *cursor, const char *word, const char *path)
{
	char uuid[BMF_UUID_TEXT];
	size_t n = strlen(word);

	if (n >= REPLICAS_PREFIX_MIN &&
	    strncasecmp(bmf_uuid_format(&cursor->replica, uuid), word, n) == 0)
		return true;
	return *cursor->label &&
	       (strcmp(cursor->label, word) == 0 || (path && strcmp(cursor->label, path) == 0));
}

int replicas_find(const struct bmf_state *state, const char *word, struct bmf_uuid *ret,
		  struct bmf_error *err)
{
	char *path = realpath(word, NULL);
	const struct bmf_cursor *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < state->ncursors; i++)
		if (is_meant(&state->cursors[i], word, path)) {
			found = &state->cursors[i];
			n++;
		}
	free(path);
	if (n == 0)
		return fail_text(err, -ENOENT, "find replica", word, NULL,
				 "the source knows none of that UUID (of which %d characters are "
				 "the least) or place; mirrorctl replica list shows them",
				 REPLICAS_PREFIX_MIN);
	if (n > 1)
		return fail_text(err, -ENOTUNIQ, "find replica", word, NULL,
				 "it may be any of %zu; give the whole UUID of one, as mirrorctl "
				 "replica list shows them",
				 n);
	*ret = found->replica;
	return 0;
}
