/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state_codec.c - a source's state as a document, and back */
#include "config.h"

#include "bitmapfile/doc.h"
#include "bitmapfile/state_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = { 'M', 'F', 'S', 'S', 'T', 'A', 'T', 'E' };

#define VERSION 1
#define INCOMPAT_KNOWN 0

/* The least that one takes: its integers, and a length without characters. */
#define CHECKPOINT_NBYTES (8 + 16 + 8 + 4)
#define CURSOR_NBYTES (16 + 8 + 8 + 8 + 4)

int bmf_state_encode(const struct bmf_state *state, void **ret_buf, size_t *ret_nbytes)
{
	struct bmf_doc_writer w;

	if (!bmf_state_is_valid(state) || state->ncheckpoints > UINT32_MAX ||
	    state->ncursors > UINT32_MAX)
		return -EINVAL;
	bmf_doc_begin(&w, magic, VERSION, 0);
	bmf_doc_put_uuid(&w, &state->source);
	bmf_doc_put_u64(&w, state->generation);
	bmf_doc_put_u32(&w, state->block_shift);

	bmf_doc_put_u32(&w, (uint32_t)state->ncheckpoints);
	for (size_t i = 0; i < state->ncheckpoints; i++) {
		const struct bmf_checkpoint *c = &state->checkpoints[i];

		bmf_doc_put_u64(&w, c->number);
		bmf_doc_put_uuid(&w, &c->uuid);
		bmf_doc_put_u64(&w, (uint64_t)c->time_ns);
		bmf_doc_put_string(&w, c->name);
	}

	bmf_doc_put_u32(&w, (uint32_t)state->ncursors);
	for (size_t i = 0; i < state->ncursors; i++) {
		const struct bmf_cursor *c = &state->cursors[i];

		bmf_doc_put_uuid(&w, &c->replica);
		bmf_doc_put_u64(&w, c->at);
		bmf_doc_put_u64(&w, c->pending);
		bmf_doc_put_u64(&w, (uint64_t)c->time_ns);
		bmf_doc_put_string(&w, c->label);
	}
	return bmf_doc_finish(&w, ret_buf, ret_nbytes);
}

/* An array for as many items as the document says, if it can hold as many. */
static int read_count(struct bmf_doc_reader *r, size_t item_on_disk, size_t item_in_memory,
		      uint32_t *ret_n, void **ret)
{
	uint32_t n = bmf_doc_get_u32(r);
	void *items;

	if (n > bmf_doc_room(r, item_on_disk))
		return -EBADMSG;
	items = calloc((size_t)n + 1, item_in_memory);
	if (!items)
		return -ENOMEM;
	*ret_n = n;
	*ret = items;
	return 0;
}

static int read_checkpoints(struct bmf_doc_reader *r, struct bmf_state *state)
{
	uint32_t n;
	void *items;
	int result = read_count(r, CHECKPOINT_NBYTES, sizeof(*state->checkpoints), &n, &items);

	if (result < 0)
		return result;
	state->checkpoints = items;
	for (; state->ncheckpoints < n; state->ncheckpoints++) {
		struct bmf_checkpoint *c = &state->checkpoints[state->ncheckpoints];
		char *name;

		c->number = bmf_doc_get_u64(r);
		c->uuid = bmf_doc_get_uuid(r);
		c->time_ns = (int64_t)bmf_doc_get_u64(r);
		name = bmf_doc_get_string(r);
		if (!name)
			return bmf_doc_end(r); /* which says why */
		if (*name)
			c->name = name;
		else
			free(name);
	}
	return 0;
}

static int read_cursors(struct bmf_doc_reader *r, struct bmf_state *state)
{
	uint32_t n;
	void *items;
	int result = read_count(r, CURSOR_NBYTES, sizeof(*state->cursors), &n, &items);

	if (result < 0)
		return result;
	state->cursors = items;
	for (; state->ncursors < n; state->ncursors++) {
		struct bmf_cursor *c = &state->cursors[state->ncursors];

		c->replica = bmf_doc_get_uuid(r);
		c->at = bmf_doc_get_u64(r);
		c->pending = bmf_doc_get_u64(r);
		c->time_ns = (int64_t)bmf_doc_get_u64(r);
		c->label = bmf_doc_get_string(r);
		if (!c->label)
			return bmf_doc_end(r); /* which says why */
	}
	return 0;
}

static int read_body(struct bmf_doc_reader *r, struct bmf_state *state)
{
	int result;

	state->source = bmf_doc_get_uuid(r);
	state->generation = bmf_doc_get_u64(r);
	state->block_shift = bmf_doc_get_u32(r);
	result = read_checkpoints(r, state);
	if (result == 0)
		result = read_cursors(r, state);
	if (result == 0)
		result = bmf_doc_end(r);
	if (result == 0 && !bmf_state_is_valid(state))
		result = -EBADMSG;
	return result;
}

int bmf_state_decode_named(const void *buf, size_t nbytes, const char *name, struct bmf_state **ret,
			   struct bmf_error *err)
{
	struct bmf_doc_reader r;
	struct bmf_state *state;
	int result;

	result = bmf_doc_open(&r, buf, nbytes, name, magic, VERSION, INCOMPAT_KNOWN, err);
	if (result < 0)
		return result;
	state = calloc(1, sizeof(*state));
	result = state ? read_body(&r, state) : -ENOMEM;
	if (result < 0) {
		bmf_state_free(state);
		return bmf_error_set(err, result, "read '%s': %s", name,
				     result == -ENOMEM
					     ? "out of memory"
					     : "damaged (its fields contradict each other)");
	}
	*ret = state;
	return 0;
}

int bmf_state_decode(const void *buf, size_t nbytes, struct bmf_state **ret, struct bmf_error *err)
{
	return bmf_state_decode_named(buf, nbytes, "state", ret, err);
}
