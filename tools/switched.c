/* SPDX-License-Identifier: GPL-2.0-or-later */
/* switched.c - what must not be written to after a switchover */
#include "config.h"

#include "tools/switched.h"

#include "bitmapfile/seal_mark.h"
#include "tools/fail.h"
#include "tools/text.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The label that a directory would have which isn't there yet; NULL: it can't be told. */
static char *place_of(const char *path)
{
	char *copy = strdup(path), *other = strdup(path);
	char *parent = copy && other ? realpath(dirname(copy), NULL) : NULL;
	char *place = NULL;

	if (parent &&
	    asprintf(&place, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, basename(other)) < 0)
		place = NULL;
	free(parent);
	free(copy);
	free(other);
	return place;
}

static bool is_at(const struct replica *replica, const char *label)
{
	char *place = replica->label ? strdup(replica->label) : place_of(replica->path);
	bool same = place && strcmp(place, label) == 0;

	free(place);
	return same;
}

/* One that was made just now has nothing yet that could be lost. */
static bool is_stranger(const struct replica *replica, const struct bmf_state *state)
{
	return state && replica->fd >= 0 && !bmf_state_cursor(state, &replica->manifest.replica) &&
	       replica_has_content(replica->fd) != 0;
}

/* NULL: it isn't the one that the mark is about. */
static const char *why_suspect(const struct bmf_seal *seal, const struct bmf_state *state,
			       const struct replica *replica)
{
	if (replica->has_manifest && manifest_is_adopted(&replica->manifest))
		return "this was adopted, and may be it";
	if (is_at(replica, seal->label))
		return "this is in its place";
	if (is_stranger(replica, state))
		return "this may be it, as the source doesn't know it";
	return NULL;
}

static int check(const struct bmf_seal *seal, const struct source_view *view,
		 const struct bmf_state *state, const struct replica *replica,
		 struct bmf_error *err)
{
	char name[TEXT_NAME / 2];
	const char *why;

	if (bmf_uuid_equal(&seal->replica, &replica->manifest.replica))
		return fail_text(err, -EROFS, "open source", view->path, NULL,
				 "it was switched over to this replica, which may be ahead of it "
				 "now; if nobody has used that: mirrorctl switchover --undo");
	why = why_suspect(seal, state, replica);
	if (!why)
		return 0;
	return fail_text(err, -EROFS, "open source", view->path, NULL,
			 "it was switched over to '%s', which may be ahead of it now, and %s; if "
			 "nobody has used that: mirrorctl switchover --undo; else sync to an empty "
			 "directory",
			 text_quote(seal->label, name, sizeof(name)), why);
}

/* -ENOENT: there is none (no message). */
static int load(const struct source_view *view, struct bmf_seal *ret, struct bmf_error *err)
{
	struct bmf_error why = { 0 };
	int r = bmf_seal_load(&bmf_io_posix, view->fd, ret, &why);

	if (r == 0 || r == -ENOENT)
		return r;
	return fail_text(err, r, "open source", view->path, NULL,
			 "it may have been switched over: %s; if not: mirrorctl switchover --undo",
			 why.text);
}

int switched_check(const struct source_view *view, const struct bmf_state *state,
		   const struct replica *replica, struct bmf_error *err)
{
	struct bmf_seal seal;
	int r = load(view, &seal, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = check(&seal, view, state, replica, err);
	bmf_seal_destroy(&seal);
	return r;
}

int switched_look(const struct source_view *view, const struct bmf_state *state, const char *dest,
		  bool copied, struct bmf_error *err)
{
	struct replica replica;
	struct bmf_seal seal;
	int r = load(view, &seal, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = replica_look(dest, view, state ? &state->source : NULL, copied, &replica, err);
	if (r == 0) {
		r = check(&seal, view, state, &replica, err);
		replica_close(&replica);
	}
	bmf_seal_destroy(&seal);
	return r;
}

int switched_check_dest(const struct replica *replica, const char *verb, struct bmf_error *err)
{
	char name[TEXT_NAME / 2];
	struct bmf_error why = { 0 };
	struct bmf_seal seal;
	int r = replica->fd < 0 ? -ENOENT : bmf_seal_load(&bmf_io_posix, replica->fd, &seal, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return fail_text(err, r, verb, replica->path, NULL,
				 "it may have been switched over itself: %s; if not: mirrorctl "
				 "switchover --undo",
				 why.text);
	fail_text(
		err, -EROFS, verb, replica->path, NULL,
		"it was switched over itself, to '%s', so nothing changes in it; if nobody goes on "
		"from there: mirrorctl switchover --undo; if it is no source any more, and to be a "
		"replica: remove its " BMF_STATE_DIR ", then mirrorctl adopt",
		text_quote(seal.label, name, sizeof(name)));
	bmf_seal_destroy(&seal);
	return -EROFS;
}
