/* SPDX-License-Identifier: GPL-2.0-or-later */
/* since.c - what a user calls a checkpoint of a source */
#include "config.h"

#include "tools/fail.h"
#include "tools/replicas.h"
#include "tools/since.h"
#include "tools/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VERB "find checkpoint"

/* As many are listed in a message, the newest first. */
#define LISTED_MAX 6

static void list(const struct bmf_state *state, char *buf, size_t size)
{
	char name[TEXT_NAME];
	size_t n = 0, used = 0;

	buf[0] = '\0';
	for (size_t i = state->ncheckpoints; i-- > 0 && n < LISTED_MAX && used < size; n++) {
		const struct bmf_checkpoint *c = &state->checkpoints[i];

		used += (size_t)snprintf(buf + used, size - used, "%s%llu%s%s%s", n ? ", " : "",
					 (unsigned long long)c->number, c->name ? " (" : "",
					 c->name ? text_quote(c->name, name, sizeof(name)) : "",
					 c->name ? ")" : "");
	}
	if (state->ncheckpoints > n && used < size)
		snprintf(buf + used, size - used, " and %zu more", state->ncheckpoints - n);
}

static int not_found(const struct bmf_state *state, const char *word, struct bmf_error *err)
{
	char there[300];

	list(state, there, sizeof(there));
	if (state->ncheckpoints == 0)
		return fail_text(err, -ENOENT, VERB, word, NULL,
				 "the source has none yet; mirrorctl checkpoint create makes one");
	return fail_text(err, -ENOENT, VERB, word, NULL,
			 "no checkpoint that the source keeps has that name, number or UUID "
			 "(of which %d characters are the least), and no replica; there is "
			 "%s; see mirrorctl checkpoint list",
			 REPLICAS_PREFIX_MIN, there);
}

static const struct bmf_checkpoint *by_number(const struct bmf_state *state, const char *word)
{
	unsigned long long number;

	if (!*word || strspn(word, "0123456789") != strlen(word))
		return NULL;
	errno = 0;
	number = strtoull(word, NULL, 10);
	return errno == 0 ? bmf_state_checkpoint(state, number) : NULL;
}

/* How many have a UUID that begins so; *ret is one of them. */
static size_t by_uuid(const struct bmf_state *state, const char *word,
		      const struct bmf_checkpoint **ret)
{
	char uuid[BMF_UUID_TEXT];
	size_t length = strlen(word), n = 0;

	if (length < REPLICAS_PREFIX_MIN)
		return 0;
	for (size_t i = 0; i < state->ncheckpoints; i++) {
		bmf_uuid_format(&state->checkpoints[i].uuid, uuid);
		if (strncasecmp(uuid, word, length) == 0) {
			*ret = &state->checkpoints[i];
			n++;
		}
	}
	return n;
}

static int by_replica(const struct bmf_state *state, const char *word,
		      const struct bmf_checkpoint **ret, struct bmf_error *err)
{
	struct bmf_uuid replica;
	int r = replicas_find(state, word, &replica, err);

	if (r == -ENOENT)
		return not_found(state, word, err);
	if (r < 0)
		return r;
	*ret = bmf_state_checkpoint(state, bmf_state_cursor(state, &replica)->at);
	if (*ret)
		return 0;
	return fail_text(err, -ENODATA, VERB, word, NULL,
			 "that replica is at no checkpoint of the source: no sync to it has been "
			 "finished yet");
}

int since_find(const struct bmf_state *state, const char *word, const struct bmf_checkpoint **ret,
	       struct bmf_error *err)
{
	const struct bmf_checkpoint *found = bmf_state_named(state, word);
	size_t n = 1;
	int r = 0;

	if (!found)
		found = by_number(state, word);
	if (!found)
		n = by_uuid(state, word, &found);
	if (n > 1)
		return fail_text(err, -ENOTUNIQ, VERB, word, NULL,
				 "the UUIDs of %zu checkpoints begin so; give more of it", n);
	if (n == 0)
		r = by_replica(state, word, &found, err);
	if (r == 0)
		*ret = found;
	return r;
}

int since_check_name(const char *name, struct bmf_error *err)
{
	if (bmf_checkpoint_name_ok(name))
		return 0;
	return fail_text(err, -EINVAL, "name checkpoint", name, NULL,
			 "a name has letters, digits and _-.:@+, at most %d, no dot first, and "
			 "looks neither like a number nor like the beginning of a UUID",
			 BMF_CHECKPOINT_NAME_MAX);
}
