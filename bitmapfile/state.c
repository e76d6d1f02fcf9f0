/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.c - a source's state in memory: checkpoints, cursors, and what is needed
 *
 * Both arrays are kept sorted, checkpoints by number and cursors by replica.
 */
#include "config.h"

#include "bitmapfile/sidecar.h"
#include "bitmapfile/state_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int bmf_state_new(unsigned int block_shift, struct bmf_state **ret)
{
	struct bmf_state *state;
	int r;

	if (block_shift < BMF_BLOCK_SHIFT_MIN || block_shift > BMF_BLOCK_SHIFT_MAX)
		return -EINVAL;
	state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	r = bmf_uuid_generate(&state->source);
	if (r < 0) {
		free(state);
		return r;
	}
	state->block_shift = block_shift;
	*ret = state;
	return 0;
}

void bmf_state_free(struct bmf_state *state)
{
	if (!state)
		return;
	for (size_t i = 0; i < state->ncheckpoints; i++)
		free(state->checkpoints[i].name);
	for (size_t i = 0; i < state->ncursors; i++)
		free(state->cursors[i].label);
	free(state->checkpoints);
	free(state->cursors);
	free(state);
}

/* A copy of a string that may be NULL.  0 or -ENOMEM. */
static int copy_string(const char *string, char **ret)
{
	char *copy = string ? strdup(string) : NULL;

	if (string && !copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

static int copy_items(const struct bmf_state *state, struct bmf_state *copy)
{
	copy->checkpoints = calloc(state->ncheckpoints + 1, sizeof(*copy->checkpoints));
	copy->cursors = calloc(state->ncursors + 1, sizeof(*copy->cursors));
	if (!copy->checkpoints || !copy->cursors)
		return -ENOMEM;
	for (size_t i = 0; i < state->ncheckpoints; i++) {
		copy->checkpoints[i] = state->checkpoints[i];
		copy->checkpoints[i].name = NULL;
		copy->ncheckpoints++;
		if (copy_string(state->checkpoints[i].name, &copy->checkpoints[i].name) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < state->ncursors; i++) {
		copy->cursors[i] = state->cursors[i];
		copy->cursors[i].label = NULL;
		copy->ncursors++;
		if (copy_string(state->cursors[i].label, &copy->cursors[i].label) < 0)
			return -ENOMEM;
	}
	return 0;
}

int bmf_state_copy(const struct bmf_state *state, struct bmf_state **ret)
{
	struct bmf_state *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	copy->source = state->source;
	copy->generation = state->generation;
	copy->block_shift = state->block_shift;
	if (copy_items(state, copy) < 0) {
		bmf_state_free(copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

/* Eight hexadecimal digits or more, with dashes where a UUID has them. */
static bool begins_uuid(const char *name)
{
	static const char pattern[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t n = strlen(name);

	if (n < strcspn(pattern, "-") || n >= sizeof(pattern))
		return false;
	for (size_t i = 0; i < n; i++)
		if (pattern[i] == '-' ? name[i] != '-' : !strchr("0123456789abcdefABCDEF", name[i]))
			return false;
	return true;
}

bool bmf_checkpoint_name_ok(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.:@+";
	size_t n = strlen(name);

	return n > 0 && n <= BMF_CHECKPOINT_NAME_MAX && name[0] != '.' &&
	       strspn(name, allowed) == n && strspn(name, "0123456789") != n && !begins_uuid(name);
}

static bool checkpoints_are_valid(const struct bmf_state *state)
{
	uint64_t last = 0;

	for (size_t i = 0; i < state->ncheckpoints; i++) {
		const struct bmf_checkpoint *c = &state->checkpoints[i];

		if (c->number <= last || c->number > state->generation ||
		    bmf_uuid_is_none(&c->uuid))
			return false;
		last = c->number;
	}
	return true;
}

static bool cursors_are_valid(const struct bmf_state *state)
{
	struct bmf_uuid last = { { 0 } }; /* so that none is no replica either */

	for (size_t i = 0; i < state->ncursors; i++) {
		const struct bmf_cursor *c = &state->cursors[i];

		if (memcmp(last.b, c->replica.b, sizeof(last.b)) >= 0 ||
		    c->at > state->generation || c->pending > state->generation)
			return false;
		last = c->replica;
	}
	return true;
}

bool bmf_state_is_valid(const struct bmf_state *state)
{
	return !bmf_uuid_is_none(&state->source) && state->generation < UINT64_MAX &&
	       state->block_shift >= BMF_BLOCK_SHIFT_MIN &&
	       state->block_shift <= BMF_BLOCK_SHIFT_MAX && checkpoints_are_valid(state) &&
	       cursors_are_valid(state);
}

int bmf_state_add_checkpoint(struct bmf_state *state, const struct bmf_uuid *uuid, int64_t time_ns,
			     struct bmf_checkpoint *ret)
{
	struct bmf_checkpoint *checkpoints, new;

	if (bmf_uuid_is_none(uuid))
		return -EINVAL;
	if (state->generation >= UINT64_MAX - 1)
		return -EOVERFLOW;
	checkpoints =
		reallocarray(state->checkpoints, state->ncheckpoints + 1, sizeof(*checkpoints));
	if (!checkpoints)
		return -ENOMEM;
	state->checkpoints = checkpoints;
	new = (struct bmf_checkpoint){
		.number = state->generation + 1,
		.uuid = *uuid,
		.time_ns = time_ns,
	};
	checkpoints[state->ncheckpoints++] = new;
	state->generation = new.number;
	if (ret)
		*ret = new;
	return 0;
}

const struct bmf_checkpoint *bmf_state_checkpoint(const struct bmf_state *state, uint64_t number)
{
	for (size_t i = 0; i < state->ncheckpoints; i++)
		if (state->checkpoints[i].number == number)
			return &state->checkpoints[i];
	return NULL;
}

const struct bmf_checkpoint *bmf_state_named(const struct bmf_state *state, const char *name)
{
	for (size_t i = 0; i < state->ncheckpoints; i++)
		if (state->checkpoints[i].name && strcmp(state->checkpoints[i].name, name) == 0)
			return &state->checkpoints[i];
	return NULL;
}

int bmf_state_name(struct bmf_state *state, const struct bmf_checkpoint *checkpoint,
		   const char *name)
{
	struct bmf_checkpoint *found = NULL;
	char *copy = NULL;

	for (size_t i = 0; i < state->ncheckpoints; i++)
		if (state->checkpoints[i].number == checkpoint->number &&
		    bmf_uuid_equal(&state->checkpoints[i].uuid, &checkpoint->uuid))
			found = &state->checkpoints[i];
	if (!found || (!name && !found->name))
		return -ENOENT;
	if (name && !bmf_checkpoint_name_ok(name))
		return -EINVAL;
	if (name && (found->name || bmf_state_named(state, name)))
		return -EEXIST;
	if (copy_string(name, &copy) < 0)
		return -ENOMEM;
	free(found->name);
	found->name = copy;
	return 0;
}

/* Where the replica's cursor is, or would have to be put. */
static size_t cursor_place(const struct bmf_state *state, const struct bmf_uuid *replica)
{
	size_t i = 0;

	while (i < state->ncursors &&
	       memcmp(state->cursors[i].replica.b, replica->b, sizeof(replica->b)) < 0)
		i++;
	return i;
}

struct bmf_cursor *bmf_state_cursor(const struct bmf_state *state, const struct bmf_uuid *replica)
{
	size_t i = cursor_place(state, replica);

	if (i < state->ncursors && bmf_uuid_equal(&state->cursors[i].replica, replica))
		return &state->cursors[i];
	return NULL;
}

int bmf_state_cursor_get_or_add(struct bmf_state *state, const struct bmf_uuid *replica,
				struct bmf_cursor **ret)
{
	struct bmf_cursor *found = bmf_state_cursor(state, replica), *cursors;
	size_t place = cursor_place(state, replica);
	char *label;

	if (found) {
		*ret = found;
		return 0;
	}
	if (bmf_uuid_is_none(replica))
		return -EINVAL;
	label = strdup("");
	if (!label)
		return -ENOMEM;
	cursors = reallocarray(state->cursors, state->ncursors + 1, sizeof(*cursors));
	if (!cursors) {
		free(label);
		return -ENOMEM;
	}
	memmove(&cursors[place + 1], &cursors[place], (state->ncursors - place) * sizeof(*cursors));
	cursors[place] = (struct bmf_cursor){ .replica = *replica, .label = label };
	state->cursors = cursors;
	state->ncursors++;
	*ret = &cursors[place];
	return 0;
}

int bmf_state_forget(struct bmf_state *state, const struct bmf_uuid *replica)
{
	struct bmf_cursor *found = bmf_state_cursor(state, replica);
	size_t after;

	if (!found)
		return -ENOENT;
	free(found->label);
	after = state->ncursors - (size_t)(found - state->cursors) - 1;
	memmove(found, found + 1, after * sizeof(*found));
	state->ncursors--;
	return 0;
}

bool bmf_state_needs(const struct bmf_state *state, uint64_t number)
{
	const struct bmf_checkpoint *checkpoint;

	if (number == 0)
		return false;
	if (number == state->generation)
		return true;
	for (size_t i = 0; i < state->ncursors; i++)
		if (state->cursors[i].at == number || state->cursors[i].pending == number)
			return true;
	checkpoint = bmf_state_checkpoint(state, number);
	return checkpoint && checkpoint->name;
}

void bmf_state_trim(struct bmf_state *state)
{
	size_t kept = 0;

	for (size_t i = 0; i < state->ncheckpoints; i++) {
		if (bmf_state_needs(state, state->checkpoints[i].number))
			state->checkpoints[kept++] = state->checkpoints[i];
		else
			free(state->checkpoints[i].name);
	}
	state->ncheckpoints = kept;
}
